"""What a verification found, for people and programs."""

import msgspec

from ledger.verifier.beside import Kept
from ledger.verifier.disclosed import Counted
from ledger.verifier.envelope import EnvelopeMalformed, parse_envelope
from ledger.verifier.merkle import leaf_hash
from ledger.verifier.policy import Accepted
from ledger.verifier.verdict import Unverified, Verdict


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that is wrong, with its facts."""

    code: str
    verdict: Verdict
    title: str
    facts: dict[str, object]


class Attested(msgspec.Struct, frozen=True, kw_only=True):
    """Who stands for the checkpoint: the log, and when each witness saw it (seconds since 1970), by its name in the policy."""

    origin: str
    size: int
    root: str
    log_key: str
    quorum: str
    cosigned: dict[str, int]


class Stamped(msgspec.Struct, frozen=True, kw_only=True):
    """A checkpoint of this log, of ``size`` events, existed at this second since 1970: an authority says so."""

    size: int
    seconds: int


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """What an entry says of its event; ``actor`` is an opaque id."""

    type: str
    stream: str
    version: int
    recorded_at: str
    actor: str


class Checked(msgspec.Struct, frozen=True, kw_only=True):
    """The entry that a proof was checked for; ``size`` is ``None`` where its hash alone was given, and so is ``event``.

    ``size`` in bytes; ``event`` is ``None`` too where the entry has not the form of an event.
    """

    leaf_hash: str
    size: int | None = None
    event: Told | None = None


class Report(msgspec.Struct, kw_only=True):
    """What was verified, as far as it went.

    ``found`` holds what is wrong, the first first; ``missing`` what was not there to be verified. ``first`` and ``last``
    are positions, 0: no event was verified. ``payloads_wrong`` counts those of a database that are not what was sealed; the
    first of them are in ``found``. ``kept``: what that database keeps beside its log. ``decision`` is what its
    submission calls it; ``unproven`` counts events of it that no proof is of.
    """

    verdict: Verdict = Verdict.VERIFIED
    found: list[Finding] = []
    missing: list[str] = []
    attested: Attested | None = None
    since: int | None = None
    stamps: list[Stamped] = []
    stamps_unread: int = 0
    tier: str = ""
    decision: str = ""
    first: int = 0
    last: int = 0
    streams: int = 0
    streams_joined: int = 0
    unproven: int = 0
    payloads: int = 0
    payloads_wrong: int = 0
    unsealed_from: int | None = None
    disclosed: Counted | None = None
    kept: Kept | None = None
    checked: Checked | None = None

    def found_wrong(self, wrong: Unverified) -> None:
        """Write down what is wrong; the first such thing is the verdict."""
        if not self.found:
            self.verdict = wrong.verdict
        facts = {name: _readable(fact) for name, fact in wrong.context.items()}
        self.found.append(Finding(code=wrong.code, verdict=wrong.verdict, title=wrong.title(), facts=facts))

    def lacks(self, what: str) -> None:
        """Write down what was not there to be verified."""
        if self.verdict is Verdict.VERIFIED:
            self.verdict = Verdict.INCOMPLETE
        self.missing.append(what)


def attested_by(accepted: Accepted, quorum: str) -> Attested:
    """Describe who stands for a checkpoint."""
    checkpoint = accepted.checkpoint
    return Attested(
        origin=checkpoint.origin,
        size=checkpoint.size,
        root=checkpoint.root.hex(),
        log_key=accepted.log.key_id.hex(),
        quorum=_text(quorum),
        cosigned={_text(name): seen for name, seen in accepted.cosigned.items()},
    )


def checked_entry(entry: bytes) -> Checked:
    """Describe an entry that was checked."""
    try:
        said = parse_envelope(entry)
    except EnvelopeMalformed:
        event = None
    else:
        event = Told(
            type=said.type,
            stream=said.stream,
            version=said.version,
            recorded_at=said.recorded_at,
            actor=said.actor,
        )
    return Checked(leaf_hash=leaf_hash(entry).hex(), size=len(entry), event=event)


def _readable(fact: object) -> object:
    if isinstance(fact, str):
        return _text(fact)
    return [_readable(one) for one in fact] if isinstance(fact, list | tuple) else fact


def _text(text: str) -> str:
    """Make text of what may have been any octets: file names, and names in policies."""
    return text.encode(errors="replace").decode()
