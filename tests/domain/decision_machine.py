"""Any people, policies, clocks and sequences of commands, done to one decision."""

from datetime import timedelta

import hypothesis.strategies as st
import msgspec
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from ledger.domain.authority import Authority
from ledger.domain.decision.commands import DecisionCommand
from ledger.domain.decision.decide import DECISION
from ledger.domain.decision.events import Choice
from ledger.domain.decision.state import (
    DecisionState,
    Pending,
    Resolved,
    live_lease,
)
from ledger.domain.errors import LedgerError
from ledger.domain.ids import Digest, PersonId
from ledger.domain.terms import Action, Policy, ReasonMode
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


class Work(RuleBasedStateMachine):
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

    @rule(by=PEOPLE, reason=REASONS, actions=ACTIONS)
    def escalating(self, by: PersonId, reason: str, actions: tuple[Action, ...]) -> None:
        if self.ask(escalate(by=self.acting(by), reason=reason, actions=actions, now=self.now)):
            assert live_lease(self.state, self.now) is None
            assert isinstance(self.state, Pending)

    @rule(wish=st.sampled_from([claim, renew, release, cast_vote, escalate]))
    def looking_on(self, wish) -> None:
        assert not self.ask(wish(by=VIC, now=self.now))
