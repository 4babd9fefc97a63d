"""Votes, and what comes of them: a verdict, a way up, or waiting for more."""

from typing import Final, assert_never

from ledger.domain.authority import at_work, require
from ledger.domain.decision import rules
from ledger.domain.decision.claiming import ends_with, release_of
from ledger.domain.decision.commands import CastVote, Escalate
from ledger.domain.decision.events import (
    Choice,
    DecisionEscalated,
    DecisionEvent,
    DecisionResolved,
    EscalationCause,
    InvalidationCause,
    Outcome,
    ReleaseCause,
    VoteCast,
    VotesInvalidated,
)
from ledger.domain.decision.evolving import vote_of
from ledger.domain.decision.item import Change, changed, subject_digest
from ledger.domain.decision.state import Case, DecisionState, Lease, Vote
from ledger.domain.errors import RuleViolation
from ledger.domain.event import Utc
from ledger.domain.ids import Digest
from ledger.domain.json_pointer import PointsNowhere, is_within
from ledger.domain.terms import Action, GroupQuorum, Policy

SUM_UP: Final = {
    EscalationCause.NO_QUORUM: InvalidationCause.NO_QUORUM,
    EscalationCause.CONFLICT: InvalidationCause.CONFLICT,
}


class ParameterNotEditable(RuleViolation):
    """The policy of this decision does not let approvers change this.

    Context: the JSON ``pointer``.
    """

    code = "parameter-not-editable"
    advice = "Approve it as it is, or reject it and say what should change."


class OnlyApprovalsChange(RuleViolation):
    """Only an approval can come with other parameters."""

    code = "only-approvals-change"
    advice = "Leave the parameters away, or approve."


class AllVotesAreIn(RuleViolation):
    """As many have voted as the policy asks, and they do not agree."""

    code = "all-votes-are-in"
    advice = "An administrator can override or cancel it."


def vote(command: CastVote, state: DecisionState) -> tuple[DecisionEvent, ...]:
    """Count a voice: it ends the decision where enough agree, else the voter's lease, for the next one."""
    require(command.by, rules.REVIEWERS)
    at_work(command.by)
    opened = rules.must_be_open(state, command.now)
    case = opened.case
    rules.must_be_eligible(case, command.by)
    rules.must_be_for(case, command.by)
    rules.must_have_stepped_up(case, command.by, command.now)
    lease = rules.must_be_free_for(command.by.person, opened, command.now)
    rules.must_present(command, case, lease)
    rules.must_be_what_was_shown(command.subject_digest, case)
    rules.must_be_allowed(command.approved_actions, case)
    rules.must_give_notes(command, case)
    must_lack_votes(case)
    cast = _vote_cast(command, case, lease)
    votes = (*case.votes, vote_of(cast))
    resolved = _resolved(cast, case, votes)
    if resolved is not None:
        return (cast, resolved)
    released = (
        () if lease is None else (release_of(lease, ReleaseCause.RELEASED, by=cast.voter, now=command.now),)
    )
    return (cast, *released, *_moved_up(case, votes, command.now))


def must_lack_votes(case: Case) -> None:
    """Refuse one more vote where as many as may are in.

    Raises:
        AllVotesAreIn: they are, and settled nothing.
    """
    if case.policy.voters is not None and len(case.votes) >= case.policy.voters:
        raise AllVotesAreIn(decision_id=case.decision_id)


def _vote_cast(command: CastVote, case: Case, lease: Lease | None) -> VoteCast:
    changes, approves = _edited(command, case)
    return VoteCast(
        at=command.now,
        voter=command.by.person,
        session=command.by.session,
        choice=command.choice,
        approved_actions=command.approved_actions,
        notes=command.notes,
        subject_digest=case.subject_digest,
        level=case.level,
        lease_id=None if lease is None else lease.lease_id,
        fencing_token=None if lease is None else lease.fencing_token,
        changes=changes,
        approves=approves,
        groups=command.by.groups,
        bulk=command.bulk,
    )


def _edited(command: CastVote, case: Case) -> tuple[tuple[Change, ...], Digest | None]:
    """Give the changes an approver makes, and the digest of the item with them (``None``: without any)."""
    if command.parameters and command.choice is not Choice.APPROVE:
        raise OnlyApprovalsChange(decision_id=case.decision_id, choice=command.choice)
    for parameter in command.parameters:
        if not _is_editable(parameter.pointer, case.policy):
            raise ParameterNotEditable(decision_id=case.decision_id, pointer=parameter.pointer)
    item, changes = changed(case.item, command.parameters)
    if not changes:
        return (), None
    return changes, subject_digest(case.decision_id, item, case.kind_version, case.asked_priority)


def _is_editable(pointer: str, policy: Policy) -> bool:
    try:
        return any(is_within(pointer, editable) for editable in policy.editable_parameters)
    except PointsNowhere:
        return False


