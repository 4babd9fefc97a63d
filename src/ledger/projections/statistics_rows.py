"""What counts of each item, a row each, and what each person did to it; every count is a sum over such rows."""

from collections.abc import Iterator
from datetime import datetime
from enum import StrEnum
from typing import Final, TypeAlias, assert_never

import msgspec
from msgspec.structs import replace

from ledger.domain.decision.events import (
    Choice,
    DecisionCancelled,
    DecisionClaimed,
    DecisionEscalated,
    DecisionExpired,
    DecisionOverridden,
    DecisionReprioritised,
    DecisionResolved,
    DecisionSubmitted,
    DecisionSuperseded,
    DecisionWithdrawn,
    InformationProvided,
    Outcome,
    Priority,
    VoteCast,
)
from ledger.domain.decision.evolving import Ending, answer_in
from ledger.domain.decision.item import Item, ThreatAnalysis, kind_of
from ledger.domain.decision.state import Status
from ledger.domain.event import Utc
from ledger.domain.ids import PersonId, StreamName, Version
from ledger.domain.terms import Action
from ledger.projections.projection import must_exist
from ledger.store.streams import Recorded

_Later: TypeAlias = (
    DecisionClaimed | DecisionReprioritised | InformationProvided | VoteCast | DecisionEscalated | Ending
)
CountedEvent: TypeAlias = DecisionSubmitted | _Later

ACTIONS: Final = {action.value: action for action in Action}


class Act(StrEnum):
    """What somebody did; stored."""

    CLAIM = "claim"
    APPROVE = "approve"
    REJECT = "reject"
    ABSTAIN = "abstain"
    DECIDE = "decide"
    ESCALATE = "escalate"
    OVERRIDE = "override"


CHOICES: Final = {Choice.APPROVE: Act.APPROVE, Choice.REJECT: Act.REJECT, Choice.ABSTAIN: Act.ABSTAIN}


class ActRow(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that ``person`` (``None``: a timer) did, by the event at ``version`` of the item's stream."""

    version: Version
    act: Act
    person: PersonId | None
    at: Utc
    agrees: bool | None = None
    held_seconds: float | None = None


class Counted(msgspec.Struct, frozen=True, kw_only=True):
    """What counts of one item; ``acts`` are those that are not in the table yet.

    ``recommended`` are the actions that were recommended (``None``: in words that name no actions).
    """

    stream: StreamName
    kind: str
    priority: Priority
    recommended: tuple[Action, ...] | None
    submitted_by: PersonId
    submitted_at: Utc
    level: int = 0
    claimed_at: Utc | None = None
    holder: PersonId | None = None
    held_since: Utc | None = None
    is_answered: bool = False
    status: Status | None = None
    ended_at: Utc | None = None
    is_override: bool = False
    agrees: bool | None = None
    human_seen: bool | None = None
    acts: tuple[ActRow, ...] = ()


def recommended_by(item: Item) -> tuple[Action, ...] | None:
    """List the actions that an item recommends; ``None``: none, or in words that are no actions."""
    if not isinstance(item, ThreatAnalysis):
        return None
    words = {text.strip().casefold() for text in item.recommended_actions}
    if not words or not words <= ACTIONS.keys():
        return None
    return tuple(sorted(ACTIONS[word] for word in words))


def agrees(
    *, approves: bool, actions: tuple[Action, ...], is_changed: bool, recommended: tuple[Action, ...] | None
) -> bool:
    """Say whether a verdict follows the recommendation: it approves, changes nothing and allows just those actions.

    Where the recommendation names no actions, an approval of the item as it is follows it.
    """
    if not approves or is_changed:
        return False
    return recommended is None or set(actions) == set(recommended)


def evolve(row: Counted | None, item: Recorded[CountedEvent]) -> Counted:
    """Count one more event of an item."""
    event = item.event
    if isinstance(event, DecisionSubmitted):
        return Counted(
            stream=item.stream,
            kind=kind_of(event.item),
            priority=event.priority,
            recommended=recommended_by(event.item),
            submitted_by=event.submitted_by,
            submitted_at=event.at,
        )
    row = must_exist(row, item)
    done = tuple(_acts(row, item.version, event))
    return replace(_counted(row, event), acts=(*row.acts, *done))


def _counted(row: Counted, event: _Later) -> Counted:
    match event:
        case DecisionClaimed():
            first = row.claimed_at or event.at
            return replace(row, claimed_at=first, holder=event.holder, held_since=event.at)
        case DecisionReprioritised():
            return replace(row, priority=event.priority)
        case InformationProvided():
            return row if event.item is None else replace(row, recommended=recommended_by(event.item))
        case VoteCast():
            return row
        case DecisionEscalated():
            return replace(row, level=event.level, is_answered=True)
        case _:
            return _ended(row, event)


def _ended(row: Counted, event: Ending) -> Counted:
    ended = replace(row, is_answered=True, status=answer_in(event).status, ended_at=event.at)
    match event:
        case DecisionResolved() | DecisionOverridden():
            is_override = isinstance(event, DecisionOverridden)
            return replace(ended, is_override=is_override, agrees=_follows(row, event))
        case DecisionExpired():
            return replace(ended, human_seen=event.human_seen)
        case DecisionWithdrawn() | DecisionCancelled() | DecisionSuperseded():
            return ended
        case _:
            assert_never(event)


def _follows(row: Counted, event: DecisionResolved | DecisionOverridden) -> bool:
    return agrees(
        approves=event.outcome is Outcome.APPROVED,
        actions=event.approved_actions,
        is_changed=isinstance(event, DecisionResolved) and bool(event.changes),
        recommended=row.recommended,
    )


def _acts(row: Counted, version: Version, event: _Later) -> Iterator[ActRow]:
    match event:
        case DecisionClaimed():
            yield ActRow(version=version, act=Act.CLAIM, person=event.holder, at=event.at)
        case VoteCast():
            yield _vote(row, version, event)
        case DecisionEscalated():
            yield ActRow(version=version, act=Act.ESCALATE, person=event.by, at=event.at)
        case DecisionResolved():
            yield ActRow(version=version, act=Act.DECIDE, person=event.decided_by, at=event.at)
        case DecisionOverridden():
            yield ActRow(version=version, act=Act.OVERRIDE, person=event.by, at=event.at)
        case _:
            return


def _vote(row: Counted, version: Version, event: VoteCast) -> ActRow:
    follows = agrees(
        approves=event.choice is Choice.APPROVE,
        actions=event.approved_actions,
        is_changed=bool(event.changes),
        recommended=row.recommended,
    )
    return ActRow(
        version=version,
        act=CHOICES[event.choice],
        person=event.voter,
        at=event.at,
        agrees=None if event.choice is Choice.ABSTAIN else follows,
        held_seconds=_held_seconds(row, event.voter, event.at),
    )


def _held_seconds(row: Counted, voter: PersonId, at: datetime) -> float | None:
    """Say how long after their claim somebody voted; ``None``: the latest claim is not theirs."""
    if row.holder != voter or row.held_since is None:
        return None
    return max(0.0, (at - row.held_since).total_seconds())
