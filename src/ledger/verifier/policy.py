"""Whom an auditor believes: logs, witnesses and how many of them have to agree (C2SP tlog-policy).

The file travels from hand to hand, never from the service that is verified.
"""

import re
from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from typing import Final

import msgspec

from ledger.verifier.checkpoint import Checkpoint
from ledger.verifier.notes import COSIGNATURE, SIGNATURE, Key, KeyMalformed, Line, Signed, parse_key, verified
from ledger.verifier.verdict import PolicyNotMet, Unusable

NONE: Final = "none"
CONTROL: Final = re.compile(rb"[\x00-\x08\x0b-\x1f\x7f]")
FEWEST_LOG, MOST_LOG = 1, 2
FEWEST_WITNESS, MOST_WITNESS = 2, 3
FEWEST_GROUP: Final = 3
MOST_NAMED: Final = 5
CLOCKS_AGREE_WITHIN: Final = 300
"""Seconds that a witness's clock may be ahead of ours."""


class PolicyMalformed(Unusable):
    """The policy file cannot be read.

    Context: ``line`` number and ``reason``.
    """

    code = "policy-malformed"


class NoLogSignature(PolicyNotMet):
    """No log of the policy signed this checkpoint.

    Context: its ``origin``, whom it claims to be ``signed_by``, and the ``logs`` of the policy, all with the ids of keys.
    """

    code = "no-log-signature"


class NoQuorum(PolicyNotMet):
    """Too few of the policy's witnesses cosigned this checkpoint.

    Context: the ``quorum`` that is asked for, and who ``cosigned``.
    """

    code = "no-quorum"


class TooOld(PolicyNotMet):
    """Nobody of the policy says that this is recent enough.

    Context: the ``newest`` moment that is attested, in seconds since 1970.
    """

    code = "too-old"


class Group(msgspec.Struct, frozen=True, kw_only=True):
    """A group of witnesses and groups, which agrees when ``fewest`` of its ``members`` do."""

    fewest: int
    members: tuple[str, ...]


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """What a policy file says; ``quorum`` names a witness, a group or ``none``.

    ``addresses`` holds the URLs of those witnesses that have one, by name.
    """

    logs: tuple[Key, ...]
    witnesses: dict[str, Key]
    addresses: dict[str, str]
    groups: dict[str, Group]
    quorum: str


class Accepted(msgspec.Struct, frozen=True, kw_only=True):
    """A checkpoint that the policy accepts: by which log key, and when its witnesses saw it, by their names there."""

    checkpoint: Checkpoint
    log: Key
    cosigned: dict[str, int]

    def newest(self) -> int | None:
        """Say when it was last seen, in seconds since 1970; ``None``: nobody says."""
        return max(self.cosigned.values(), default=None)


def parse_policy(raw: bytes) -> Policy:
    """Read a policy file.

    Raises:
        PolicyMalformed: a line says nothing that a policy can say.
        KeyMalformed: a key is none.
    """
    if CONTROL.search(raw):
        ends = b"\r\n" in raw
        raise PolicyMalformed(
            reason=f"control characters{': lines end with CR LF, not with LF alone' if ends else ''}"
        )
    reader = _Reader()
    # Names are octets: no two spellings are the same, and no spelling is wrong.
    for number, line in enumerate(raw.decode(errors="surrogateescape").split("\n"), 1):
        words = line.replace("\t", " ").split(" ")
        words = [word for word in words if word]
        if words and not words[0].startswith("#"):
            reader.take(number, words[0], words[1:])
    return reader.finished()


def accepted(policy: Policy, checkpoint: Checkpoint, *, with_quorum: bool = True) -> Accepted:
    """Check a checkpoint against a policy; ``with_quorum=False`` asks for the log's signature alone.

    Raises:
        SignatureWrong: a signature by a key of the policy does not fit.
        NoLogSignature: no log of the policy with this origin signed it.
        NoQuorum: too few witnesses cosigned it.
    """
    origin = checkpoint.origin
    logs = [key for key in policy.logs if key.name == origin]
    signed = verified(checkpoint.note, [*logs, *policy.witnesses.values()])
    by_log = next((one.key for one in signed if one.key.kind == SIGNATURE), None)
    if by_log is None:
        claims = [line for line in checkpoint.note.lines if line.name == origin][:MOST_NAMED]
        raise NoLogSignature(
            origin=origin,
            signed_by=_with_ids(claims) or "nobody of this name",
            logs=_with_ids(policy.logs),
        )
    found = Accepted(checkpoint=checkpoint, log=by_log, cosigned=_cosigned(policy, signed))
    if with_quorum:
        check_quorum(policy, found)
    return found


def check_quorum(policy: Policy, found: Accepted) -> None:
    """Check that as many witnesses have cosigned as the policy asks for.

    Raises:
        NoQuorum: too few did.
    """
    if not quorum_met(policy, found.cosigned.keys()):
        raise NoQuorum(quorum=policy.quorum, cosigned=sorted(found.cosigned) or "nobody")


