"""Erasing personal data: it takes two, one hold stops it, and it happens once."""

from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from ledger.domain.authority import AdminRequired, Role, SessionNotLive, StepUpRequired
from ledger.domain.decider import fold
from ledger.domain.errors import LedgerError, ReasonMissing
from ledger.domain.subject.commands import Subject
from ledger.domain.subject.decide import (
    MOST_HOLDS,
    SUBJECT,
    AccountStillActive,
    AlreadyErased,
    ApprovedByItsRequester,
    ErasureAlreadyRequested,
    HoldExists,
    HoldNotFound,
    LegalHold,
    NoErasureRequested,
    NotItsRequester,
    OwnErasure,
    RefusedByItsRequester,
    TooManyHolds,
)
from ledger.domain.subject.events import (
    ErasureRequested,
    LegalBasis,
    LegalHoldLifted,
    LegalHoldPlaced,
    SubjectErased,
)
from ledger.domain.subject.state import holds_of
from tests.builders import ADA, ANA, AUDREY, SAM, authority, later
from tests.builders.policies import AS_BOSS, BOSS
from tests.builders.subjects import (
    A_CUSTOMERS,
    HOLD,
    OTHER_HOLD,
    SAM_S,
    approve,
    erased,
    hold_lifted,
    hold_placed,
    lift,
    place,
    refuse,
    refused,
    request,
    requested,
    withdraw,
    withdrawn,
)
from tests.domain.given import Given, survives_storage
from tests.support.examples import thorough

KEPT = Given(SUBJECT)
HELD = Given(SUBJECT, hold_placed())
REQUESTED = Given(SUBJECT, requested())
ERASED = Given(SUBJECT, requested(), erased())
SAM_THE_ADMIN = authority(SAM, role=Role.ADMIN)
WISHES = [request, withdraw, refuse, approve, place, lift]


def test_one_asks_and_another_approves_by_which_it_happens():
    KEPT.when(request()).then(requested())
    REQUESTED.when(approve()).then(erased())


def test_a_data_subject_has_no_account_and_is_erased_likewise():
    given = Given(SUBJECT, requested(about=A_CUSTOMERS))
    given.when(approve(about=A_CUSTOMERS)).then(erased(about=A_CUSTOMERS))


def test_the_basis_is_the_one_that_was_asked_for():
    given = Given(SUBJECT, requested(basis=LegalBasis.OBJECTION))
    given.when(approve()).then(erased(basis=LegalBasis.OBJECTION))


def test_nobody_approves_what_they_asked_for():
    REQUESTED.when(approve(by=ADA)).then_refused(ApprovedByItsRequester)


def test_the_operator_asks_and_only_an_administrator_approves():
    KEPT.when(request(by=None)).then(requested(by=None))
    asked = Given(SUBJECT, requested(by=None))
    asked.when(approve(by=ADA)).then(erased(by=ADA, requested_by=None))


def test_nobody_has_a_say_in_their_own_erasure_but_to_ask():
    KEPT.when(request(by=SAM_THE_ADMIN)).then(requested(by=SAM))
    Given(SUBJECT, requested(by=SAM)).when(withdraw(by=SAM_THE_ADMIN)).then(withdrawn(by=SAM))
    for wish in (approve, refuse, place):
        REQUESTED.when(wish(by=SAM_THE_ADMIN)).then_refused(OwnErasure)
    HELD.when(lift(by=SAM_THE_ADMIN)).then_refused(OwnErasure)


def test_the_id_of_a_data_subject_is_nobodys_person_id():
    about = replace(A_CUSTOMERS, subject=BOSS)
    Given(SUBJECT, requested(about=about)).when(approve(about=about)).then(erased(about=about))


def test_who_can_log_in_still_is_not_erased():
    REQUESTED.when(approve(is_active=True)).then_refused(AccountStillActive)


def test_a_hold_forbids_the_approval_and_not_the_request():
    HELD.when(request()).then(requested())
    Given(SUBJECT, hold_placed(), requested()).when(approve()).then_refused(LegalHold, holds=1)
    Given(SUBJECT, requested(), hold_placed()).when(approve()).then_refused(LegalHold, holds=1)


