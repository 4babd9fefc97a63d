"""What happened to a decision, as sentences that people read: who it was, and what they did."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TypeAlias, assert_never

from ledger.domain.decision.events import (
    ClaimReleased,
    ClaimRenewed,
    CommentAdded,
    DecisionAssigned,
    DecisionCancelled,
    DecisionClaimed,
    DecisionEscalated,
    DecisionEvent,
    DecisionExpired,
    DecisionOverridden,
    DecisionReprioritised,
    DecisionResolved,
    DecisionSubmitted,
    DecisionSuperseded,
    DecisionWithdrawn,
    EvidenceAttached,
    HandoverOffered,
    InformationProvided,
    InformationRequested,
    MilestonePassed,
    OutcomeReported,
    OverrideCountersigned,
    OverrideLapsed,
    ResponseRedeemed,
    VoteCast,
    VotesInvalidated,
)
from ledger.domain.decision.item import Item, KindItem
from ledger.domain.ids import PersonId

_Unasked: TypeAlias = VotesInvalidated | MilestonePassed | DecisionExpired | OverrideLapsed
_Work: TypeAlias = (
    DecisionClaimed
    | ClaimRenewed
    | ClaimReleased
    | HandoverOffered
    | DecisionAssigned
    | DecisionReprioritised
    | VoteCast
    | DecisionEscalated
)
_Talk: TypeAlias = InformationRequested | InformationProvided | CommentAdded | EvidenceAttached


def who(event: DecisionEvent) -> PersonId | None:
    """Say who did it; ``None``: nobody, a timer or a count of votes."""
    match event:
        case DecisionSubmitted():
            return event.submitted_by
        case DecisionClaimed() | ClaimRenewed():
            return event.holder
        case VoteCast():
            return event.voter
        case DecisionResolved():
            return event.decided_by
        case VotesInvalidated() | MilestonePassed() | DecisionExpired() | OverrideLapsed():
            return None
        case _:
            return event.by


def what(event: DecisionEvent) -> str:
    """Say what they did."""
    match event:
        case DecisionSubmitted():
            return f"submitted it, {event.priority.value}, {_about(event.item)}"
        case DecisionResolved():
            return f"settled it: {event.outcome.value}"
        case VotesInvalidated() | MilestonePassed() | DecisionExpired() | OverrideLapsed():
            return _unasked(event)
        case InformationRequested() | InformationProvided() | CommentAdded() | EvidenceAttached():
            return _talk(event)
        case (
            DecisionClaimed()
            | ClaimRenewed()
            | ClaimReleased()
            | HandoverOffered()
            | DecisionAssigned()
            | DecisionReprioritised()
            | VoteCast()
            | DecisionEscalated()
        ):
            return _work(event)
        case _:
            return _end(event)


def _work(event: _Work) -> str:  # noqa: PLR0911 - one for each event
    match event:
        case DecisionClaimed():
            return f"took it until {_moment(event.expires_at)}"
        case ClaimRenewed():
            return f"keeps it until {_moment(event.expires_at)}"
        case ClaimReleased():
            return f"gave it back ({event.cause.value.replace('_', ' ')}){_quoted(event.reason)}"
        case HandoverOffered():
            return "offered it to a colleague"
        case DecisionAssigned():
            whom = "everybody again" if event.to is None else "one person"
            return f"assigned it to {whom}{_in_bulk(event)}{_quoted(event.reason)}"
        case DecisionReprioritised():
            return f"made it {event.priority.value}{_quoted(event.reason)}"
        case VoteCast():
            changes = " with changes" if event.changes else ""
            verb = f"voted to {event.choice.value}{changes}"
            return f"{verb}{_actions(event.approved_actions)}{_in_bulk(event)}{_quoted(event.notes)}"
        case DecisionEscalated():
            why = _quoted(event.reason) or f" ({event.cause.value.replace('_', ' ')})"
            noted = "" if event.notes in {"", event.reason} else f"; notes: “{event.notes}”"
            return f"moved it up to level {event.level}{why}{noted}"
        case _:
            assert_never(event)


def _talk(event: _Talk) -> str:
    match event:
        case InformationRequested():
            return f"asked the submitter{_quoted(event.question)}"
        case InformationProvided():
            changed = "" if event.item is None else ", and changed the item"
            return f"answered{_quoted(event.answer)}{changed}"
        case CommentAdded():
            return f"said{_quoted(event.text)}"
        case EvidenceAttached():
            return f"attached {event.name}, {event.size:,} bytes"
        case _:
            assert_never(event)


def _unasked(event: _Unasked) -> str:
    match event:
        case VotesInvalidated():
            return f"voided the votes so far ({event.cause.value.replace('_', ' ')})"
        case MilestonePassed():
            return f"passed a milestone ({event.milestone.value.replace('_', ' ')})"
        case DecisionExpired():
            seen = "" if event.human_seen else ", unseen"
            return f"let it expire{seen}: {event.default_outcome.value}"
        case OverrideLapsed():
            return "let the override lapse"
        case _:
            assert_never(event)


_End: TypeAlias = (
    DecisionWithdrawn
    | DecisionSuperseded
    | DecisionCancelled
    | DecisionOverridden
    | OverrideCountersigned
    | ResponseRedeemed
    | OutcomeReported
)


def _end(event: _End) -> str:  # noqa: PLR0911 - one for each event
    match event:
        case DecisionWithdrawn():
            return f"withdrew it{_quoted(event.reason)}"
        case DecisionSuperseded():
            return f"asked for {event.successor} instead{_quoted(event.reason)}"
        case DecisionCancelled():
            return f"cancelled it{_quoted(event.reason)}"
        case DecisionOverridden():
            return f"overrode all rules: {event.outcome.value}, {event.ticket}{_quoted(event.reason)}"
        case OverrideCountersigned():
            return f"countersigned the override{_quoted(event.notes)}"
        case ResponseRedeemed():
            return "redeemed the approval"
        case OutcomeReported():
            how = "success" if event.succeeded else "failure"
            return f"reported {how}{_quoted(event.details)}"
        case _:
            assert_never(event)


def _about(item: Item) -> str:
    return item.name if isinstance(item, KindItem) else f"{item.confidence:g} % sure"


def _in_bulk(event: VoteCast | DecisionAssigned) -> str:
    return "" if event.bulk is None else ", with others"


def _actions(actions: Sequence[str]) -> str:
    return f" {', '.join(actions)}" if actions else ""


def _moment(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def _quoted(text: str) -> str:
    return f": “{text}”" if text else ""
