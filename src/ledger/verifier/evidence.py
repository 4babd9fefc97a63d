"""Verifies the folder of evidence of one decision: every event in it, and what is told beside them.

What is for people, ``TOLD``, is told from those events by whoever made the folder: it is guarded against damage and
nothing else, and can be compared with what was verified.
"""

from datetime import datetime, timedelta
from hashlib import file_digest
from pathlib import Path
from typing import Final

import msgspec

from ledger.verifier.checkpoint import parse_checkpoint
from ledger.verifier.disclosed import ATTACHED, REGISTERED, name_digest, read_registration
from ledger.verifier.envelope import Envelope, parse_envelope
from ledger.verifier.files import SUMS, FileUnexpected, Folder, check_sums
from ledger.verifier.kinds import Kind, check_folder
from ledger.verifier.lines import LinesMalformed, names_twice
from ledger.verifier.merkle import leaf_hash
from ledger.verifier.payloads import SALT, PayloadDiffers, check_payload
from ledger.verifier.policy import Policy, accepted
from ledger.verifier.proofs import ProofMalformed, check_proof, parse_proof
from ledger.verifier.report import Report, attested_by
from ledger.verifier.verdict import PolicyNotMet, Tampered, Unverified

EVENTS: Final = "events.ndjson"
SUPPORTING: Final = "supporting.ndjson"
PEOPLE: Final = "people.json"
CHECKPOINT: Final = "checkpoint"
TOLD: Final = frozenset({"index.html", "state.json", "policy.json", "policy-template.txt", "policy.txt"})
"""``policy.txt`` is what the template was called in folders of before."""
ERASED: Final = "erased.json"
SUBMITTED: Final = "decision-submitted"


class DecisionNotWhole(Tampered):
    """The events are not all those of one decision, from its first one on.

    Context: ``position``, ``stream``.
    """

    code = "decision-not-whole"


class NameDiffers(Tampered):
    """A person's name or address is not what the log commits to.

    Context: the ``person``'s id.
    """

    code = "name-differs"


class AttachedDiffers(Tampered):
    """A file is not what was attached.

    Context: the ``file``, and the ``position`` of the event.
    """

    code = "attached-differs"


class ProofMissing(Tampered):
    """The checkpoint in the folder is over this event, and the proof of that was taken out.

    Context: ``position``, ``stream``.
    """

    code = "proof-missing"


class NothingSigned(PolicyNotMet):
    """There is no checkpoint in the folder: no log stands for anything in it."""

    code = "nothing-signed"


class LineDiffers(Tampered):
    """What a line says of an event is not what its envelope says.

    Context: ``position``, ``stream``.
    """

    code = "line-differs"


