"""Who works on a decision: claims and their leases, handing them over, assigning."""

from datetime import timedelta

from ledger.domain.authority import Authority, InsufficientPermissions, Role, at_work, require
from ledger.domain.decision import rules
from ledger.domain.decision.commands import (
    AcceptHandover,
    Assign,
    ClaimDecision,
    Colleague,
    OfferHandover,
    ReleaseClaim,
    RenewClaim,
    Reprioritise,
)
from ledger.domain.decision.events import (
    ClaimReleased,
    ClaimRenewed,
    DecisionAssigned,
    DecisionClaimed,
    DecisionEvent,
    DecisionReprioritised,
    HandoverOffered,
    ReleaseCause,
)
from ledger.domain.decision.state import Case, DecisionState, InReview, Lease, Offer, case_of, live_lease
from ledger.domain.errors import ReasonMissing, RuleViolation
from ledger.domain.event import Utc
from ledger.domain.ids import LeaseId, PersonId, SessionId


class LeadRequired(InsufficientPermissions):
    """Insufficient permissions: a lead or an administrator does this."""

    code = "lead-required"


class CannotWorkOnIt(RuleViolation):
    """That person cannot work on decisions: they are no active reviewer."""

    code = "colleague-cannot-review"
    advice = "Name an active analyst or administrator."


class HandoverToYourself(RuleViolation):
    """You hold it already: a hand-over is for somebody else."""

    code = "handover-to-yourself"
    advice = "Name a colleague, or give it back."


class NothingOffered(RuleViolation):
    """Nobody has offered to hand it over to you, or their claim has ended since."""

    code = "nothing-offered"
    advice = "Claim it yourself."


def claim(command: ClaimDecision, state: DecisionState) -> tuple[DecisionEvent, ...]:
    """Give out a lease.

    Claiming again what the same session holds changes nothing: the old lease stands, and whoever looks
    for work sees by its ``lease_id`` that this one was taken. Any other living lease, the person's own
    from another session too, is taken over with a reason or not at all.
    """
    require(command.by, rules.REVIEWERS)
    session = at_work(command.by)
    case = rules.must_be_open(state, command.now).case
    rules.must_be_eligible(case, command.by)
    rules.must_be_for(case, command.by)
    lease = live_lease(state, command.now)
    if lease is None:
        return (_claimed(command, case, session),)
    if lease.session == session:
        return ()
    may_take_over = command.by.is_lead or lease.holder == command.by.person
    if not (may_take_over and command.reason.strip()):
        raise rules.lease_held(case, lease)
    released = release_of(
        lease, ReleaseCause.TAKEN_OVER, by=command.by.person, now=command.now, reason=command.reason
    )
    return (released, _claimed(command, case, session))


def _claimed(command: ClaimDecision | AcceptHandover, case: Case, session: SessionId) -> DecisionClaimed:
    return DecisionClaimed(
        at=command.now,
        holder=command.by.person,
        session=session,
        lease_id=command.lease_id,
        fencing_token=case.fencing_token + 1,
        expires_at=_lease_end(case, command.now),
    )


def _lease_end(case: Case, now: Utc) -> Utc:
    return now + timedelta(seconds=case.policy.lease_seconds)


def renew(command: RenewClaim, state: DecisionState) -> tuple[DecisionEvent, ...]:
    """Prolong the lease that the caller holds."""
    case, lease = _held(command.by, command.lease_id, state, command.now)
    renewed = ClaimRenewed(
        at=command.now,
        holder=lease.holder,
        lease_id=lease.lease_id,
        expires_at=_lease_end(case, command.now),
    )
    return (renewed,)


def release(command: ReleaseClaim, state: DecisionState) -> tuple[DecisionEvent, ...]:
    """Give the lease back."""
    if command.by is None:
        return _let_go(command, state)
    _, lease = _held(command.by, command.lease_id, state, command.now)
    return (release_of(lease, ReleaseCause.RELEASED, by=command.by.person, now=command.now),)


def _held(by: Authority, lease_id: LeaseId, state: DecisionState, now: Utc) -> tuple[Case, Lease]:
    require(by, rules.REVIEWERS)
    opened = rules.must_be_open(state, now)
    return opened.case, rules.must_hold(by.person, lease_id, opened, now)


def _let_go(command: ReleaseClaim, state: DecisionState) -> tuple[DecisionEvent, ...]:
    """Release what a finished session held; nobody is there to be refused, so it may be repeated."""
    case_of(state)
    lease = live_lease(state, command.now)
    if lease is None or lease.lease_id != command.lease_id:
        return ()
    return (release_of(lease, ReleaseCause.SESSION_ENDED, by=None, now=command.now),)