def test_each_hold_is_lifted_by_itself_and_the_last_one_frees():
    both = (requested(), hold_placed(), hold_placed(OTHER_HOLD))
    Given(SUBJECT, *both).when(lift()).then(hold_lifted())
    one_left = Given(SUBJECT, *both, hold_lifted())
    assert [hold.hold for hold in holds_of(one_left.state)] == [OTHER_HOLD]
    one_left.when(approve()).then_refused(LegalHold, holds=1)
    Given(SUBJECT, *both, hold_lifted(), hold_lifted(OTHER_HOLD)).when(approve()).then(erased())


def test_a_hold_that_does_not_stand_is_not_lifted():
    HELD.when(lift(hold=OTHER_HOLD)).then_refused(HoldNotFound)
    Given(SUBJECT, hold_placed(), hold_lifted()).when(lift()).then_refused(HoldNotFound)


def test_the_operator_places_and_lifts_holds():
    KEPT.when(place(by=None)).then(hold_placed(by=None))
    HELD.when(lift(by=None)).then(hold_lifted(by=None))


def test_a_hold_is_placed_once():
    HELD.when(place()).then_refused(HoldExists)
    Given(SUBJECT, hold_placed(), hold_lifted()).when(place()).then(hold_placed())


def test_at_most_20_holds_stand():
    holds = [hold_placed(replace_id(number)) for number in range(MOST_HOLDS)]
    Given(SUBJECT, *holds[1:]).when(place(hold=holds[0].hold)).then(holds[0])
    Given(SUBJECT, *holds).when(place()).then_refused(TooManyHolds)


def replace_id(number: int):
    return type(HOLD)(int=1_000 + number)


def test_it_is_asked_for_once_at_a_time():
    REQUESTED.when(request(by=AS_BOSS)).then_refused(ErasureAlreadyRequested)


def test_only_whoever_asked_withdraws_and_only_another_refuses():
    REQUESTED.when(withdraw()).then(withdrawn())
    REQUESTED.when(withdraw(by=AS_BOSS)).then_refused(NotItsRequester)
    REQUESTED.when(refuse()).then(refused())
    REQUESTED.when(refuse(by=ADA)).then_refused(RefusedByItsRequester)
    Given(SUBJECT, requested(by=None)).when(withdraw()).then_refused(NotItsRequester)


@pytest.mark.parametrize("end", [withdrawn(), refused()])
def test_what_was_withdrawn_or_refused_may_be_asked_for_again_and_holds_stay(end):
    given = Given(SUBJECT, hold_placed(), requested(), end)
    for wish in (approve(), withdraw(), refuse()):
        given.when(wish).then_refused(NoErasureRequested)
    given.when(request(by=AS_BOSS)).then(requested(by=BOSS))
    assert [hold.hold for hold in holds_of(given.state)] == [HOLD]


@pytest.mark.parametrize("wish", WISHES)
def test_what_is_erased_is_over(wish):
    ERASED.when(wish()).then_refused(AlreadyErased)


@pytest.mark.parametrize("wish", [request, withdraw, refuse, place, lift])
def test_whoever_acts_says_why(wish):
    given = KEPT if wish in {request, place} else Given(SUBJECT, hold_placed(), requested())
    given.when(wish(reason=" ")).then_refused(ReasonMissing)


@pytest.mark.parametrize("wish", WISHES)
def test_only_administrators_erase_and_hold(wish):
    given = Given(SUBJECT, requested(), hold_placed())
    for person, role in ((ANA, "analyst"), (AUDREY, "auditor")):
        given.when(wish(by=person)).then_refused(AdminRequired, role=role)
    gone = authority(ADA, session_is_live=False)
    given.when(wish(by=gone)).then_refused(SessionNotLive, session=gone.session)


@pytest.mark.parametrize(
    ("given_", "wish", "event"),
    [
        (KEPT, request, requested(by=BOSS)),
        (REQUESTED, approve, erased()),
        (HELD, lift, hold_lifted()),
    ],
)
def test_what_brings_erasure_nearer_asks_whoever_has_a_second_factor_for_a_fresh_one(given_, wish, event):
    stale = authority(BOSS, role=Role.ADMIN, has_second_factor=True, stepped_up_at=later(-301))
    fresh = replace(stale, stepped_up_at=later(-300))

    given_.when(wish(by=stale)).then_refused(StepUpRequired, within_seconds=300)
    given_.when(wish(by=fresh)).then(event)


