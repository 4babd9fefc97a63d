"""What happens to the personal data of one person or data subject.

STORAGE FORMAT. Tags, field names and meanings are in every ledger out there. Add a field only with a
default; anything else is a new schema version and owes an upcaster and a golden file (ADR 0004).

These events outlive what they tell of: nothing in them may say who it was. Reasons are free text, and whoever writes
one is told to name nobody.
"""

from enum import StrEnum
from typing import TypeAlias

import msgspec

from ledger.domain.event import Event
from ledger.domain.ids import HoldId, PersonId, SubjectId


class SubjectKind(StrEnum):
    """Whose data it is; the values are wire and storage format."""

    PERSON = "person"
    """Somebody with an account: ``subject`` is their person id."""
    DATA_SUBJECT = "data_subject"
    """Somebody whom items tell of: ``subject`` is derived from the id that their submitter gave them."""


class LegalBasis(StrEnum):
    """Why the law demands it; the values are wire and storage format.

    The first six are the grounds of the GDPR, Article 17(1), letters (a) to (f), in their order.
    """

    NO_LONGER_NEEDED = "no_longer_needed"
    CONSENT_WITHDRAWN = "consent_withdrawn"
    OBJECTION = "objection"
    UNLAWFUL_PROCESSING = "unlawful_processing"
    LEGAL_OBLIGATION = "legal_obligation"
    COLLECTED_FROM_CHILD = "collected_from_child"
    OTHER_LAW = "other_law"
    """Another law, which the reason names."""


class Removed(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How much was erased.

    ``names``: of people; ``credentials``: passwords, second factors, backup codes and API keys; ``sessions``: where
    somebody logged in from; ``messages``: to webhooks, that named them; ``keys``: of sealed fields; ``files``: whose
    content was evidence.
    """

    names: int = 0
    credentials: int = 0
    sessions: int = 0
    messages: int = 0
    keys: int = 0
    files: int = 0


class ErasureRequested(Event, frozen=True, kw_only=True, tag="erasure-requested"):
    """Somebody asks for it; nothing is erased before another administrator approves.

    ``by`` is ``None`` for the operator of the machine.
    """

    kind: SubjectKind
    subject: SubjectId
    basis: LegalBasis
    by: PersonId | None
    reason: str


class ErasureWithdrawn(Event, frozen=True, kw_only=True, tag="erasure-withdrawn"):
    """Whoever asked for it does so no more."""

    by: PersonId
    reason: str


class ErasureRefused(Event, frozen=True, kw_only=True, tag="erasure-refused"):
    """An administrator said no; it may be asked for again."""

    by: PersonId
    reason: str


class SubjectErased(Event, frozen=True, kw_only=True, tag="subject-erased"):
    """What was kept until then is gone, since the transaction that wrote this; ``requested_by`` is ``None`` for the operator."""

    kind: SubjectKind
    subject: SubjectId
    basis: LegalBasis
    requested_by: PersonId | None
    approved_by: PersonId
    removed: Removed


class LegalHoldPlaced(Event, frozen=True, kw_only=True, tag="legal-hold-placed"):
    """Nothing may be erased while this stands; ``by`` is ``None`` for the operator of the machine."""

    kind: SubjectKind
    subject: SubjectId
    hold: HoldId
    by: PersonId | None
    reason: str


class LegalHoldLifted(Event, frozen=True, kw_only=True, tag="legal-hold-lifted"):
    """One hold stands no more; others may; ``by`` is ``None`` for the operator of the machine."""

    hold: HoldId
    by: PersonId | None
    reason: str


SubjectEvent: TypeAlias = (
    ErasureRequested | ErasureWithdrawn | ErasureRefused | SubjectErased | LegalHoldPlaced | LegalHoldLifted
)