def _resolved(last: VoteCast, case: Case, votes: tuple[Vote, ...]) -> DecisionResolved | None:
    """End it where enough approve the very same thing, or enough reject it."""
    mine = vote_of(last)
    agreeing = tuple(vote for vote in votes if vote.choice is mine.choice and vote.approves == mine.approves)
    match last.choice:
        case Choice.APPROVE:
            enough = is_quorum(agreeing, case.policy)
        case Choice.REJECT:
            enough = len(agreeing) >= case.policy.rejections_needed
        case Choice.ABSTAIN:
            enough = False
        case _:
            assert_never(last.choice)
    if not enough:
        return None
    approved = last.choice is Choice.APPROVE
    return DecisionResolved(
        at=last.at,
        outcome=Outcome.APPROVED if approved else Outcome.REJECTED,
        decided_by=last.voter,
        approved_actions=_allowed_by_all(last, agreeing) if approved else last.approved_actions,
        notes=last.notes,
        subject_digest=last.subject_digest,
        approvals=sum(vote.choice is Choice.APPROVE for vote in votes),
        rejections=sum(vote.choice is Choice.REJECT for vote in votes),
        changes=last.changes,
        approved_digest=last.approves,
    )


def _allowed_by_all(last: VoteCast, agreeing: tuple[Vote, ...]) -> tuple[Action, ...]:
    return tuple(
        action for action in last.approved_actions if all(action in vote.actions for vote in agreeing)
    )


def is_quorum(approvals: tuple[Vote, ...], policy: Policy) -> bool:
    """Say whether these approvals of one thing are enough, in number and by groups."""
    return _would_be_quorum(approvals, policy, more=0)


def _would_be_quorum(approvals: tuple[Vote, ...], policy: Policy, *, more: int) -> bool:
    """Say whether these approvals of one thing and so many ``more``, by whomever they take, are enough."""
    missing = max(policy.approvals_needed - len(approvals), _empty_seats(approvals, policy.groups))
    return missing <= more


def _empty_seats(approvals: tuple[Vote, ...], asked: tuple[GroupQuorum, ...]) -> int:
    """Count the approvals that the groups still miss, when each person counts for one of their groups.

    Seats and persons are matched by augmenting paths: whoever sits already moves over, if they can, for somebody
    who has no other seat.
    """
    seats = [quorum.group for quorum in asked for _ in range(quorum.approvals)]
    taken: dict[int, int] = {}

    def sit(person: int, tried: set[int]) -> bool:
        for seat, group in enumerate(seats):
            if seat in tried or group not in approvals[person].groups:
                continue
            tried.add(seat)
            if seat not in taken or sit(taken[seat], tried):
                taken[seat] = person
                return True
        return False

    for person in range(len(approvals)):
        sit(person, set())
    return len(seats) - len(taken)


def _moved_up(case: Case, votes: tuple[Vote, ...], now: Utc) -> tuple[DecisionEvent, ...]:
    """Move up what the voters cannot settle: the next level decides afresh."""
    cause = _deadlock(case.policy, votes)
    if cause is None or not rules.can_move_up(case):
        return ()
    return (
        up(case, cause, now=now),
        VotesInvalidated(at=now, cause=SUM_UP[cause]),
    )


def _deadlock(policy: Policy, votes: tuple[Vote, ...]) -> EscalationCause | None:
    choices = {vote.choice for vote in votes}
    if policy.escalates_on_conflict and {Choice.APPROVE, Choice.REJECT} <= choices:
        return EscalationCause.CONFLICT
    if policy.voters is not None and not _can_still_agree(policy, votes, policy.voters - len(votes)):
        return EscalationCause.NO_QUORUM
    return None


def _can_still_agree(policy: Policy, votes: tuple[Vote, ...], missing: int) -> bool:
    """Say whether ``missing`` more votes, all alike, could end it."""
    approvals = [vote for vote in votes if vote.choice is Choice.APPROVE]
    rejections = sum(vote.choice is Choice.REJECT for vote in votes)
    wanted = {vote.approves for vote in approvals} or {None}
    return rejections + missing >= policy.rejections_needed or any(
        _would_be_quorum(tuple(vote for vote in approvals if vote.approves == item), policy, more=missing)
        for item in wanted
    )


def escalate(command: Escalate, state: DecisionState) -> tuple[DecisionEvent, ...]:
    """Move it up because a person says so; their claim ends."""
    require(command.by, rules.REVIEWERS)
    at_work(command.by)
    opened = rules.must_be_open(state, command.now)
    rules.must_be_escalable(command.reason, opened.case)
    rules.must_be_allowed(command.approved_actions, opened.case)
    lease = rules.must_be_free_for(command.by.person, opened, command.now)
    rules.must_be_for(opened.case, command.by)
    rules.must_hold_what_is_named(command, opened.case, lease)
    if command.subject_digest is not None:
        rules.must_be_what_was_shown(command.subject_digest, opened.case)
    escalated = up(opened.case, EscalationCause.PERSON, now=command.now, command=command)
    by = command.by.person
    return (*ends_with(state, ReleaseCause.ESCALATED, by=by, now=command.now), escalated)


def up(case: Case, cause: EscalationCause, *, now: Utc, command: Escalate | None = None) -> DecisionEscalated:
    """Say that it moves up a level, to the group that the policy's ladder names; ``command`` is a person's."""
    by = None if command is None else command.by
    level = case.level + 1
    group = next(iter(case.policy.ladder[level - 1 : level]), None)
    return DecisionEscalated(
        at=now,
        by=None if by is None else by.person,
        session=None if by is None else by.session,
        cause=cause,
        reason="" if command is None else command.reason,
        level=level,
        approved_actions=() if command is None else command.approved_actions,
        notes="" if command is None else command.notes,
        group=group or None,
    )