def release_of(
    lease: Lease, cause: ReleaseCause, *, by: PersonId | None, now: Utc, reason: str = ""
) -> ClaimReleased:
    """Say that a lease has ended."""
    return ClaimReleased(
        at=now, holder=lease.holder, lease_id=lease.lease_id, cause=cause, by=by, reason=reason
    )


def offer_handover(command: OfferHandover, state: DecisionState) -> tuple[DecisionEvent, ...]:
    """Ask a colleague who could decide it; asking again for the same one changes nothing."""
    case, lease = _held(command.by, command.lease_id, state, command.now)
    if command.to.person == lease.holder:
        raise HandoverToYourself(decision_id=case.decision_id)
    _must_be_able(command.to, case)
    if case.offer == Offer(command.to.person, lease.lease_id):
        return ()
    offered = HandoverOffered(at=command.now, by=lease.holder, to=command.to.person, lease_id=lease.lease_id)
    return (offered,)


def accept_handover(command: AcceptHandover, state: DecisionState) -> tuple[DecisionEvent, ...]:
    """Move the claim to the colleague who was asked, under a lease of their own, and any assignment with it."""
    require(command.by, rules.REVIEWERS)
    session = at_work(command.by)
    case = rules.must_be_open(state, command.now).case
    lease = live_lease(state, command.now)
    if lease is None or case.offer != Offer(command.by.person, lease.lease_id):
        raise NothingOffered(decision_id=case.decision_id)
    rules.must_be_eligible(case, command.by)
    handed = release_of(lease, ReleaseCause.HANDED_OVER, by=command.by.person, now=command.now)
    return (handed, *_reassigned(command, case, lease), _claimed(command, case, session))


def _reassigned(command: AcceptHandover, case: Case, lease: Lease) -> tuple[DecisionAssigned, ...]:
    """Assign what was assigned to the new holder, who could not vote on it otherwise."""
    if case.assigned_to in {None, command.by.person}:
        return ()
    assigned = DecisionAssigned(
        at=command.now, to=command.by.person, by=lease.holder, reason="taken over from them"
    )
    return (assigned,)


def assign(command: Assign, state: DecisionState) -> tuple[DecisionEvent, ...]:
    """Reserve it for a person who could decide it; a claim of somebody else ends."""
    case = _led(command.by, command.reason, state, command.now)
    to = None if command.to is None else command.to.person
    if to == case.assigned_to:
        return ()
    if command.to is not None:
        _must_be_able(command.to, case)
    assigned = DecisionAssigned(
        at=command.now, to=to, by=command.by.person, reason=command.reason, bulk=command.bulk
    )
    lease = live_lease(state, command.now)
    if lease is None or to in {None, lease.holder}:
        return (assigned,)
    return (
        release_of(
            lease, ReleaseCause.ASSIGNED, by=command.by.person, now=command.now, reason=command.reason
        ),
        assigned,
    )


def reprioritise(command: Reprioritise, state: DecisionState) -> tuple[DecisionEvent, ...]:
    """Move it up or down the queue; what people are shown, and its digest, stay as submitted."""
    case = _led(command.by, command.reason, state, command.now)
    if command.priority is case.priority:
        return ()
    moved = DecisionReprioritised(
        at=command.now, priority=command.priority, by=command.by.person, reason=command.reason
    )
    return (moved,)


def _led(by: Authority, reason: str, state: DecisionState, now: Utc) -> Case:
    require(by, rules.REVIEWERS)
    at_work(by)
    if not (by.is_lead or by.role is Role.ADMIN):
        raise LeadRequired(role=by.role.value)
    case = rules.must_be_open(state, now).case
    if not reason.strip():
        raise ReasonMissing(decision_id=case.decision_id)
    return case


def _must_be_able(colleague: Colleague, case: Case) -> None:
    if not (colleague.is_active and colleague.role in rules.REVIEWERS):
        raise CannotWorkOnIt(decision_id=case.decision_id)
    rules.must_be_eligible(case, colleague)


def ends_with(
    state: DecisionState, cause: ReleaseCause, *, by: PersonId | None, now: Utc
) -> tuple[ClaimReleased, ...]:
    """Release the living lease of an open decision, if there is one."""
    lease = state.lease if isinstance(state, InReview) and live_lease(state, now) else None
    return () if lease is None else (release_of(lease, cause, by=by, now=now),)
