"""Any people, policies, clocks and sequences of commands: what always holds of a decision."""

from datetime import timedelta
from itertools import pairwise

import hypothesis.strategies as st
import msgspec
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from ledger.domain.authority import Authority, Role
from ledger.domain.decider import fold
from ledger.domain.decision.commands import DecisionCommand
from ledger.domain.decision.decide import DECISION
from ledger.domain.decision.events import (
    Action,
    Choice,
    ClaimReleased,
    ClaimRenewed,
    DecisionClaimed,
    DecisionEscalated,
    DecisionResolved,
    DecisionSubmitted,
    Outcome,
    Policy,
    ReasonMode,
    VoteCast,
)
from ledger.domain.decision.state import (
    DecisionState,
    InReview,
    Pending,
    Resolved,
    answer_of,
    live_lease,
    status_of,
)
from ledger.domain.errors import LedgerError
from ledger.domain.ids import Digest, PersonId
from tests.builders import (
    ADA,
    ANA,
    BEN,
    DIGEST,
    ENGINE,
    LEA,
    NOW,
    SAM,
    VIC,
    authority,
    cast_vote,
    claim,
    escalate,
    lease,
    policy,
    release,
    renew,
    session_of,
    submit,
)
from tests.domain.given import survives_storage

REASONS = st.sampled_from(["", " ", "beyond me"])
ACTIONS = st.lists(st.sampled_from(Action), max_size=2).map(tuple)
CHOICES = st.sampled_from(Choice)
PEOPLE = st.sampled_from([SAM, ANA, BEN, LEA, ADA])
SUBMITTERS = st.sampled_from([ENGINE, SAM, ADA])
POLICIES = st.builds(
    policy,
    approvals=st.integers(1, 3),
    rejections=st.integers(1, 3),
    four_eyes=st.booleans(),
    reason=st.sampled_from(ReasonMode),
    step_up_seconds=st.sampled_from([None, None, 60]),
    levels=st.integers(0, 2),
    allowed=st.sampled_from([tuple(Action), (Action.BLOCK_IP, Action.NO_ACTION)]),
)
TOKENS = st.none() | st.integers(0, 4)
"""How many leases ago; ``None``: none is presented."""


