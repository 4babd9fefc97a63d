"""Any people, groups, policies, clocks and sequences of commands: what always holds of a decision's history."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from itertools import pairwise, permutations
from typing import Final

import msgspec
import pytest
from hypothesis import HealthCheck, settings

from ledger.domain.decider import fold
from ledger.domain.decision.decide import DECISION
from ledger.domain.decision.events import (
    Choice,
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
    InformationProvided,
    InformationRequested,
    Milestone,
    MilestonePassed,
    Outcome,
    OutcomeReported,
    OverrideCountersigned,
    OverrideLapsed,
    ReleaseCause,
    ResponseRedeemed,
    VoteCast,
    VotesInvalidated,
)
from ledger.domain.decision.item import payload_of, subject_digest
from ledger.domain.decision.state import Closed, DecisionState, Resolved, Status, answer_of
from ledger.domain.ids import Digest
from ledger.domain.json_pointer import is_within, put
from ledger.domain.terms import DefaultOutcome, Policy
from tests.builders import LEA
from tests.domain.decision_machine import ADMINS, Work
from tests.support.examples import examples

History = Sequence[DecisionEvent]

ENDS: Final = (
    DecisionResolved,
    DecisionOverridden,
    DecisionExpired,
    DecisionWithdrawn,
    DecisionSuperseded,
    DecisionCancelled,
)
AFTERWARDS: Final = (
    CommentAdded,
    OverrideCountersigned,
    OverrideLapsed,
    ResponseRedeemed,
    OutcomeReported,
)


def of(history: History, *types: type[DecisionEvent]) -> list:
    return [event for event in history if isinstance(event, types)]


def submission(history: History) -> DecisionSubmitted:
    return history[0]


def it_is_submitted_once_and_first(history: History) -> None:
    assert of(history, DecisionSubmitted) == [history[0]]


def it_ends_once_and_afterwards_nobody_works_on_it(history: History) -> None:
    ends = [at for at, event in enumerate(history) if isinstance(event, ENDS)]
    assert len(ends) <= 1
    for at in ends:
        assert all(isinstance(event, AFTERWARDS) for event in history[at + 1 :])


def one_lease_lives_at_a_time_and_a_vote_names_it(history: History) -> None:
    held = None
    for event in history:
        match event:
            case DecisionClaimed():
                assert held is None or held.expires_at <= event.at
                held = event
            case ClaimRenewed():
                assert event.lease_id == held.lease_id
                assert event.at < held.expires_at <= event.expires_at
                held = msgspec.structs.replace(held, expires_at=event.expires_at)
            case ClaimReleased():
                assert (event.lease_id, event.holder) == (held.lease_id, held.holder)
                assert event.at < held.expires_at
                held = None
            case VoteCast():
                lives = held is not None and event.at < held.expires_at
                named = (held.lease_id, held.fencing_token) if lives else (None, None)
                assert (event.lease_id, event.fencing_token) == named
                assert not lives or event.voter == held.holder
            case DecisionEscalated():
                assert held is None or held.expires_at <= event.at
            case InformationRequested():
                assert held.holder == event.by
                assert event.at < held.expires_at


def fencing_tokens_grow(history: History) -> None:
    tokens = [event.fencing_token for event in of(history, DecisionClaimed)]
    assert all(earlier < newer for earlier, newer in pairwise(tokens))


def rounds(history: History) -> list[list[VoteCast]]:
    """Give the votes that are counted together; what voids them begins another round."""
    found: list[list[VoteCast]] = [[]]
    for event in of(history, VoteCast, VotesInvalidated):
        if isinstance(event, VotesInvalidated):
            found.append([])
        else:
            found[-1].append(event)
    return found


def a_person_is_counted_once_until_votes_are_void(history: History) -> None:
    for votes in rounds(history):
        assert len({vote.voter for vote in votes}) == len(votes)
        assert submission(history).policy.voters is None or len(votes) <= submission(history).policy.voters


def a_vote_is_for_what_was_current(history: History) -> None:
    current = submission(history).subject_digest
    votes = 0
    for event, follower in pairwise([*history, None]):
        match event:
            case InformationProvided(subject_digest=digest):
                assert isinstance(follower, VotesInvalidated) is (digest != current and votes > 0)
                current = digest
            case VoteCast() | DecisionResolved() | DecisionOverridden():
                assert event.subject_digest == current
                votes += 1
            case VotesInvalidated():
                votes = 0


def under_four_eyes_whoever_asked_stays_out(history: History) -> None:
    asked = submission(history)
    if asked.policy.four_eyes:
        out = {asked.submitted_by, asked.on_behalf_of}
        assert not out & {event.voter for event in of(history, VoteCast)}
        assert not out & {event.holder for event in of(history, DecisionClaimed)}
        assert not out - {None} & {event.to for event in of(history, DecisionAssigned)}
        assert not out & {event.decided_by for event in of(history, DecisionResolved)}


def who_escalated_does_not_vote_afterwards(history: History) -> None:
    escalators = set()
    for event in history:
        if isinstance(event, DecisionEscalated):
            escalators.add(event.by)
        assert not (isinstance(event, VoteCast) and event.voter in escalators - ADMINS)


def levels_rise_one_by_one_to_the_highest_each_with_its_group(history: History) -> None:
    terms = submission(history).policy
    raised = of(history, DecisionEscalated)
    assert [event.level for event in raised] == list(range(1, len(raised) + 1))
    assert len(raised) <= terms.escalation_levels
    for event in raised:
        assert (event.group or "") == (*terms.ladder, *[""] * event.level)[event.level - 1]


def members_of_its_level_vote_or_administrators(history: History) -> None:
    terms = submission(history).policy
    groups = set(terms.reviewers)
    for event in of(history, DecisionEscalated, VoteCast):
        if isinstance(event, DecisionEscalated):
            groups = {event.group} - {None}
        else:
            assert not groups or groups & set(event.groups) or event.voter in ADMINS


def what_is_assigned_is_worked_on_by_the_assignee_or_a_lead(history: History) -> None:
    assignee = None
    for event in history:
        match event:
            case DecisionAssigned():
                assignee = event.to
            case DecisionEscalated():
                assignee = None
            case VoteCast() | DecisionClaimed():
                person = event.voter if isinstance(event, VoteCast) else event.holder
                assert assignee in {None, person} or person in {LEA, *ADMINS}
                assignee = None if isinstance(event, VoteCast) and assignee == person else assignee


def approves(vote: VoteCast) -> Digest | None:
    return (vote.approves or vote.subject_digest) if vote.choice is Choice.APPROVE else None


def is_settled(votes: Sequence[VoteCast], terms: Policy) -> bool:
    """Say by trial whether the last of these votes settles it."""
    last = votes[-1]
    if last.choice is Choice.REJECT:
        return [vote.choice for vote in votes].count(Choice.REJECT) >= terms.rejections_needed
    seats = [quorum.group for quorum in terms.groups for _ in range(quorum.approvals)]
    alike = [vote for vote in votes if last.choice is Choice.APPROVE and approves(vote) == approves(last)]
    return len(alike) >= terms.approvals_needed and any(
        all(seat in vote.groups for seat, vote in zip(seats, chosen, strict=True))
        for chosen in permutations(alike, len(seats))
    )


def a_quorum_and_only_a_quorum_settles_it(history: History) -> None:
    terms, votes = submission(history).policy, []
    for event, follower in pairwise([*history, None]):
        if isinstance(event, VoteCast):
            votes.append(event)
            assert is_settled(votes, terms) is isinstance(follower, DecisionResolved)
        elif isinstance(event, VotesInvalidated):
            votes = []
        elif isinstance(event, DecisionResolved):
            the_last_vote_says_what_was_decided(event, votes)


def the_last_vote_says_what_was_decided(verdict: DecisionResolved, votes: Sequence[VoteCast]) -> None:
    last = votes[-1]
    approved = last.choice is Choice.APPROVE
    assert verdict.outcome is (Outcome.APPROVED if approved else Outcome.REJECTED)
    assert (verdict.decided_by, verdict.at) == (last.voter, last.at)
    assert (verdict.changes, verdict.approved_digest) == (last.changes, last.approves)
    if approved:
        alike = [vote for vote in votes if approves(vote) == approves(last)]
        assert all(set(verdict.approved_actions) <= set(vote.approved_actions) for vote in alike)


def only_actions_of_the_policy_are_answered(history: History) -> None:
    answered = of(history, VoteCast, DecisionResolved, DecisionEscalated, DecisionOverridden)
    for event in answered:
        assert set(event.approved_actions) <= set(submission(history).policy.allowed_actions)


def only_editable_parameters_change_and_the_digest_names_the_outcome(history: History) -> None:
    asked = submission(history)
    item = asked.item
    for event in history:
        if isinstance(event, InformationProvided) and event.item is not None:
            item = event.item
        if isinstance(event, VoteCast) and event.changes:
            payload = payload_of(item)
            for change in event.changes:
                assert any(is_within(change.pointer, pointer) for pointer in asked.policy.editable_parameters)
                payload = put(payload, change.pointer, msgspec.json.decode(change.after))
            approved = msgspec.convert({**payload, "kind": "threat_analysis"}, type(item))
            assert event.approves == subject_digest(asked.decision_id, approved, 1, asked.priority)
            assert event.approves != event.subject_digest
            assert event.choice is Choice.APPROVE


class Clock(msgspec.Struct):
    """The time that has run, worked out step by step."""

    policy: Policy
    submitted_at: datetime
    paused: timedelta = timedelta()
    stopped_at: datetime | None = None

    def pause(self, now: datetime) -> timedelta:
        if self.stopped_at is None:
            return timedelta()
        return min(now - self.stopped_at, timedelta(seconds=self.policy.information_seconds))

    def ran(self, now: datetime) -> timedelta:
        return now - self.submitted_at - self.paused - self.pause(now)

    def follow(self, event: DecisionEvent) -> None:
        if isinstance(event, InformationRequested) and event.pauses_clock:
            self.stopped_at = event.at
        elif isinstance(event, InformationProvided):
            self.paused += self.pause(event.at)
            self.stopped_at = None

    def is_over(self, seconds: float | None, now: datetime) -> bool:
        return seconds is not None and self.ran(now) >= timedelta(seconds=seconds)


def nothing_counts_after_the_deadline_and_nothing_expires_before_it(history: History) -> None:
    asked = submission(history)
    clock = Clock(asked.policy, asked.at)
    for event in history:
        ends_a_session = isinstance(event, ClaimReleased) and event.cause is ReleaseCause.SESSION_ENDED
        if isinstance(event, DecisionExpired):
            assert clock.is_over(asked.policy.deadline_seconds, event.at)
            assert clock.is_over(asked.policy.deadline_seconds, event.deadline_at)
            assert event.deadline_at <= event.at
        elif not (ends_a_session or isinstance(event, AFTERWARDS)):
            assert not clock.is_over(asked.policy.deadline_seconds, event.at)
        clock.follow(event)


def milestones_are_passed_once_and_not_before_they_are_due(history: History) -> None:
    asked = submission(history)
    clock = Clock(asked.policy, asked.at)
    target, deadline = asked.policy.target_seconds, asked.policy.deadline_seconds
    due = {Milestone.HALF_TIME: (target or deadline or 0) / 2, Milestone.BREACH: target}
    for event in history:
        if isinstance(event, MilestonePassed):
            assert clock.is_over(due.pop(event.milestone), event.at)
        clock.follow(event)


def one_question_is_open_at_a_time_and_the_submitter_answers(history: History) -> None:
    said = of(history, InformationRequested, InformationProvided)
    assert [type(event) for event in said] == [InformationRequested, InformationProvided] * (
        len(said) // 2
    ) + [InformationRequested] * (len(said) % 2)
    assert {event.by for event in of(history, InformationProvided)} <= {submission(history).submitted_by}


def an_expiry_is_never_a_human_verdict(history: History) -> None:
    for event in of(history, DecisionExpired):
        state = fold(DECISION, history)
        answer = answer_of(state)
        assert isinstance(state, Closed)
        assert (answer.status, answer.decided_by, answer.approved_actions) == (Status.EXPIRED, None, ())
        assert event.default_outcome is submission(history).policy.default_outcome
        assert (state.approved is not None) is (event.default_outcome is DefaultOutcome.APPROVE)
        assert event.human_seen is any(
            isinstance(seen, DecisionClaimed | VoteCast)
            or (isinstance(seen, DecisionEscalated) and seen.by is not None)
            for seen in history
        )


def approved_in(history: History) -> Digest | None:
    """Work out from the end, and not from the state, what may be used."""
    current = [submission(history), *of(history, InformationProvided)][-1].subject_digest
    for end in of(history, *ENDS):
        match end:
            case DecisionResolved(outcome=Outcome.APPROVED):
                return end.approved_digest or current
            case DecisionOverridden(outcome=Outcome.APPROVED):
                return current
            case DecisionExpired(default_outcome=DefaultOutcome.APPROVE):
                return current
    return None


def an_approval_is_used_once_by_the_submitter_as_it_was_given_and_in_time(history: History) -> None:
    used = of(history, ResponseRedeemed)
    assert len(used) <= 1
    assert len(of(history, OutcomeReported)) <= 1
    for event in [*used, *of(history, OutcomeReported)]:
        assert approved_in(history) is not None
        assert event.by == submission(history).submitted_by
    for event in used:
        assert event.digest == approved_in(history)
        lapsed = [lapse.at for lapse in of(history, OverrideLapsed)]
        assert all(event.at < at for at in lapsed)
        seconds = submission(history).policy.redeem_seconds
        decided_at = of(history, *ENDS)[0].at
        assert seconds is None or event.at - decided_at < timedelta(seconds=seconds)


def an_override_is_countersigned_by_another_administrator_in_time_or_lapses(history: History) -> None:
    overrides = of(history, DecisionOverridden)
    after = of(history, OverrideCountersigned, OverrideLapsed)
    assert len(after) <= len(overrides) <= 1
    for event in after:
        duty = overrides[0]
        if isinstance(event, OverrideLapsed):
            assert duty.countersign_by <= event.at
        else:
            assert event.at < duty.countersign_by
            assert event.by in ADMINS - {duty.by}


def reprioritising_leaves_what_was_shown(history: History) -> None:
    assert {event.by for event in of(history, DecisionReprioritised)} <= {LEA, *ADMINS}


ALWAYS: Final[tuple[Callable[[History], None], ...]] = (
    it_is_submitted_once_and_first,
    it_ends_once_and_afterwards_nobody_works_on_it,
    one_lease_lives_at_a_time_and_a_vote_names_it,
    fencing_tokens_grow,
    a_person_is_counted_once_until_votes_are_void,
    a_vote_is_for_what_was_current,
    under_four_eyes_whoever_asked_stays_out,
    who_escalated_does_not_vote_afterwards,
    levels_rise_one_by_one_to_the_highest_each_with_its_group,
    members_of_its_level_vote_or_administrators,
    what_is_assigned_is_worked_on_by_the_assignee_or_a_lead,
    a_quorum_and_only_a_quorum_settles_it,
    only_actions_of_the_policy_are_answered,
    only_editable_parameters_change_and_the_digest_names_the_outcome,
    nothing_counts_after_the_deadline_and_nothing_expires_before_it,
    milestones_are_passed_once_and_not_before_they_are_due,
    one_question_is_open_at_a_time_and_the_submitter_answers,
    an_expiry_is_never_a_human_verdict,
    an_approval_is_used_once_by_the_submitter_as_it_was_given_and_in_time,
    an_override_is_countersigned_by_another_administrator_in_time_or_lapses,
    reprioritising_leaves_what_was_shown,
)


class Decisions(Work):
    """What holds of the whole history; a history that breaks a rule breaks it to its end."""

    def teardown(self) -> None:
        if not self.events:
            return
        assert fold(DECISION, self.events) == self.state
        assert msgspec.json.decode(msgspec.json.encode(self.state), type=DecisionState) == self.state
        assert isinstance(self.state, Resolved | Closed) is bool(of(self.events, *ENDS))
        for always in ALWAYS:
            always(self.events)


Decisions.TestCase.settings = settings(
    max_examples=examples(250),
    stateful_step_count=60,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
TestDecisions = pytest.mark.thorough(Decisions.TestCase)
