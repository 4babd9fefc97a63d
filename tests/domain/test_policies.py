"""Drafting, publishing, withdrawing and retiring policies: who may, and what holds then."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from ledger.domain.authority import AdminRequired, Role, SessionNotLive, StepUpRequired
from ledger.domain.decider import fold
from ledger.domain.errors import LedgerError, ReasonMissing
from ledger.domain.policy.decide import (
    MOST_DRAFTS,
    POLICY,
    NotADraft,
    NotInForce,
    PolicyNotFound,
    PublishedByItsDrafter,
    TooManyDrafts,
)
from ledger.domain.policy.events import PolicyPublished
from ledger.domain.policy.rules import InconsistentPolicy, OutOfRange, must_be_consistent
from ledger.domain.policy.state import InForce, draft_of, terms_of
from ledger.domain.terms import (
    THREAT_ANALYSIS_POLICY,
    Action,
    DefaultOutcome,
    GroupQuorum,
    Policy,
    ReasonMode,
    Risk,
    default_policy,
)
from tests.builders import ADA, ANA, AUDREY, authority, later
from tests.builders.kinds import PAYMENT
from tests.builders.policies import (
    AS_BOSS,
    BOSS,
    draft,
    drafted,
    publish,
    published,
    retire,
    retired,
    terms,
    withdraw,
    withdrawn,
)
from tests.domain.given import Given, survives_storage
from tests.support.examples import thorough

UNTOUCHED = Given(POLICY)
DRAFTED = Given(POLICY, drafted())
IN_FORCE = Given(POLICY, drafted(), published())
WISHES = [draft, publish, withdraw, retire]


def test_a_draft_gets_the_next_version_and_holds_for_nobody():
    UNTOUCHED.when(draft(approvals_needed=2)).then(drafted(2, approvals_needed=2))
    DRAFTED.when(draft()).then(drafted(3))
    assert terms_of(DRAFTED.state, PAYMENT) == default_policy(PAYMENT)


def test_another_person_publishes_it_and_it_holds():
    DRAFTED.when(publish()).then(published())
    assert terms_of(IN_FORCE.state, PAYMENT) == terms(2)


def test_nobody_publishes_their_own_draft():
    DRAFTED.when(publish(by=ADA)).then_refused(PublishedByItsDrafter, kind="payment", version=2)


def test_publishing_the_next_retires_the_former():
    state = Given(POLICY, drafted(2), published(2), drafted(3, four_eyes=False), published(3)).state

    assert isinstance(state, InForce)
    assert state.terms == terms(3, four_eyes=False)


def test_an_older_draft_may_still_be_published():
    given = Given(POLICY, drafted(2), drafted(3), published(3))

    given.when(publish(2)).then(published(2))
    assert terms_of(fold(POLICY, [published(2)], given.state), PAYMENT).version == 2


def test_what_is_retired_leaves_the_default_and_the_drafts():
    IN_FORCE.when(retire()).then(retired())
    state = Given(POLICY, drafted(2), drafted(3), published(2), retired(2)).state

    assert terms_of(state, PAYMENT) == default_policy(PAYMENT)
    assert draft_of(state, 3) is not None


def test_versions_are_never_given_twice():
    Given(POLICY, drafted(2), withdrawn(2)).when(draft()).then(drafted(3))
    Given(POLICY, drafted(2), published(2), retired(2)).when(draft()).then(drafted(3))


def test_a_draft_is_withdrawn():
    DRAFTED.when(withdraw()).then(withdrawn())
    assert draft_of(Given(POLICY, drafted(2), withdrawn(2)).state, 2) is None


@pytest.mark.parametrize(
    "past", [(drafted(), published()), (drafted(), withdrawn()), (drafted(), published(), retired())]
)
def test_what_is_no_draft_any_more_is_neither_published_nor_withdrawn(past):
    for wish in (publish(), withdraw()):
        Given(POLICY, *past).when(wish).then_refused(NotADraft, kind="payment", version=2)


def test_only_what_is_in_force_is_retired():
    DRAFTED.when(retire()).then_refused(NotInForce, kind="payment", version=2)
    given = Given(POLICY, drafted(2), published(2), drafted(3), published(3))
    given.when(retire(2)).then_refused(NotInForce, kind="payment", version=2)
    given.when(retire(3)).then(retired(3))


@pytest.mark.parametrize("version", [-1, 0, 1, 3])
def test_a_version_that_was_never_drafted_is_not_found(version):
    for wish in (publish, withdraw, retire):
        DRAFTED.when(wish(version)).then_refused(PolicyNotFound, kind="payment", version=version)


@pytest.mark.parametrize("reason", ["", " \n"])
@pytest.mark.parametrize("wish", [withdraw, retire])
def test_giving_up_needs_a_reason(wish, reason):
    given = DRAFTED if wish is withdraw else IN_FORCE
    given.when(wish(reason=reason)).then_refused(ReasonMissing)


@pytest.mark.parametrize("wish", [draft(), publish()], ids=["draft", "publish"])
def test_a_reason_that_may_be_left_out_is_no_white_space(wish):
    DRAFTED.when(replace(wish, reason=" \n")).then_refused(ReasonMissing)


@pytest.mark.parametrize("wish", WISHES)
def test_only_administrators_change_policies(wish):
    for person, role in ((ANA, "analyst"), (AUDREY, "auditor")):
        IN_FORCE.when(wish(by=person)).then_refused(AdminRequired, role=role)
    gone = authority(ADA, session_is_live=False)
    IN_FORCE.when(wish(by=gone)).then_refused(SessionNotLive, session=gone.session)


@pytest.mark.parametrize(
    ("given", "wish", "event"), [(DRAFTED, publish, published), (IN_FORCE, retire, retired)]
)
def test_what_changes_the_terms_asks_whoever_has_a_second_factor_for_a_fresh_one(given, wish, event):
    stale = authority(BOSS, role=Role.ADMIN, has_second_factor=True, stepped_up_at=later(-301))
    fresh = replace(stale, stepped_up_at=later(-300))

    given.when(wish(by=stale)).then_refused(StepUpRequired, within_seconds=300)
    given.when(wish(by=fresh)).then(event(by=BOSS))


def test_inconsistent_terms_are_not_drafted():
    UNTOUCHED.when(draft(approvals_needed=0)).then_refused(
        OutOfRange, field="approvals_needed", value=0, least=1, most=100
    )


def test_a_draft_that_breaks_a_rule_of_today_is_not_published():
    Given(POLICY, drafted(lease_seconds=1)).when(publish()).then_refused(
        OutOfRange, field="lease_seconds", value=1, least=30, most=86_400
    )


def test_a_kind_has_at_most_20_drafts():
    drafts = [drafted(version) for version in range(2, MOST_DRAFTS + 2)]

    Given(POLICY, *drafts[:-1]).when(draft()).then(drafts[-1])
    Given(POLICY, *drafts).when(draft()).then_refused(TooManyDrafts, kind="payment")
    Given(POLICY, *drafts, withdrawn(2)).when(draft()).then(drafted(22))


def test_publishing_what_is_no_draft_changes_nothing():
    assert Given(POLICY, published(2)).state == UNTOUCHED.state


def test_the_default_of_the_built_in_kind_is_the_prototypes():
    assert default_policy("threat_analysis") == THREAT_ANALYSIS_POLICY


def test_the_default_of_other_kinds_errs_on_the_safe_side():
    default = default_policy("payment")

    assert (default.name, default.version) == ("payment", 1)
    assert (default.approvals_needed, default.rejections_needed) == (1, 1)
    assert default.four_eyes
    assert default.reason is ReasonMode.ON_REJECT
    assert default.default_outcome is DefaultOutcome.DENY
    assert default.allowed_actions == (Action.NO_ACTION, Action.CUSTOM)
    must_be_consistent(default)
    must_be_consistent(THREAT_ANALYSIS_POLICY)


@pytest.mark.parametrize("given", [UNTOUCHED, DRAFTED, IN_FORCE, Given(POLICY, drafted(), withdrawn())])
def test_a_state_survives_its_snapshot(given):
    assert survives_storage(given.state)


@pytest.mark.parametrize("event", [drafted(), published(), withdrawn(), retired()])
def test_an_event_survives_storage(event):
    assert survives_storage(event)


names = st.sampled_from(["soc", "legal", "", "Bad", "x" * 51])
maybe = st.none() | st.integers(0, 40_000_000)
any_terms = st.builds(
    Policy,
    name=st.just(""),
    version=st.just(0),
    allowed_actions=st.lists(st.sampled_from(Action), max_size=2).map(tuple),
    approvals_needed=st.integers(0, 4),
    rejections_needed=st.integers(0, 4),
    four_eyes=st.booleans(),
    reason=st.sampled_from(ReasonMode),
    step_up_seconds=st.none() | st.integers(0, 4000),
    escalation_levels=st.integers(0, 3),
    lease_seconds=st.integers(20, 400),
    voters=st.none() | st.integers(0, 5),
    groups=st.lists(st.builds(GroupQuorum, group=names, approvals=st.integers(0, 2)), max_size=2).map(tuple),
    reviewers=st.lists(names, max_size=2).map(tuple),
    ladder=st.lists(names, max_size=3).map(tuple),
    editable_parameters=st.lists(st.sampled_from(["/a", "/a/0", "", "a", "/~2"]), max_size=2).map(tuple),
    target_seconds=maybe,
    escalates_at_half=st.booleans(),
    escalates_at_breach=st.booleans(),
    escalates_on_conflict=st.booleans(),
    deadline_seconds=maybe,
    default_outcome=st.sampled_from(DefaultOutcome),
    risk=st.sampled_from(Risk),
    redeem_seconds=maybe,
    countersign_seconds=st.integers(0, 40_000_000),
)
safe_terms = st.builds(
    terms,
    approvals_needed=st.integers(1, 3),
    voters=st.none() | st.integers(3, 9),
    groups=st.sampled_from([(), (GroupQuorum(group="legal", approvals=1),)]),
    deadline_seconds=st.integers(61, 90),
    target_seconds=st.none() | st.integers(1, 60),
    default_outcome=st.sampled_from(DefaultOutcome),
    risk=st.just(Risk.LOW),
)
wishes = st.one_of(
    st.builds(lambda by, about: replace(draft(by), terms=about), st.sampled_from([ADA, AS_BOSS]), any_terms),
    st.builds(lambda by, about: replace(draft(by), terms=about), st.sampled_from([ADA, AS_BOSS]), safe_terms),
    st.builds(lambda by, number: publish(number, by=by), st.sampled_from([ADA, AS_BOSS]), st.integers(1, 8)),
    st.builds(withdraw, st.integers(1, 8)),
    st.builds(retire, st.integers(1, 8)),
)


@thorough(300)
@given(st.lists(wishes, max_size=30))
def test_what_holds_is_always_consistent_and_two_persons_work(tried):
    events = []
    for wish in tried:
        try:
            events += POLICY.decide(wish, fold(POLICY, events))
        except LedgerError:
            continue
        must_be_consistent(terms_of(fold(POLICY, events), PAYMENT))

    drafters = {event.version: event.by for event in events if hasattr(event, "terms")}
    for event in events:
        if isinstance(event, PolicyPublished):
            assert event.by != drafters[event.version]
    assert all(one < next_one for one, next_one in pairwise(drafters))


@thorough(500)
@given(any_terms)
def test_consistent_terms_keep_what_they_promise(about):
    try:
        must_be_consistent(about)
    except InconsistentPolicy:
        return
    voters = about.voters or 1000
    assert 1 <= about.approvals_needed <= voters
    assert sum(group.approvals for group in about.groups) <= about.approvals_needed
    assert len(about.ladder) <= about.escalation_levels
    assert about.default_outcome is DefaultOutcome.DENY or (
        about.risk is Risk.LOW and about.deadline_seconds is not None
    )
    if about.target_seconds is not None and about.deadline_seconds is not None:
        assert about.target_seconds < about.deadline_seconds
