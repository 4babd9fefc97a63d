"""The records of the prototype, as version 1 of the events that they became (ADR 0016).

STORAGE FORMAT, and frozen: no release writes anything else as version 1 of these types. A payload is the
prototype's own record, its field names and its local times as they were, the people in it replaced by their ids,
beside a block ``imported``. The block holds the offset of each local time, because zone rules change: what was
read as one moment must never become another with the next release of the zone tables.
"""

from datetime import UTC, datetime
from typing import Final, TypeVar

import msgspec

from ledger.upcasters.step import Json

R = TypeVar("R")

UNTOLD: Final = "00000000-0000-0000-0000-000000000000"
"""Whoever submitted, where the prototype did not keep it; nobody is ever registered under this id."""


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """How the local times of a record were read: in ``time_zone``, each with its offset, for example ``+01:00``.

    ``is_assumed``: nobody said that it was this zone. A time that has an offset of its own is not in ``offsets``.
    """

    time_zone: str
    is_assumed: bool
    offsets: dict[str, str]


class SubmissionReading(Reading, frozen=True, kw_only=True):
    """The same for a submission; ``submitted_by`` is whom the operator named."""

    submitted_by: str = UNTOLD


class AnswerReading(Reading, frozen=True, kw_only=True):
    """The same for an answer, with what the import knew of the submission that it answers.

    Items of the prototype never changed: ``subject_digest`` names what the person was shown. ``level`` is
    how often it had been escalated by then.
    """

    subject_digest: str
    level: int


class RegistrationReading(Reading, frozen=True, kw_only=True):
    """The same for an account; ``commitment`` stands for the name and the address that were left out."""

    commitment: str


class DeactivationReading(Reading, frozen=True, kw_only=True):
    """The same for an account that was inactive; since when, the prototype did not keep: it was so at ``seen_at``."""

    seen_at: str


class Submission(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="decision-submitted"):
    """``decision-submitted`` version 1: an item of ``decisions``."""

    analysis_id: str
    incident_id: str | None
    threat_level: str
    source_ip: str
    attributed_actor: str | None
    confidence: float
    iocs: tuple[str, ...]
    ttps: tuple[str, ...]
    recommended_actions: tuple[str, ...]
    forensic_summary: str
    priority: str
    created_at: str
    imported: SubmissionReading


class AnswerRecord(msgspec.Struct, frozen=True, kw_only=True, tag_field="type"):
    """An item of ``responses``."""

    decision_id: str
    status: str
    approved_actions: tuple[str, ...]
    notes: str | None
    decided_by: str
    decided_at: str
    escalation_reason: str | None
    imported: AnswerReading


class VoteAnswer(AnswerRecord, frozen=True, kw_only=True, tag="vote-cast"):
    """``vote-cast`` version 1: an answer that approved or rejected, as the vote it was."""


class VerdictAnswer(AnswerRecord, frozen=True, kw_only=True, tag="decision-resolved"):
    """``decision-resolved`` version 1: the same answer, as the end it made."""


class EscalationAnswer(AnswerRecord, frozen=True, kw_only=True, tag="decision-escalated"):
    """``decision-escalated`` version 1: an answer that escalated."""


class Registration(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="account-registered"):
    """``account-registered`` version 1: an item of ``users``, without name and address."""

    person: str
    role: str
    is_active: bool
    created_at: str
    imported: RegistrationReading


class Deactivation(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="account-deactivated"):
    """``account-deactivated`` version 1: an item of ``users`` that was not active."""

    person: str
    is_active: bool
    imported: DeactivationReading


def read(payload: Json, record: type[R]) -> R:
    """Read a payload as the record it is.

    Raises:
        msgspec.ValidationError: it is none.
    """
    return msgspec.convert(payload, type=record)


def moment(local: str, field: str, reading: Reading) -> str:
    """Read a time as UTC: by the offset that the import found for ``field``, else by its own, else as UTC.

    Raises:
        ValueError: it is no time.
    """
    read_as = datetime.fromisoformat(local + reading.offsets.get(field, ""))
    if read_as.tzinfo is None:
        read_as = read_as.replace(tzinfo=UTC)
    return str(msgspec.to_builtins(read_as.astimezone(UTC)))  # as events of today are written


def told(reading: Reading) -> Json:
    """Say in today's words how the times were read."""
    return {"time_zone": reading.time_zone, "is_assumed": reading.is_assumed}