class Decisions(RuleBasedStateMachine):
    """People, some with sessions that end, work on one decision while time passes."""

    def __init__(self) -> None:
        super().__init__()
        self.now = NOW
        self.events: list = []
        self.state: DecisionState = DECISION.initial
        self.logins: dict[PersonId, int] = {}
        self.ended: set[PersonId] = set()
        self.stepped_up: dict[PersonId, object] = {}
        self.granted = 0

    def acting(self, person: PersonId) -> Authority:
        return authority(
            person,
            session=session_of(person, self.logins.get(person, 0)),
            session_is_live=person not in self.ended,
            stepped_up_at=self.stepped_up.get(person),
        )

    def presented(self, ago: int | None) -> int | None:
        return None if ago is None else max(self.granted - ago, 1)

    def ask(self, command: DecisionCommand) -> bool:
        """Say whether it was granted, and let happen what it causes."""
        before = msgspec.json.encode(self.state)
        try:
            caused = DECISION.decide(command, self.state)
        except LedgerError:
            return False
        finally:
            assert msgspec.json.encode(self.state) == before
        for event in caused:
            self.events.append(event)
            self.state = DECISION.evolve(self.state, event)
        return True

    @initialize(by=SUBMITTERS, policy=POLICIES)
    def submitting(self, by: PersonId, policy: Policy) -> None:
        assert self.ask(submit(by=by, policy=policy, now=self.now))

    @rule(by=SUBMITTERS)
    def submitting_again(self, by: PersonId) -> None:
        assert not self.ask(submit(by=by, now=self.now))

    @rule(seconds=st.sampled_from([1, 59, 299, 300, 301]))
    def waiting(self, seconds: int) -> None:
        self.now += timedelta(seconds=seconds)

    @rule(by=PEOPLE)
    def stepping_up(self, by: PersonId) -> None:
        self.stepped_up[by] = self.now

    @rule(by=PEOPLE)
    def ending_a_session(self, by: PersonId) -> None:
        session = self.acting(by).session
        self.ended.add(by)
        held = live_lease(self.state, self.now)
        if held is not None and held.session == session:
            assert self.ask(release(by=None, token=held.fencing_token, now=self.now))
            assert live_lease(self.state, self.now) is None

    @rule(by=PEOPLE)
    def logging_in(self, by: PersonId) -> None:
        self.logins[by] = self.logins.get(by, 0) + 1
        self.ended.discard(by)

    @rule(by=PEOPLE, reason=REASONS)
    def claiming(self, by: PersonId, reason: str) -> None:
        before = live_lease(self.state, self.now)
        granted = self.ask(claim(by=self.acting(by), token=self.granted + 1, reason=reason, now=self.now))
        after = live_lease(self.state, self.now)
        self.granted = max(self.granted, after.fencing_token if after else 0)
        if before is not None and before.holder != by and not (by == LEA and reason.strip()):
            assert not granted

    @rule(by=PEOPLE, ago=TOKENS)
    def renewing(self, by: PersonId, ago: int | None) -> None:
        self.must_hold(by, self.presented(ago or 0), renew)

    @rule(by=PEOPLE, ago=TOKENS)
    def releasing(self, by: PersonId, ago: int | None) -> None:
        self.must_hold(by, self.presented(ago or 0), release)

    def must_hold(self, by: PersonId, token: int, wish) -> None:
        held = live_lease(self.state, self.now)
        if self.ask(wish(by=self.acting(by), token=token, now=self.now)):
            assert held is not None
            assert (held.holder, held.lease_id) == (by, lease(token))

    @rule(
        by=PEOPLE,
        choice=CHOICES,
        actions=ACTIONS,
        notes=REASONS,
        ago=TOKENS,
        digest=st.sampled_from([None, DIGEST, Digest("0" * 64)]),
    )
    def voting(self, *, by, choice, actions, notes, ago, digest) -> None:
        held = live_lease(self.state, self.now)
        token = self.presented(ago)
        asking = cast_vote(
            by=self.acting(by),
            choice=choice,
            actions=actions,
            notes=notes,
            token=token,
            digest=digest,
            now=self.now,
        )
        if self.ask(asking):
            assert by not in self.ended
            assert held is None or held.holder == by
            assert token is None or token == held.fencing_token
            assert digest in {None, DIGEST}

    @precondition(lambda self: not isinstance(self.state, Resolved))
    @rule(by=PEOPLE, choice=CHOICES)
    def voting_well(self, by: PersonId, choice: Choice) -> None:
        """As ``voting``, with nothing missing, so that decisions are reached."""
        self.stepped_up[by] = self.now
        held = live_lease(self.state, self.now)
        token = held.fencing_token if held is not None and held.holder == by else None
        self.ask(
            cast_vote(
                by=self.acting(by), choice=choice, token=token, notes="seen", digest=DIGEST, now=self.now
            )
        )

    @rule(by=st.none() | PEOPLE, reason=REASONS, actions=ACTIONS)
    def escalating(self, by: PersonId | None, reason: str, actions: tuple[Action, ...]) -> None:
        asking = self.acting(by) if by else None
        if self.ask(escalate(by=asking, reason=reason, actions=actions, now=self.now)):
            assert live_lease(self.state, self.now) is None
            assert isinstance(self.state, Pending)

    @rule(wish=st.sampled_from([claim, renew, release, cast_vote, escalate]))
    def looking_on(self, wish) -> None:
        assert not self.ask(wish(by=VIC, now=self.now))

    def of(self, event_type):
        return [event for event in self.events if isinstance(event, event_type)]

    @invariant()
    def the_fold_of_the_events_is_the_state(self) -> None:
        assert fold(DECISION, self.events) == self.state

    @invariant()
    def it_is_submitted_once_and_first(self) -> None:
        assert [isinstance(event, DecisionSubmitted) for event in self.events] == [True] + [False] * (
            len(self.events) - 1
        )

    @invariant()
    def one_lease_lives_at_a_time(self) -> None:
        held = None
        for event in self.events:
            match event:
                case DecisionClaimed():
                    assert held is None or held.expires_at <= event.at
                    held = event
                case ClaimRenewed():
                    assert event.lease_id == held.lease_id
                    assert (
                        event.at < held.expires_at < event.expires_at or held.expires_at == event.expires_at
                    )
                    held = msgspec.structs.replace(held, expires_at=event.expires_at)
                case ClaimReleased():
                    assert event.lease_id == held.lease_id
                    assert event.at < held.expires_at
                    held = None
                case VoteCast(lease_id=lease_id) if lease_id is not None:
                    assert (lease_id, event.fencing_token, event.voter) == (
                        held.lease_id,
                        held.fencing_token,
                        held.holder,
                    )
        assert (held is not None and self.now < held.expires_at) or live_lease(self.state, self.now) is None

    @invariant()
    def fencing_tokens_grow(self) -> None:
        tokens = [event.fencing_token for event in self.of(DecisionClaimed)]
        assert all(earlier < newer for earlier, newer in pairwise(tokens))

    @invariant()
    def a_person_is_counted_once(self) -> None:
        voters = [vote.voter for vote in self.of(VoteCast)]
        assert len(set(voters)) == len(voters)

    @invariant()
    def under_four_eyes_the_submitter_stays_out(self) -> None:
        for submission in self.of(DecisionSubmitted):
            if submission.policy.four_eyes:
                assert submission.submitted_by not in {vote.voter for vote in self.of(VoteCast)}
                assert submission.submitted_by not in {taken.holder for taken in self.of(DecisionClaimed)}

    @invariant()
    def who_escalated_does_not_vote_afterwards(self) -> None:
        escalators = set()
        for event in self.events:
            if isinstance(event, DecisionEscalated) and event.by != ADA:
                escalators.add(event.by)
            assert not (isinstance(event, VoteCast) and event.voter in escalators)

    @invariant()
    def levels_rise_one_by_one_to_the_highest(self) -> None:
        levels = [event.level for event in self.of(DecisionEscalated)]
        assert levels == list(range(1, len(levels) + 1))
        assert all(
            len(levels) <= submission.policy.escalation_levels for submission in self.of(DecisionSubmitted)
        )

    @invariant()
    def one_terminal_event_and_nothing_after_it(self) -> None:
        ends = [at for at, event in enumerate(self.events) if isinstance(event, DecisionResolved)]
        assert ends in ([], [len(self.events) - 1])
        assert isinstance(self.state, Resolved) is bool(ends)

    @invariant()
    def the_threshold_is_what_decides(self) -> None:
        for submission in self.of(DecisionSubmitted):
            choices = [vote.choice for vote in self.of(VoteCast)]
            approved = choices.count(Choice.APPROVE) >= submission.policy.approvals_needed
            rejected = choices.count(Choice.REJECT) >= submission.policy.rejections_needed
            assert [verdict.outcome for verdict in self.of(DecisionResolved)] == (
                [Outcome.APPROVED] if approved else [Outcome.REJECTED] if rejected else []
            )
            assert not (approved and rejected)

    @invariant()
    def only_actions_of_the_policy_are_answered(self) -> None:
        answer = answer_of(self.state)
        if answer is not None:
            assert set(answer.approved_actions) <= set(self.state.case.policy.allowed_actions)
            assert status_of(self.state, self.now) is answer.status

    @invariant()
    def it_is_in_review_while_somebody_holds_it(self) -> None:
        if self.events and answer_of(self.state) is None:
            held = live_lease(self.state, self.now) is not None
            assert (status_of(self.state, self.now).value == "in_review") is held
            assert isinstance(self.state, Pending | InReview)

    @invariant()
    def everything_reads_back_from_storage(self) -> None:
        assert all(survives_storage(event) for event in self.events)
        assert msgspec.json.decode(msgspec.json.encode(self.state), type=DecisionState) == self.state


Decisions.TestCase.settings = settings(
    max_examples=250,
    stateful_step_count=50,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
TestDecisions = Decisions.TestCase


def test_the_people_of_the_machine_are_reviewers():
    assert {authority(person).role for person in (SAM, ANA, BEN, LEA, ADA)} == {Role.ANALYST, Role.ADMIN}
