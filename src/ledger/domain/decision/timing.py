"""What time does to a decision: half of it over, all of it, the deadline, an override that nobody countersigned.

Timers may come late, twice or too early; what is not due, or has happened, changes nothing.
"""

from typing import Final

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
    longest_pause,
)
from ledger.domain.decision.voting import up
from ledger.domain.event import Utc

CAUSES: Final = {Milestone.HALF_TIME: EscalationCause.HALF_TIME, Milestone.BREACH: EscalationCause.BREACH}


def milestone_at(case: Case, milestone: Milestone) -> Utc | None:
    """Say when a milestone is due; ``None``: never, or it has passed.

    Half time is half way to the moment a verdict is wanted by or, without one, to the deadline. A breach is of the
    target alone: at a deadline the decision expires.
    """
    wanted = case.target_at or case.deadline_at
    if wanted is None or milestone in case.milestones:
        return None
    if milestone is Milestone.BREACH:
        return None if case.target_at is None else case.target_at + longest_pause(case)
    return case.submitted_at + (wanted - case.submitted_at) / 2 + longest_pause(case)


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
