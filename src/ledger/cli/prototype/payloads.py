"""The prototype's records as version 1 events: what was kept, with person ids, beside how it was read."""

import hashlib
import hmac
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final
from uuid import UUID, uuid5

import msgspec

from ledger.cli.prototype.clock import EARLIEST, Clock
from ledger.cli.prototype.file import Answer, Decision, NotImportable, User
from ledger.domain.archive.events import AuditEntryImported
from ledger.domain.event import Imported
from ledger.domain.ids import CommandId, DecisionId, Digest, EventId, PersonId, StreamName
from ledger.store.appends import NewEvent
from ledger.store.envelope import Provenance
from ledger.store.ledger import Ledger, account_stream
from ledger.store.streams import event_ids
from ledger.upcasters.prototype import (
    UNTOLD,
    AnswerReading,
    AnswerRecord,
    Deactivation,
    DeactivationReading,
    EscalationAnswer,
    Registration,
    RegistrationReading,
    Submission,
    SubmissionReading,
    VerdictAnswer,
    VoteAnswer,
)

IMPORT_SPACE: Final = UUID("0d0f5a57-65c7-4ab3-8d5b-0c6a83b7c0de")
ACTOR: Final = "imported"
"""Who did it, in the envelope of an imported event."""
VERSION: Final = 1
BESIDE_THE_RECORD: Final = frozenset({"type", "at", "imported"})


class Draft(msgspec.Struct, frozen=True, kw_only=True):
    """One record on its way into one stream: a command, its events, and the digest of what each must say."""

    place: str
    kind: str
    stream: StreamName
    provenance: Provenance
    events: tuple[NewEvent, ...]
    said: tuple[bytes, ...]

    def first_event(self) -> EventId:
        """Name the event by which it is known whether the record is in the ledger."""
        return self.events[0].event_id


def said_in(payload: bytes) -> bytes:
    """Compute the digest of what an imported event says of its record, however that was read."""
    record = msgspec.json.decode(payload, type=dict[str, object])
    return said({name: value for name, value in record.items() if name not in BESIDE_THE_RECORD})


def said(record: dict[str, object]) -> bytes:
    """Compute the digest of what a record says: SHA-256 of its canonical JSON."""
    return hashlib.sha256(msgspec.json.encode(record, order="sorted")).digest()


