"""Any people, groups, policies, clocks and sequences of all commands, done to one decision."""

from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import hypothesis.strategies as st
import msgspec
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from msgspec.structs import replace

from ledger.domain.authority import Authority, Role
from ledger.domain.decision.commands import Colleague, DecisionCommand
from ledger.domain.decision.decide import DECISION
from ledger.domain.decision.events import Choice, DecisionEvent, Milestone, Outcome, Priority
from ledger.domain.decision.item import Item, KindItem, Parameter
from ledger.domain.decision.state import (
    Case,
    Closed,
    DecisionState,
    InReview,
    Pending,
    Resolved,
    is_overdue,
    live_lease,
    status_of,
)
from ledger.domain.errors import LedgerError
from ledger.domain.ids import DecisionId, Digest, PersonId
from ledger.domain.terms import Action, DefaultOutcome, GroupQuorum, Policy, ReasonMode
from tests.builders import (
    ADA,
    ANA,
    BEN,
    DIGEST,
    ENGINE,
    ITEM,
    LEA,
    NOW,
    ROLES,
    SAM,
    SUSPECT,
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
from tests.builders.workflow_commands import (
    NEWER,
    accept_handover,
    assign,
    attach_evidence,
    cancel,
    comment,
    countersign,
    lapse_override,
    offer_handover,
    override,
    pass_milestone,
    provide_information,
    redeem,
    report_outcome,
    reprioritise,
    request_information,
    supersede,
    time_out,
    withdraw,
)
from tests.domain.given import survives_storage

EVE: Final = PersonId(UUID(int=9))
"""Another administrator."""
ADMINS: Final = frozenset({ADA, EVE})
ALL: Final = (SAM, ANA, BEN, LEA, ADA, EVE)
GROUPS: Final = ("soc", "legal")
LONG_ENOUGH: Final = 6
OTHER_ITEM: Final = replace(ITEM, source_ip="198.51.100.1")
OTHER_KIND: Final = KindItem(name="transfer", payload="{}")

REASONS = st.sampled_from(["", " ", "beyond me"])
WORDS = st.sampled_from(["why", "why", " "])
ACTIONS = st.lists(st.sampled_from(list(Action)[:3]), max_size=2).map(tuple)
CHOICES = st.sampled_from(Choice)
MOSTLY_YES = st.sampled_from([Choice.APPROVE, Choice.APPROVE, *Choice])
PEOPLE = st.sampled_from(ALL)
ADMINISTRATORS = st.sampled_from([ADA, EVE, ADA, EVE, LEA])
ANYBODY = st.sampled_from([ENGINE, SAM, ANA, LEA, ADA, VIC])
SUBMITTERS = st.sampled_from([ENGINE, ENGINE, SAM, ADA])
SOME_GROUPS = st.lists(st.sampled_from(GROUPS), max_size=2, unique=True).map(tuple)
ITEMS = st.sampled_from([None, None, ITEM, OTHER_ITEM, OTHER_KIND])
PARAMETERS = st.sampled_from(
    [
        *[()] * 4,
        *[(Parameter("/source_ip", '"203.0.113.0"'),)] * 2,
        (Parameter("/source_ip", '"203.0.113.9"'),),
        (Parameter("/iocs/0", '"x"'), Parameter("/iocs/0", '"y"')),
        (Parameter("/confidence", "1.5"),),
    ]
)
QUORUMS = st.sampled_from(
    [(), (), (("soc", 1),), (("soc", 1), ("legal", 1)), (("soc", 2),)],
).map(lambda seats: tuple(GroupQuorum(group=group, approvals=count) for group, count in seats))
CLOCKS = st.sampled_from([(None, None), (None, None), (600, None), (None, 600), (300, 900), (600, 4_000)])


@st.composite
def policies(draw: st.DrawFn) -> Policy:
    target, deadline = draw(CLOCKS)
    groups = draw(QUORUMS)
    least = max(1, sum(quorum.approvals for quorum in groups))
    return replace(
        policy(
            approvals=draw(st.integers(least, 3)),
            rejections=draw(st.integers(1, 3)),
            four_eyes=draw(st.booleans()),
            reason=draw(st.sampled_from(ReasonMode)),
            step_up_seconds=draw(st.sampled_from([None, None, 60])),
            levels=draw(st.integers(0, 2)),
            allowed=draw(st.sampled_from([tuple(Action), (Action.BLOCK_IP, Action.NO_ACTION)])),
        ),
        voters=draw(st.sampled_from([None, None, 3, 4])),
        groups=groups,
        reviewers=draw(st.sampled_from([(), (), ("soc",), GROUPS])),
        ladder=draw(st.sampled_from([(), ("legal",), ("", "soc")])),
        editable_parameters=draw(st.sampled_from([(), ("/source_ip", "/iocs")])),
        target_seconds=target,
        deadline_seconds=deadline,
        escalates_at_half=draw(st.booleans()),
        escalates_at_breach=draw(st.booleans()),
        escalates_on_conflict=draw(st.booleans()),
        default_outcome=draw(st.sampled_from(DefaultOutcome)),
        information_pauses_clock=draw(st.booleans()),
        information_seconds=draw(st.sampled_from([60, 900])),
        redeem_seconds=draw(st.sampled_from([None, 600])),
        countersign_seconds=draw(st.sampled_from([300, 3_600])),
    )


CHOSEN = st.integers(0, 5)
"""Which of those who could do it."""
TOKENS = st.none() | st.integers(0, 4)
"""How many leases ago; ``None``: none is presented."""


def is_open(work: "Work") -> bool:
    return isinstance(work.state, Pending | InReview)


def is_held(work: "Work") -> bool:
    return is_open(work) and live_lease(work.state, work.now) is not None


def is_long(work: "Work") -> bool:
    """Say whether enough has happened for an end: else most histories would be short."""
    return len(work.events) > LONG_ENOUGH


class Work(RuleBasedStateMachine):
    """People, some with sessions that end, work on one decision while time passes."""

    def __init__(self) -> None:
        super().__init__()
        self.now: datetime = NOW
        self.events: list[DecisionEvent] = []
        self.state: DecisionState = DECISION.initial
        self.logins: dict[PersonId, int] = {}
        self.ended: set[PersonId] = set()
        self.paused: set[PersonId] = set()
        self.stepped_up: dict[PersonId, datetime] = {}
        self.groups: dict[PersonId, tuple[str, ...]] = {ANA: ("soc",), BEN: ("legal",), SAM: GROUPS}
        self.granted = 0

    def acting(self, person: PersonId) -> Authority:
        return authority(
            person,
            role=Role.ADMIN if person in ADMINS else ROLES[person],
            session=session_of(person, self.logins.get(person, 0)),
            session_is_live=person not in self.ended,
            is_paused=person in self.paused,
            stepped_up_at=self.stepped_up.get(person),
            groups=self.groups.get(person, ()),
        )

    def known(self, person: PersonId) -> Colleague:
        acting = self.acting(person)
        return Colleague(person=person, role=acting.role, is_active=True, groups=acting.groups)

    def presented(self, ago: int | None) -> int | None:
        return None if ago is None else max(self.granted - ago, 1)

    def current(self) -> Digest:
        return self.state.case.subject_digest

    def ask(self, command: DecisionCommand) -> bool:
        """Say whether it was granted, and let happen what it causes; whoever is refused changes nothing."""
        before = msgspec.json.encode(self.state)
        try:
            caused = DECISION.decide(command, self.state)
        except LedgerError:
            return False
        finally:
            assert msgspec.json.encode(self.state) == before
        for event in caused:
            assert event.at == self.now
            assert survives_storage(event)
            self.events.append(event)
            self.state = DECISION.evolve(self.state, event)
        return True

    @initialize(by=SUBMITTERS, terms=policies(), on_behalf_of=st.sampled_from([None, None, BEN]))
    def submitting(self, by: PersonId, terms: Policy, on_behalf_of: PersonId | None) -> None:
        asking = submit(by=by, policy=terms, on_behalf_of=on_behalf_of, now=self.now)
        assert self.ask(asking)

    @rule(by=SUBMITTERS)
    def submitting_again(self, by: PersonId) -> None:
        assert not self.ask(submit(by=by, now=self.now))

    @rule(seconds=st.sampled_from([1, 59, 299, 300, 301]))
    def waiting(self, seconds: int) -> None:
        self.now += timedelta(seconds=seconds)

    @precondition(is_long)
    @rule(seconds=st.sampled_from([900, 4_000]))
    def waiting_long(self, seconds: int) -> None:
        self.now += timedelta(seconds=seconds)

    @rule(by=PEOPLE)
    def stepping_up(self, by: PersonId) -> None:
        self.stepped_up[by] = self.now

    @rule(by=PEOPLE, groups=SOME_GROUPS)
    def changing_groups(self, by: PersonId, groups: tuple[str, ...]) -> None:
        self.groups[by] = groups

    @rule(by=PEOPLE)
    def having_a_break_or_coming_back(self, by: PersonId) -> None:
        self.paused ^= {by}

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
        self.paused.discard(by)

    @rule(by=PEOPLE, reason=REASONS)
    def claiming(self, by: PersonId, reason: str) -> None:
        before = live_lease(self.state, self.now)
        granted = self.ask(claim(by=self.acting(by), token=self.granted + 1, reason=reason, now=self.now))
        self.remember_lease()
        if before is not None and before.holder != by and not (by == LEA and reason.strip()):
            assert not granted
        if by in self.paused | self.ended:
            assert not granted

    def remember_lease(self) -> None:
        after = live_lease(self.state, self.now)
        self.granted = max(self.granted, after.fencing_token if after else 0)

    @rule(by=PEOPLE, ago=TOKENS)
    def renewing(self, by: PersonId, ago: int | None) -> None:
        self.must_hold(by, self.presented(ago or 0), renew)

    @rule(by=PEOPLE, ago=TOKENS)
    def releasing(self, by: PersonId, ago: int | None) -> None:
        self.must_hold(by, self.presented(ago or 0), release)

    @rule(by=PEOPLE, to=st.sampled_from([SAM, ANA, BEN, LEA, EVE, VIC]))
    def offering(self, by: PersonId, to: PersonId) -> None:
        held = live_lease(self.state, self.now)
        self.must_hold(
            held.holder if held else by,
            self.presented(0),
            lambda **facts: offer_handover(to=self.known(to), **facts),
        )

    @precondition(is_held)
    @rule(by=PEOPLE)
    def accepting(self, by: PersonId) -> None:
        offer = self.state.case.offer
        by = by if offer is None else offer.to
        if self.ask(accept_handover(by=self.acting(by), token=self.granted + 1, now=self.now)):
            assert offer is not None
            assert offer.to == by == live_lease(self.state, self.now).holder
        self.remember_lease()

    def must_hold(self, by: PersonId, token: int | None, wish) -> None:
        held = live_lease(self.state, self.now)
        if self.ask(wish(by=self.acting(by), token=token, now=self.now)):
            assert held is not None
            assert (held.holder, held.lease_id) == (by, lease(token))

    @rule(by=PEOPLE, to=st.none() | PEOPLE, reason=WORDS)
    def assigning(self, by: PersonId, to: PersonId | None, reason: str) -> None:
        whom = None if to is None else self.known(to)
        before = self.state
        if self.ask(assign(by=self.acting(by), to=whom, reason=reason, now=self.now)):
            assert by in {LEA, *ADMINS}
            held = live_lease(self.state, self.now)
            assert self.state == before or to is None or held is None or held.holder == to

    @rule(by=PEOPLE, priority=st.sampled_from(Priority), reason=WORDS)
    def reprioritising(self, by: PersonId, priority: Priority, reason: str) -> None:
        shown = self.current()
        if self.ask(reprioritise(by=self.acting(by), priority=priority, reason=reason, now=self.now)):
            assert self.state.case.priority is priority
        assert self.current() == shown

    @rule(
        by=PEOPLE,
        choice=CHOICES,
        actions=ACTIONS,
        notes=REASONS,
        ago=TOKENS,
        digest=st.sampled_from([None, DIGEST, Digest("0" * 64)]),
        parameters=PARAMETERS,
    )
    def voting(self, *, by, choice, actions, notes, ago, digest, parameters) -> None:
        held, current = live_lease(self.state, self.now), self.current()
        token = self.presented(ago)
        asking = cast_vote(
            by=self.acting(by),
            choice=choice,
            actions=actions,
            notes=notes,
            token=token,
            digest=digest,
            parameters=parameters,
            now=self.now,
        )
        if self.ask(asking):
            assert by not in self.ended | self.paused
            assert held is None or held.holder == by
            assert token is None or token == held.fencing_token
            assert digest in {None, current}

    def at_hand(self, chosen: int) -> PersonId:
        """Bring somebody to work with whom nothing is wrong: the holder, or one who could vote, if anybody could."""
        case, held = self.state.case, live_lease(self.state, self.now)
        able = [person for person in ALL if self.could_vote(case, person)] or ALL
        person = held.holder if held is not None else able[chosen % len(able)]
        self.ended.discard(person)
        self.paused.discard(person)
        self.stepped_up[person] = self.now
        return person

    def could_vote(self, case: Case, person: PersonId) -> bool:
        is_out = case.policy.four_eyes and person in {case.submitted_by, case.on_behalf_of}
        has_voted = person in {vote.voter for vote in case.votes}
        return not (is_out or has_voted or person in set(case.escalators) - ADMINS)

    @precondition(is_open)
    @rule(chosen=CHOSEN, choices=st.lists(MOSTLY_YES, min_size=1, max_size=3), parameters=PARAMETERS)
    def voting_well(self, chosen: int, choices: list[Choice], parameters: tuple[Parameter, ...]) -> None:
        """Vote one after the other with nothing missing, so that decisions are reached."""
        for choice in choices:
            held, by = live_lease(self.state, self.now), self.at_hand(chosen)
            voting = cast_vote(
                by=self.acting(by),
                choice=choice,
                token=None if held is None else held.fencing_token,
                notes="seen",
                digest=self.current(),
                parameters=parameters if choice is Choice.APPROVE else (),
                now=self.now,
            )
            self.ask(voting)

    @precondition(is_open)
    @rule(chosen=CHOSEN)
    def claiming_well(self, chosen: int) -> None:
        by = self.at_hand(chosen)
        self.ask(claim(by=self.acting(by), token=self.granted + 1, now=self.now))
        self.remember_lease()

    @precondition(is_held)
    @rule(chosen=CHOSEN, to=PEOPLE)
    def handing_over_well(self, chosen: int, to: PersonId) -> None:
        by = self.at_hand(chosen)
        asked = offer_handover(by=self.acting(by), token=self.granted, now=self.now)
        self.ask(replace(asked, to=self.known(to)))

    @precondition(is_held)
    @rule(chosen=CHOSEN)
    def asking_back_well(self, chosen: int) -> None:
        by = self.at_hand(chosen)
        self.ask(request_information(by=self.acting(by), token=self.granted, now=self.now))

    @precondition(lambda self: is_open(self) and self.state.case.question is not None)
    @rule(item=ITEMS)
    def answering_well(self, item: Item | None) -> None:
        self.ask(provide_information(by=self.acting(self.submitter()), item=item, now=self.now))

    def submitter(self) -> PersonId:
        by = self.state.case.submitted_by
        self.ended.discard(by)
        return by

    @rule(by=PEOPLE, reason=REASONS, actions=ACTIONS)
    def escalating(self, by: PersonId, reason: str, actions: tuple[Action, ...]) -> None:
        if self.ask(escalate(by=self.acting(by), reason=reason, actions=actions, now=self.now)):
            assert live_lease(self.state, self.now) is None
            assert isinstance(self.state, Pending)

    @rule(milestone=st.sampled_from(Milestone))
    def passing_a_milestone(self, milestone: Milestone) -> None:
        assert self.ask(pass_milestone(milestone, now=self.now))

    @rule()
    def timing_out(self) -> None:
        was_due = isinstance(self.state, Pending | InReview) and is_overdue(self.state.case, self.now)
        assert self.ask(time_out(now=self.now))
        assert not was_due or isinstance(self.state, Closed)

    @rule(by=PEOPLE, ago=TOKENS, question=WORDS)
    def asking_back(self, by: PersonId, ago: int | None, question: str) -> None:
        self.must_hold(
            by, self.presented(ago or 0), lambda **facts: request_information(question=question, **facts)
        )

    @rule(by=ANYBODY, item=ITEMS)
    def answering(self, by: PersonId, item: Item | None) -> None:
        self.ask(provide_information(by=self.acting(by), item=item, now=self.now))

    @precondition(lambda self: len(self.events) % 3 == 0)
    @rule(by=ANYBODY)
    def commenting_and_attaching(self, by: PersonId) -> None:
        self.ask(comment(by=self.acting(by), now=self.now))
        self.ask(attach_evidence(by=self.acting(by), now=self.now))

    @precondition(is_long)
    @rule(
        by=ANYBODY, wish=st.sampled_from([withdraw, supersede]), successor=st.sampled_from([NEWER, SUSPECT])
    )
    def stopping_to_ask(self, by: PersonId, wish, successor: DecisionId) -> None:
        asking = withdraw(by=self.acting(by), now=self.now)
        if wish is supersede:
            asking = supersede(by=self.acting(by), successor=successor, submitted_by=by, now=self.now)
        self.ask(asking)

    @precondition(is_long)
    @rule(by=PEOPLE, reason=WORDS)
    def cancelling(self, by: PersonId, reason: str) -> None:
        if self.ask(cancel(by=self.acting(by), reason=reason, now=self.now)):
            assert by in ADMINS

    @precondition(is_long)
    @rule(by=ADMINISTRATORS, outcome=st.sampled_from(Outcome), reason=WORDS, actions=ACTIONS)
    def overriding(self, by: PersonId, outcome: Outcome, reason: str, actions: tuple[Action, ...]) -> None:
        if actions:
            self.stepped_up[by] = self.now
        if self.ask(
            override(by=self.acting(by), outcome=outcome, reason=reason, actions=actions, now=self.now)
        ):
            assert by in ADMINS - self.ended - self.paused
            assert self.now - self.stepped_up[by] <= timedelta(seconds=300)

    @precondition(lambda self: isinstance(self.state, Resolved))
    @rule(by=ADMINISTRATORS)
    def countersigning(self, by: PersonId) -> None:
        self.stepped_up[by] = self.now
        if self.ask(countersign(by=self.acting(by), now=self.now)):
            assert by in ADMINS - self.ended - self.paused

    @rule()
    def lapsing(self) -> None:
        assert self.ask(lapse_override(now=self.now))

    @precondition(lambda self: isinstance(self.state, Resolved | Closed))
    @rule(by=SUBMITTERS, other=st.booleans(), succeeded=st.booleans())
    def using(self, by: PersonId, *, other: bool, succeeded: bool) -> None:
        by = by if other else self.submitter()
        digest = Digest("0" * 64) if other else self.state.approved or DIGEST
        self.ask(redeem(by=self.acting(by), digest=digest, now=self.now))
        self.ask(report_outcome(by=self.acting(by), succeeded=succeeded, now=self.now))

    @rule(
        wish=st.sampled_from(
            [
                *(claim, renew, release, offer_handover, accept_handover, assign, reprioritise, cast_vote),
                *(escalate, request_information, provide_information, comment, attach_evidence, withdraw),
                *(supersede, cancel, override, countersign, redeem, report_outcome),
            ]
        )
    )
    def looking_on(self, wish) -> None:
        assert not self.ask(wish(by=VIC, now=self.now))

    @invariant()
    def it_stands_as_clock_and_lease_say(self) -> None:
        if not self.events:
            return
        is_open = isinstance(self.state, Pending | InReview)
        status = status_of(self.state, self.now).value
        if is_open and is_overdue(self.state.case, self.now):
            assert status == "expired"
        elif is_open and self.state.case.level == 0:
            assert (status == "in_review") is (live_lease(self.state, self.now) is not None)
        elif is_open:
            assert status == "escalated"
        else:
            assert status == self.state.answer.status
