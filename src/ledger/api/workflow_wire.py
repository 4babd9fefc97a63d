"""The bodies of the calls that end a decision, talk about it or use its answer."""

from enum import StrEnum
from typing import Annotated, Literal
from uuid import UUID

import msgspec

from ledger.api.wire import MAX_ID, Chosen, JsonObject, Long, Sha256, Short
from ledger.domain.event import Utc
from ledger.domain.ids import DecisionId, Digest


class Withdrawal(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Why, if there is something to say."""

    reason: Long = ""


class Why(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Why; whoever reads the history will ask."""

    reason: Annotated[str, msgspec.Meta(min_length=1, max_length=65_536)]


class Supersession(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which other decision is asked for instead."""

    successor: Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_ID)]
    reason: Long = ""


class OverrideOrder(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A verdict past all rules, and the ticket it is given under; ``subject_digest`` is what was shown."""

    outcome: Literal["approved", "rejected"]
    approved_actions: Chosen
    reason: Annotated[str, msgspec.Meta(min_length=1, max_length=65_536)]
    ticket: Annotated[Short, msgspec.Meta(min_length=1)]
    subject_digest: Sha256 | None = None


class Notes(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What there is to say about it, if anything."""

    notes: Long = ""


class Redemption(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is about to be carried out: the ``approved_digest`` of the response."""

    digest: Sha256


class OutcomeReport(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How it went."""

    succeeded: bool
    details: Long = ""


class Remark(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A comment."""

    text: Annotated[str, msgspec.Meta(min_length=1, max_length=65_536)]


class Inquiry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A question to the submitter, by whoever holds the lease."""

    lease_id: UUID
    question: Annotated[str, msgspec.Meta(min_length=1, max_length=65_536)]


class Reply(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The submitter's answer; ``payload`` is another one of the same kind (left out: it stays as it is)."""

    answer: Annotated[str, msgspec.Meta(min_length=1, max_length=65_536)]
    payload: JsonObject | msgspec.UnsetType = msgspec.UNSET


class Acted(msgspec.Struct, frozen=True, kw_only=True):
    """It is done."""

    message: str
    analysis_id: DecisionId
    at: Utc


class Redeemed(msgspec.Struct, frozen=True, kw_only=True):
    """The approval is used up by this call: carry it out now."""

    analysis_id: DecisionId
    digest: Digest
    redeemed_at: Utc


class Informed(msgspec.Struct, frozen=True, kw_only=True):
    """The answer is there; ``subject_digest`` names what people are shown from now on."""

    message: str
    analysis_id: DecisionId
    at: Utc
    subject_digest: Digest
    votes_are_void: bool
    deadline_at: Utc | None
    target_at: Utc | None


class Saying(StrEnum):
    """What sort of thing was said; wire values."""

    COMMENT = "comment"
    QUESTION = "question"
    ANSWER = "answer"


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """Something said about a decision; ``number`` is its place in the decision's history."""

    number: int
    what: Saying
    by: str
    at: Utc
    text: str