class Drafting:
    """Makes drafts of records; the same record always becomes the same command."""

    def __init__(self, ledger: Ledger, clock: Clock, *, submitter: PersonId | None, now: datetime) -> None:
        """Take the clock of the prototype, whom submissions are ascribed to, and the moment of the import."""
        self._ledger, self._clock, self._now = ledger, clock, now
        self._submitter = UNTOLD if submitter is None else str(submitter)

    def user(self, place: str, user: User, person: PersonId, commitment: Digest) -> Draft:
        """Draft an account, and its deactivation where it was inactive.

        Raises:
            NotImportable: its time is none.
        """
        registration = Registration(
            person=str(person),
            role=user.role,
            is_active=user.is_active,
            created_at=user.created_at,
            imported=RegistrationReading(
                time_zone=self._clock.name,
                is_assumed=self._clock.is_assumed,
                offsets=self._clock.offsets("created_at", user.created_at),
                commitment=commitment,
            ),
        )
        was: dict[str, object] = {"person": str(person), "is_active": user.is_active}
        records: list[tuple[msgspec.Struct, dict[str, object]]] = [
            (registration, {**was, "role": user.role, "created_at": user.created_at})
        ]
        if not user.is_active:
            records.append((self._deactivation(person), was))
        return self._draft(place, "users", account_stream(person), f"user {person}", records)

    def _deactivation(self, person: PersonId) -> Deactivation:
        reading = DeactivationReading(
            time_zone=self._clock.name,
            is_assumed=self._clock.is_assumed,
            offsets={},
            seen_at=self._now.isoformat(),
        )
        return Deactivation(person=str(person), is_active=False, imported=reading)

    def decision(self, place: str, decision: Decision) -> Draft:
        """Draft a submission.

        Raises:
            NotImportable: its time is none.
        """
        reading = SubmissionReading(
            time_zone=self._clock.name,
            is_assumed=self._clock.is_assumed,
            offsets=self._clock.offsets("created_at", decision.created_at),
            submitted_by=self._submitter,
        )
        kept = fields_of(decision)
        record = msgspec.convert({**kept, "imported": reading, "type": "decision-submitted"}, type=Submission)
        stream = self._ledger.decision_stream(DecisionId(decision.analysis_id))
        return self._draft(place, "decisions", stream, f"decision {decision.analysis_id}", [(record, kept)])

    def answer(self, place: str, answer: Answer, by: PersonId, *, digest: Digest, level: int) -> Draft:
        """Draft what somebody decided: a vote and the end it made, or an escalation.

        Raises:
            NotImportable: its time is none.
        """
        reading = AnswerReading(
            time_zone=self._clock.name,
            is_assumed=self._clock.is_assumed,
            offsets=self._clock.offsets("decided_at", answer.decided_at),
            subject_digest=digest,
            level=level,
        )
        kept = {**fields_of(answer), "decided_by": str(by)}
        kinds = (EscalationAnswer,) if answer.status == "escalated" else (VoteAnswer, VerdictAnswer)
        records = [(_answered(kind, kept, reading), kept) for kind in kinds]
        stream = self._ledger.decision_stream(DecisionId(answer.decision_id))
        return self._draft(place, "responses", stream, f"answer {said(kept).hex()}", records)

    def check_time(self, answer: Answer) -> None:
        """Look at nothing but its time.

        Raises:
            NotImportable: it is none.
        """
        self._clock.moment("decided_at", answer.decided_at)

    def age(self, decision: Decision) -> datetime:
        """Say what to sort decisions by; those without a time come first."""
        try:
            return self._clock.moment("created_at", decision.created_at)
        except NotImportable:
            return EARLIEST

    def audit_entry(self, place: str, entry: dict[str, object], occurrence: int) -> Draft:
        """Draft an entry that has no names in it any more, and is the ``occurrence``-th of its kind in the dump.

        Raises:
            NotImportable: its time is none.
        """
        timestamp = str(entry["timestamp"])
        at = self._clock.moment("timestamp", timestamp).astimezone(UTC)
        read = Imported(time_zone=self._clock.name, is_assumed=self._clock.is_assumed)
        made = {**entry, "type": "audit-entry-imported", "at": at, "imported": read}
        event = msgspec.convert(made, type=AuditEntryImported)
        key = f"audit entry {said(entry).hex()} {occurrence}"
        stream = StreamName(f"archive-{self._command_id(key)}")
        return self._draft(place, "audit_log", stream, key, [(event, entry)])

    def _draft(
        self,
        place: str,
        kind: str,
        stream: StreamName,
        key: str,
        records: Sequence[tuple[msgspec.Struct, dict[str, object]]],
    ) -> Draft:
        kept = tuple(said(what) for _, what in records)
        provenance = Provenance(
            actor=ACTOR,
            command_id=self._command_id(key),
            is_keyed=True,
            request=hmac.new(self._ledger.request_key, b"".join(kept), hashlib.sha256).hexdigest(),
        )
        ids = event_ids(provenance, len(records))
        events = tuple(
            NewEvent(
                event_id=event_id,
                type=str(record.__struct_config__.tag),
                schema_version=VERSION,
                payload=msgspec.json.encode(record),
            )
            for event_id, (record, _) in zip(ids, records, strict=True)
        )
        return Draft(place=place, kind=kind, stream=stream, provenance=provenance, events=events, said=kept)

    def _command_id(self, key: str) -> CommandId:
        return CommandId(uuid5(uuid5(IMPORT_SPACE, self._ledger.request_key.hex()), key))


def fields_of(record: msgspec.Struct) -> dict[str, object]:
    """Give the fields of a record as JSON has them."""
    return msgspec.json.decode(msgspec.json.encode(record), type=dict[str, object])


def _answered(kind: type[AnswerRecord], kept: dict[str, object], reading: AnswerReading) -> AnswerRecord:
    tag = str(kind.__struct_config__.tag)
    return msgspec.convert({**kept, "imported": reading, "type": tag}, type=kind)
