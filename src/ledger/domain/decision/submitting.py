"""Asking for a decision."""

from datetime import timedelta

from ledger.domain.authority import require
from ledger.domain.decision import rules
from ledger.domain.decision.commands import SubmitDecision
from ledger.domain.decision.events import DecisionEvent, DecisionSubmitted
from ledger.domain.decision.item import subject_digest
from ledger.domain.decision.state import DecisionState, NotSubmitted
from ledger.domain.event import Utc


def submit(command: SubmitDecision, state: DecisionState) -> tuple[DecisionEvent, ...]:
    """Take the item in, with the rules it will be decided by and the moments these make of the clock."""
    require(command.by, rules.SUBMITTERS)
    if not isinstance(state, NotSubmitted):
        raise rules.AlreadyExists(decision_id=command.decision_id)
    submitted = DecisionSubmitted(
        at=command.now,
        decision_id=command.decision_id,
        item=command.item,
        kind_version=command.kind_version,
        priority=command.priority,
        created_at=command.created_at,
        submitted_by=command.by.person,
        session=command.by.session,
        policy=command.policy,
        subject_digest=subject_digest(
            command.decision_id, command.item, command.kind_version, command.priority
        ),
        on_behalf_of=command.on_behalf_of,
        deadline_at=_after(command.now, command.policy.deadline_seconds),
        target_at=_after(command.now, command.policy.target_seconds),
        sealed_under=command.sealed_under,
    )
    return (submitted,)


def _after(now: Utc, seconds: int | None) -> Utc | None:
    return None if seconds is None else now + timedelta(seconds=seconds)
