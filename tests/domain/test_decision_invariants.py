"""Any people, policies, clocks and sequences of commands: what always holds of a decision."""

from itertools import pairwise

import msgspec
from hypothesis import HealthCheck, settings
from hypothesis.stateful import invariant

from ledger.domain.decider import fold
from ledger.domain.decision.decide import DECISION
from ledger.domain.decision.events import (
    Choice,
    ClaimReleased,
    ClaimRenewed,
    DecisionClaimed,
    DecisionEscalated,
    DecisionResolved,
    DecisionSubmitted,
    Outcome,
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
from tests.builders import ADA
from tests.domain.decision_machine import Work
from tests.domain.given import survives_storage


class Decisions(Work):
    """What holds after every step."""

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