def quorum_met(policy: Policy, cosigned: AbstractSet[str]) -> bool:
    """Tell whether witnesses of these names are as many as the policy asks for."""
    return policy.quorum == NONE or _agrees(policy, policy.quorum, cosigned)


def check_age(newest: int | None, *, now: int, max_age: int) -> None:
    """Check that somebody saw it within the last ``max_age`` seconds.

    Raises:
        TooOld: nobody did, or the moment is in the future.
    """
    if newest is None or not -CLOCKS_AGREE_WITHIN <= now - newest <= max_age:
        raise TooOld(newest=newest, max_age=max_age)


class _Reader:
    def __init__(self) -> None:
        self._logs: list[Key] = []
        self._witnesses: dict[str, Key] = {}
        self._addresses: dict[str, str] = {}
        self._groups: dict[str, Group] = {}
        self._members: set[str] = set()
        self._quorum: str | None = None

    def take(self, number: int, word: str, rest: list[str]) -> None:
        match word:
            case "log" if FEWEST_LOG <= len(rest) <= MOST_LOG:
                self._log(number, rest[0])
            case "witness" if FEWEST_WITNESS <= len(rest) <= MOST_WITNESS:
                self._witness(number, *rest)
            case "group" if len(rest) >= FEWEST_GROUP:
                self._group(number, rest[0], rest[1], tuple(rest[2:]))
            case "quorum" if len(rest) == 1 and self._quorum is None:
                if rest[0] != NONE and not self._is_defined(rest[0]):
                    raise PolicyMalformed(line=number, reason=f"{rest[0]} is not defined above")
                self._quorum = rest[0]
            case _:
                raise PolicyMalformed(line=number, reason=f"not a line of a policy: {word}")

    def finished(self) -> Policy:
        if self._quorum is None:
            raise PolicyMalformed(reason="no quorum line; 'quorum none' asks for no witness")
        if not self._logs:
            raise PolicyMalformed(reason="no log line")
        return Policy(
            logs=tuple(self._logs),
            witnesses=self._witnesses,
            addresses=self._addresses,
            groups=self._groups,
            quorum=self._quorum,
        )

    def _log(self, number: int, vkey: str) -> None:
        key = _key(number, vkey, SIGNATURE)
        if any(key.public == other.public for other in self._logs):
            raise PolicyMalformed(line=number, reason="this log's key is there already")
        self._logs.append(key)

    def _witness(self, number: int, name: str, vkey: str, url: str | None = None) -> None:
        key = _key(number, vkey, COSIGNATURE)
        if any(key.public == other.public for other in self._witnesses.values()):
            raise PolicyMalformed(line=number, reason="this witness's key is there already")
        self._check_new(number, name)
        self._witnesses[name] = key
        if url is not None:
            self._addresses[name] = url

    def _group(self, number: int, name: str, threshold: str, members: tuple[str, ...]) -> None:
        self._check_new(number, name)
        for member in members:
            if not self._is_defined(member) or member in self._members:
                raise PolicyMalformed(
                    line=number, reason=f"{member} is not defined above, or a member already"
                )
            self._members.add(member)
        self._groups[name] = Group(fewest=_fewest(number, threshold, len(members)), members=members)

    def _check_new(self, number: int, name: str) -> None:
        if name == NONE or self._is_defined(name):
            raise PolicyMalformed(line=number, reason=f"the name {name} is taken")

    def _is_defined(self, name: str) -> bool:
        return name in self._witnesses or name in self._groups


def _with_ids(named: Iterable[Key | Line]) -> list[str]:
    return sorted(f"{one.name}+{one.key_id.hex()}" for one in named)


def _key(number: int, vkey: str, kind: int) -> Key:
    key = parse_key(vkey)
    if key.kind != kind:
        raise KeyMalformed(line=number, key=vkey)
    return key


def _fewest(number: int, threshold: str, members: int) -> int:
    if threshold in {"any", "all"}:
        return 1 if threshold == "any" else members
    is_decimal = threshold.isascii() and threshold.isdigit() and not threshold.startswith("0")
    if not is_decimal or len(threshold) > len(str(members)) or int(threshold) > members:
        raise PolicyMalformed(line=number, reason=f"a group of {members} has no threshold {threshold}")
    return int(threshold)


def _cosigned(policy: Policy, signed: tuple[Signed, ...]) -> dict[str, int]:
    times = {one.key.public: one.seconds for one in signed if one.seconds is not None}
    return {name: times[key.public] for name, key in policy.witnesses.items() if key.public in times}


def _agrees(policy: Policy, name: str, cosigned: AbstractSet[str]) -> bool:
    group = policy.groups.get(name)
    if group is None:
        return name in cosigned
    return sum(_agrees(policy, member, cosigned) for member in group.members) >= group.fewest