class Line(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One event of the folder."""

    position: int
    event_id: str
    stream: str
    version: int
    type: str
    schema_version: int
    recorded_at: datetime
    actor: str
    leaf_hash: str
    envelope: str
    salt: str
    payload: str


class Event(msgspec.Struct, frozen=True):
    """An event that is what was sealed, or will be."""

    position: int
    entry: bytes
    envelope: Envelope
    payload: bytes


class _Person(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    person: str
    standing: str = ""
    username: str | None = None
    email: str | None = None
    full_name: str | None = None
    salt: str = ""


class _Submitted(msgspec.Struct, frozen=True):
    decision_id: str = ""


class _Attached(msgspec.Struct, frozen=True):
    sha256: str


def verify_evidence(root: Path, policy: Policy) -> Report:
    """Verify the folder ``root``; what is wrong is in the report, never raised.

    Raises:
        OSError: the folder cannot be read.
    """
    report = Report()
    try:
        folder = Folder(root)
        check_folder(str(root), folder.names, Kind.EVIDENCE)
        check_sums(folder, lambda _done, _of: None)
        _Evidence(folder, policy, report).verify()
    except Unverified as wrong:
        report.found_wrong(wrong)
    return report


class _Evidence:
    def __init__(self, folder: Folder, policy: Policy, report: Report) -> None:
        self._folder, self._policy, self._report = folder, policy, report
        self._attached = set[str]()
        self._size = 0

    def verify(self) -> None:
        if CHECKPOINT not in self._folder.names:
            raise NothingSigned
        checkpoint = parse_checkpoint(self._folder.read(CHECKPOINT))
        by = accepted(self._policy, checkpoint)
        self._report.attested, self._size = attested_by(by, self._policy.quorum), checkpoint.size
        own, others = (self._events(name) for name in (EVENTS, SUPPORTING))
        self._check_stream(own)
        self._report.decision = _name_of(own[0])
        self._check_files(own)
        self._check_names((*own, *others))
        self._check_people(others)
        self._report.first, self._report.last = own[0].position, own[-1].position
        self._report.streams = len({event.envelope.stream for event in (*own, *others)})
        self._report.payloads = len(own) + len(others)

    def _events(self, name: str) -> list[Event]:
        events = list[Event]()
        with self._folder.path(name).open("rb") as file:
            for number, raw in enumerate(file, 1):
                try:
                    line = msgspec.json.decode(raw, type=Line)
                    if names_twice(raw, line):
                        raise LinesMalformed(file=name, line=number, reason="it says one thing twice")
                    events.append(self._event(line))
                except (msgspec.MsgspecError, UnicodeError) as broken:
                    raise LinesMalformed(file=name, line=number, reason=str(broken)) from broken
        return events

    def _event(self, line: Line) -> Event:
        entry, payload = line.envelope.encode(), line.payload.encode()
        envelope = parse_envelope(entry, line.position)
        if not _agree(line, envelope, entry):
            raise LineDiffers(position=line.position, stream=envelope.stream)
        if self._folder.read(f"entries/{line.position}.json") != entry:
            raise DecisionNotWhole(position=line.position, stream=envelope.stream)
        if SALT.fullmatch(line.salt) is None:
            raise PayloadDiffers(position=line.position, stream=envelope.stream)
        check_payload(line.position, envelope, bytes.fromhex(line.salt), payload)
        self._check_proof(line.position, entry, envelope.stream)
        return Event(line.position, entry, envelope, payload)

    def _check_proof(self, position: int, entry: bytes, stream: str) -> None:
        name = f"proofs/{position}.tlog-proof"
        if name not in self._folder.names:
            if position <= self._size:
                raise ProofMissing(position=position, stream=stream)
            self._report.lacks(
                f"a proof of position {position}: the checkpoint here is of {self._size} events;"
                " what is beyond it is said by whoever made the folder"
            )
            self._report.unproven += 1
            return
        proof = parse_proof(self._folder.read(name))
        if proof.index != position - 1:
            raise ProofMalformed(position=position)
        check_proof(proof, entry, self._policy)

    def _check_stream(self, events: list[Event]) -> None:
        """Check that they are the events of one stream, each behind the one before, from the first."""
        before, stream = "", events[0].envelope.stream if events else None
        if not events or events[0].envelope.type != SUBMITTED:
            raise DecisionNotWhole(stream=stream)
        for version, event in enumerate(events, 1):
            envelope = event.envelope
            if (envelope.stream, envelope.version, envelope.prev) != (stream, version, before):
                raise DecisionNotWhole(position=event.position, stream=envelope.stream)
            before = leaf_hash(event.entry).hex()

    def _check_files(self, events: list[Event]) -> None:
        attached = [event for event in events if event.envelope.type == ATTACHED]
        erased = self._erased()
        for number, event in enumerate(attached, 1):
            found = self._folder.below(f"files/{number:03}-")
            if not found:
                told = ": erased, says whoever made the folder" if event.position in erased else ""
                self._report.lacks(f"the file that was attached at position {event.position}{told}")
                continue
            self._attached.add(found[0])
            wanted = msgspec.json.decode(event.payload, type=_Attached).sha256
            with self._folder.path(found[0]).open("rb") as file:
                if file_digest(file, "sha256").hexdigest() != wanted:
                    raise AttachedDiffers(file=found[0], position=event.position)

    def _erased(self) -> list[int]:
        """Read at which positions files were attached that are said to be erased; nobody can prove that here."""
        if ERASED not in self._folder.names:
            return []
        try:
            return msgspec.json.decode(self._folder.read(ERASED), type=list[int])
        except (msgspec.MsgspecError, UnicodeError) as broken:
            raise LinesMalformed(file=ERASED, reason=str(broken)) from broken

    def _check_names(self, events: tuple[Event, ...]) -> None:
        """Check that there is nothing that nobody has looked at, but for what is told."""
        own = {f"entries/{event.position}.json" for event in events}
        own |= {f"proofs/{event.position}.tlog-proof" for event in events}
        known = {EVENTS, SUPPORTING, PEOPLE, CHECKPOINT, ERASED, SUMS, *TOLD, *own, *self._attached}
        for name in sorted(self._folder.names - known):
            raise FileUnexpected(file=name)

    def _check_people(self, events: list[Event]) -> None:
        """Check each name that is told against the registration that commits to it."""
        registrations = (
            read_registration(event.position, event.envelope, event.payload)
            for event in events
            if event.envelope.type == REGISTERED
        )
        committed = {one.person: one.commitment for one in registrations}
        for person in self._people():
            username, email, full_name = person.username, person.email, person.full_name
            if (username, email, full_name) == (None, None, None):
                continue
            if username is None or email is None or full_name is None:  # a registration commits to all three
                raise NameDiffers(person=person.person)
            told = name_digest(username=username, email=email, full_name=full_name, salt=_salt(person))
            if committed.get(person.person) != told:
                raise NameDiffers(person=person.person)

    def _people(self) -> list[_Person]:
        raw = self._folder.read(PEOPLE)
        try:
            people = msgspec.json.decode(raw, type=list[_Person])
        except (msgspec.MsgspecError, UnicodeError) as broken:
            raise LinesMalformed(file=PEOPLE, reason=str(broken)) from broken
        if names_twice(raw, people):
            raise LinesMalformed(file=PEOPLE, reason="it says one thing twice")
        return people


def _name_of(submitted: Event) -> str:
    """Say which decision it is, as its submission does, and not as the page beside it."""
    try:
        return msgspec.json.decode(submitted.payload, type=_Submitted).decision_id
    except (msgspec.MsgspecError, UnicodeError):
        return ""


def _agree(line: Line, envelope: Envelope, entry: bytes) -> bool:
    """Tell whether a line repeats what its envelope says."""
    fields = ("event_id", "stream", "version", "type", "schema_version", "actor")
    at = line.recorded_at
    return (
        all(getattr(line, name) == getattr(envelope, name) for name in fields)
        and line.leaf_hash == leaf_hash(entry).hex()
        and at.utcoffset() == timedelta(0)
        and at.strftime("%Y-%m-%dT%H:%M:%S.%fZ") == envelope.recorded_at
    )


def _salt(person: _Person) -> bytes:
    try:
        return bytes.fromhex(person.salt)
    except ValueError as broken:
        raise NameDiffers(person=person.person) from broken