def test_items_may_tell_of_a_data_subject_again_and_that_is_erased_again():
    gone = (requested(about=A_CUSTOMERS), erased(about=A_CUSTOMERS))
    given = Given(SUBJECT, *gone)
    for wish in (request, place):
        given.when(wish(about=A_CUSTOMERS, is_kept=False)).then_refused(AlreadyErased)
    given.when(request(about=A_CUSTOMERS)).then(requested(about=A_CUSTOMERS))
    given.when(place(about=A_CUSTOMERS)).then(hold_placed(about=A_CUSTOMERS))

    back = Given(SUBJECT, *gone, hold_placed(about=A_CUSTOMERS), requested(about=A_CUSTOMERS))
    back.when(approve(about=A_CUSTOMERS)).then_refused(LegalHold, holds=1)
    lifted = Given(SUBJECT, *back.events, hold_lifted())
    lifted.when(approve(about=A_CUSTOMERS)).then(erased(about=A_CUSTOMERS))


def test_after_the_erasure_of_a_person_nothing_changes_what_it_was():
    late = Given(SUBJECT, requested(), erased(), hold_placed(), requested(by=None), withdrawn())

    assert late.state == ERASED.state
    assert holds_of(late.state) == ()


@pytest.mark.parametrize("given_", [KEPT, HELD, REQUESTED, ERASED])
def test_a_state_survives_its_snapshot(given_):
    assert survives_storage(given_.state)


@pytest.mark.parametrize(
    "event", [requested(), withdrawn(), refused(), erased(), hold_placed(by=None), hold_lifted()]
)
def test_an_event_survives_storage(event):
    assert survives_storage(event)


admins = st.sampled_from([ADA, AS_BOSS, SAM_THE_ADMIN])
anybody = st.one_of(st.none(), st.just(ANA), admins)
hold_ids = st.sampled_from([HOLD, OTHER_HOLD])


def wishes(about: Subject) -> st.SearchStrategy:
    return st.one_of(
        st.builds(partial(request, about=about), anybody, is_kept=st.booleans()),
        st.builds(partial(withdraw, about=about), admins),
        st.builds(partial(refuse, about=about), admins),
        st.builds(partial(approve, about=about), admins, is_active=st.booleans()),
        st.builds(partial(place, about=about), anybody, hold=hold_ids, is_kept=st.booleans()),
        st.builds(partial(lift, about=about), anybody, hold=hold_ids),
    )


def tried_on(wished: list) -> list:
    events = []
    for wish in wished:
        try:
            events += SUBJECT.decide(wish, fold(SUBJECT, events))
        except LedgerError:
            continue
    return events


@thorough(400)
@given(st.lists(wishes(SAM_S), max_size=25))
def test_whatever_is_tried_a_person_is_erased_once_by_two_and_never_under_a_hold(wished):
    events = tried_on(wished)

    ends = [number for number, event in enumerate(events) if isinstance(event, SubjectErased)]
    assert ends in ([], [len(events) - 1])
    if ends:
        was_rightly_erased(events)
        assert events[-1].approved_by != SAM


@thorough(400)
@given(st.lists(wishes(A_CUSTOMERS), max_size=40))
def test_whatever_is_tried_a_data_subject_is_erased_by_two_each_time_and_never_under_a_hold(wished):
    events = tried_on(wished)

    for number, event in enumerate(events):
        if isinstance(event, SubjectErased):
            was_rightly_erased(events[: number + 1])


def was_rightly_erased(events):
    *before, end = events
    since = max((n for n, event in enumerate(before, 1) if isinstance(event, SubjectErased)), default=0)
    asked = [event for event in before[since:] if isinstance(event, ErasureRequested)][-1]
    assert (end.requested_by, end.basis, end.subject) == (asked.by, asked.basis, asked.subject)
    assert end.approved_by != asked.by
    placed = sum(isinstance(event, LegalHoldPlaced) for event in before)
    assert placed == sum(isinstance(event, LegalHoldLifted) for event in before)
