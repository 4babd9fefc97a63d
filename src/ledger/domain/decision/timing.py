"""What time does to a decision: half of it over, all of it, the deadline, an override that nobody countersigned.

Timers may come late, twice or too early; what is not due, or has happened, changes nothing.
"""

from datetime import timedelta
from enum import StrEnum
from typing import Final

import msgspec

from ledger.domain.decision import rules
from ledger.domain.decision.claiming import ends_with
from ledger.domain.decision.commands import Expire, LapseOverride, PassMilestone
from ledger.domain.decision.events import (
    DecisionEvent,
    DecisionExpired,
    EscalationCause,
    Milestone,
    MilestonePassed,
    OverrideLapsed,
    ReleaseCause,
)
from ledger.domain.decision.state import (
    Case,
    DecisionState,
    DutyStanding,
    InReview,
    Pending,
    Resolved,
    deadline_of,
    is_overdue,
)
from ledger.domain.decision.voting import up
from ledger.domain.event import Utc

CAUSES: Final = {Milestone.HALF_TIME: EscalationCause.HALF_TIME, Milestone.BREACH: EscalationCause.BREACH}


class Timer(StrEnum):
    """What may fall due, in the order in which it counts at one moment."""

    HALF_TIME = "half_time"
    BREACH = "breach"
    DEADLINE = "deadline"
    COUNTERSIGN = "countersign"


class Clocks(msgspec.Struct, frozen=True, kw_only=True):
    """What the moments of an open decision follow from, while no question stops them; ``None`` never comes.

    ``is_stopped``: a question does, for ``pause_seconds`` at most. ``passed`` are the milestones that were noted.
    """

    half_at: Utc | None
    target_at: Utc | None
    deadline_at: Utc | None
    pause_seconds: int
    is_stopped: bool = False
    passed: tuple[Milestone, ...] = ()


def clocks_of(case: Case) -> Clocks:
    """Read a decision's clocks.

    Half time is when half of the time that its policy gave is left to the moment a verdict is wanted by or, without
    one, to the deadline: a pause before it does not shorten it.
    """
    policy, question = case.policy, case.question
    wanted = case.target_at or case.deadline_at
    given = policy.deadline_seconds if case.target_at is None else policy.target_seconds
    return Clocks(
        half_at=None if wanted is None or given is None else wanted - timedelta(seconds=given) / 2,
        target_at=case.target_at,
        deadline_at=case.deadline_at,
        pause_seconds=policy.information_seconds,
        is_stopped=question is not None and question.pauses_clock,
        passed=case.milestones,
    )


def due_moments(clocks: Clocks) -> dict[Timer, Utc]:
    """Say what of an open decision falls due when, if the submitter goes on owing an answer.

    A breach is of the target alone: at a deadline the decision expires, and no milestone comes at it or after it.
    """
    pause = timedelta(seconds=clocks.pause_seconds if clocks.is_stopped else 0)
    wishes = (
        (Timer.HALF_TIME, None if Milestone.HALF_TIME in clocks.passed else clocks.half_at),
        (Timer.BREACH, None if Milestone.BREACH in clocks.passed else clocks.target_at),
    )
    end = clocks.deadline_at
    found = {timer: at + pause for timer, at in wishes if at is not None and (end is None or at < end)}
    return found if end is None else {**found, Timer.DEADLINE: end + pause}


def milestone_at(case: Case, milestone: Milestone) -> Utc | None:
    """Say when a milestone is due; ``None``: never, or it has passed."""
    return due_moments(clocks_of(case)).get(Timer(milestone.value))


def pass_milestone(command: PassMilestone, state: DecisionState) -> tuple[DecisionEvent, ...]:
    """Note it, and move the decision up where its policy says so and there is a higher level."""
    if not isinstance(state, Pending | InReview) or is_overdue(state.case, command.now):
        return ()
    case, now = state.case, command.now
    due = milestone_at(case, command.milestone)
    if due is None or now < due:
        return ()
    passed = MilestonePassed(at=now, milestone=command.milestone)
    if not (_escalates(case, command.milestone) and rules.can_move_up(case)):
        return (passed,)
    released = ends_with(state, ReleaseCause.ESCALATED, by=None, now=now)
    return (passed, *released, up(case, CAUSES[command.milestone], now=now))


def _escalates(case: Case, milestone: Milestone) -> bool:
    policy = case.policy
    return policy.escalates_at_half if milestone is Milestone.HALF_TIME else policy.escalates_at_breach


def expire(command: Expire, state: DecisionState) -> tuple[DecisionEvent, ...]:
    """End it with its policy's default: an expiry, never a human verdict."""
    if not isinstance(state, Pending | InReview):
        return ()
    case, deadline = state.case, deadline_of(state.case)
    if deadline is None or command.now < deadline:
        return ()
    expired = DecisionExpired(
        at=command.now,
        deadline_at=deadline,
        default_outcome=case.policy.default_outcome,
        human_seen=case.human_seen,
    )
    return (expired,)


def lapse_override(command: LapseOverride, state: DecisionState) -> tuple[DecisionEvent, ...]:
    """Note that the time to countersign is over."""
    duty = state.duty if isinstance(state, Resolved) else None
    if duty is None or duty.standing is not DutyStanding.OPEN or command.now < duty.countersign_by:
        return ()
    return (OverrideLapsed(at=command.now, countersign_by=duty.countersign_by),)
