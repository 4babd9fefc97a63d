"""What may be done to a projection, by whom and after what."""

from uuid import UUID

import pytest

from ledger.domain.authority import AdminRequired, SessionNotLive
from ledger.domain.ids import RebuildId
from ledger.domain.operations.decide import (
    OPERATIONS,
    AlreadyPaused,
    BadRange,
    NoRebuildUnderWay,
    NothingToRollBack,
    NotPaused,
    ReasonMissing,
    RebuildUnderWay,
)
from ledger.domain.operations.state import NoRebuild, Paused, Running, Switched, UnderWay
from tests.builders import ADA, ANA, authority, later
from tests.builders.operations import (
    REBUILD,
    ROLLBACK,
    cancel_rebuild,
    fail_rebuild,
    fix,
    fixed,
    pause,
    paused,
    rebuild_cancelled,
    rebuild_failed,
    rebuild_started,
    rebuild_switched,
    replay,
    replayed,
    reset,
    resume,
    resumed,
    retried,
    retry,
    roll_back,
    rollback_started,
    skip,
    skipped,
    start_rebuild,
    switch_rebuild,
    was_reset,
)
from tests.domain.given import Given, survives_storage

UNTOUCHED = Given(OPERATIONS)
STOPPED = Given(OPERATIONS, paused())
BUILDING = Given(OPERATIONS, rebuild_started())
RESETTING = Given(OPERATIONS, was_reset())
SWITCHED = Given(OPERATIONS, rebuild_started(), rebuild_switched())
CANCELLED = Given(OPERATIONS, rebuild_started(), rebuild_cancelled())
FAILED = Given(OPERATIONS, rebuild_started(), rebuild_failed())
ROLLING_BACK = Given(OPERATIONS, rebuild_started(), rebuild_switched(), rollback_started())
ROLLED_BACK = Given(OPERATIONS, *ROLLING_BACK.events, rebuild_switched(rebuild=ROLLBACK))
ANOTHER = RebuildId(UUID(int=99))

BY_HAND = [pause, resume, replay, retry, skip, fix, reset, start_rebuild, cancel_rebuild, roll_back]
EVENTS = [
    paused(),
    resumed(),
    replayed(),
    retried(),
    skipped(),
    fixed(),
    was_reset(),
    rebuild_started(),
    rebuild_switched(),
    rebuild_cancelled(),
    rebuild_failed(),
    rollback_started(),
]


@pytest.mark.parametrize("wish", BY_HAND)
def test_nobody_but_an_administrator_touches_a_projection(wish):
    for given in (UNTOUCHED, STOPPED, BUILDING, SWITCHED):
        given.when(wish(by=ANA)).then_refused(AdminRequired, role="analyst")


@pytest.mark.parametrize("wish", BY_HAND)
def test_an_ended_session_touches_nothing(wish):
    gone = authority(ADA, session_is_live=False)

    UNTOUCHED.when(wish(by=gone)).then_refused(SessionNotLive, session=gone.session)


@pytest.mark.parametrize("by", [ADA, None])
def test_an_administrator_or_the_operator_pauses_a_projection(by):
    UNTOUCHED.when(pause(by=by, reason="odd rows", now=later(3))).then(
        paused(by=by, reason="odd rows", at=later(3))
    )


def test_a_paused_projection_is_not_paused_again():
    STOPPED.when(pause()).then_refused(AlreadyPaused, projection="queue")


def test_a_paused_projection_is_resumed():
    STOPPED.when(resume(reason="mended", now=later(3))).then(resumed(reason="mended", at=later(3)))


@pytest.mark.parametrize("given", [UNTOUCHED, Given(OPERATIONS, paused(), resumed())])
def test_a_running_projection_is_not_resumed(given):
    given.when(resume()).then_refused(NotPaused, projection="queue")


@pytest.mark.parametrize(("first", "last"), [(1, 9), (4, 4), (9, 9)])
def test_a_range_of_the_log_is_replayed(first, last):
    UNTOUCHED.when(replay(first, last, head=9, reason="again", now=later(1))).then(
        replayed(first, last, reason="again", at=later(1))
    )


@pytest.mark.parametrize(("first", "last"), [(0, 3), (-1, 3), (5, 4), (5, 10), (10, 10)])
def test_a_range_outside_of_the_log_is_refused(first, last):
    UNTOUCHED.when(replay(first, last, head=9)).then_refused(BadRange, first=first, last=last, head=9)


@pytest.mark.parametrize("is_resolved", [True, False])
def test_a_retry_is_recorded_whatever_came_of_it(is_resolved):
    UNTOUCHED.when(retry(is_resolved=is_resolved, now=later(1))).then(
        retried(is_resolved=is_resolved, at=later(1))
    )


def test_an_event_is_skipped_for_a_reason():
    UNTOUCHED.when(skip(reason="a duplicate", now=later(1))).then(skipped(reason="a duplicate", at=later(1)))


def test_an_event_is_mended_by_hand_for_a_reason():
    UNTOUCHED.when(fix(reason="row added", now=later(1))).then(fixed(reason="row added", at=later(1)))


@pytest.mark.parametrize("reason", ["", " \t\n"])
@pytest.mark.parametrize("wish", [skip, fix])
def test_no_event_is_given_up_without_a_reason(wish, reason):
    UNTOUCHED.when(wish(reason=reason)).then_refused(ReasonMissing)


@pytest.mark.parametrize("wish", BY_HAND)
def test_a_reason_that_says_nothing_is_refused_also_where_none_is_needed(wish):
    UNTOUCHED.when(wish(reason=" \t\n")).then_refused(ReasonMissing)


@pytest.mark.parametrize("given", [UNTOUCHED, STOPPED, SWITCHED, CANCELLED, FAILED, ROLLED_BACK])
def test_a_projection_is_rebuilt_whenever_it_is_not_being_rebuilt(given):
    given.when(start_rebuild(now=later(1))).then(rebuild_started(at=later(1)))
    given.when(reset(now=later(1))).then(was_reset(at=later(1)))


@pytest.mark.parametrize("given", [BUILDING, RESETTING, ROLLING_BACK])
@pytest.mark.parametrize("wish", [start_rebuild(rebuild=ANOTHER), reset(rebuild=ANOTHER)])
def test_one_rebuild_at_a_time(given, wish):
    given.when(wish).then_refused(RebuildUnderWay, projection="queue")


def test_a_switch_is_recorded_in_the_name_of_whoever_began_it():
    given = Given(OPERATIONS, rebuild_started(by=ADA))

    given.when(switch_rebuild(now=later(1))).then(rebuild_switched(by=ADA, at=later(1)))


@pytest.mark.parametrize("wish", [switch_rebuild, fail_rebuild])
@pytest.mark.parametrize("given", [UNTOUCHED, SWITCHED, CANCELLED, FAILED, ROLLED_BACK])
def test_the_service_ends_no_rebuild_that_is_over(given, wish):
    given.when(wish()).then_refused(NoRebuildUnderWay, projection="queue")


@pytest.mark.parametrize("wish", [switch_rebuild, fail_rebuild])
def test_the_service_does_not_end_another_rebuild_than_its_own(wish):
    BUILDING.when(wish(rebuild=ANOTHER)).then_refused(NoRebuildUnderWay, projection="queue")


def test_the_service_says_why_it_gave_a_rebuild_up():
    BUILDING.when(fail_rebuild(reason="an event fails", now=later(1))).then(
        rebuild_failed(reason="an event fails", at=later(1))
    )


@pytest.mark.parametrize("given", [BUILDING, RESETTING])
def test_a_rebuild_is_cancelled(given):
    given.when(cancel_rebuild(reason="too slow", now=later(1))).then(
        rebuild_cancelled(reason="too slow", at=later(1))
    )


@pytest.mark.parametrize("given", [UNTOUCHED, SWITCHED, CANCELLED])
def test_no_rebuild_that_is_over_is_cancelled(given):
    given.when(cancel_rebuild()).then_refused(NoRebuildUnderWay, projection="queue")


def test_a_switch_is_rolled_back():
    SWITCHED.when(roll_back(reason="worse", now=later(1))).then(rollback_started(reason="worse", at=later(1)))


def test_rolling_back_ends_as_every_rebuild_does():
    ROLLING_BACK.when(switch_rebuild(rebuild=ROLLBACK)).then(rebuild_switched(rebuild=ROLLBACK))
    ROLLING_BACK.when(fail_rebuild(rebuild=ROLLBACK)).then(rebuild_failed(rebuild=ROLLBACK))


@pytest.mark.parametrize("given", [UNTOUCHED, CANCELLED, FAILED])
def test_only_what_has_switched_is_rolled_back(given):
    given.when(roll_back()).then_refused(NothingToRollBack, projection="queue")


@pytest.mark.parametrize("ended", [rebuild_cancelled(), rebuild_failed(rebuild=ROLLBACK)])
def test_a_rollback_that_came_to_nothing_may_be_tried_again(ended):
    given = Given(OPERATIONS, *ROLLING_BACK.events, ended)

    assert given.state == SWITCHED.state
    given.when(roll_back()).then(rollback_started())


@pytest.mark.parametrize("given", [BUILDING, RESETTING, ROLLING_BACK])
def test_nothing_is_rolled_back_while_a_rebuild_is_under_way(given):
    given.when(roll_back()).then_refused(RebuildUnderWay, projection="queue")


@pytest.mark.parametrize(
    ("given", "state"),
    [
        (UNTOUCHED, Running(rebuild=NoRebuild())),
        (BUILDING, Running(rebuild=UnderWay(rebuild=REBUILD, by=ADA))),
        (SWITCHED, Running(rebuild=Switched(rebuild=REBUILD))),
        (CANCELLED, Running(rebuild=NoRebuild())),
        (ROLLING_BACK, Running(rebuild=UnderWay(rebuild=ROLLBACK, by=ADA, undoes=REBUILD))),
        (ROLLED_BACK, Running(rebuild=Switched(rebuild=ROLLBACK))),
        (
            Given(OPERATIONS, rebuild_started(by=None), paused()),
            Paused(rebuild=UnderWay(rebuild=REBUILD, by=None)),
        ),
        (
            Given(OPERATIONS, paused(), was_reset(), rebuild_switched(), resumed()),
            Running(rebuild=Switched(rebuild=REBUILD)),
        ),
    ],
)
def test_pausing_and_rebuilding_do_not_know_of_each_other(given, state):
    assert given.state == state
    assert survives_storage(state)


@pytest.mark.parametrize("event", [replayed(), retried(), skipped(), fixed()])
@pytest.mark.parametrize("given", [UNTOUCHED, STOPPED, BUILDING, SWITCHED])
def test_what_is_done_to_events_forbids_nothing(given, event):
    assert Given(OPERATIONS, *given.events, event).state == given.state


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__)
def test_what_is_recorded_survives_storage(event):
    assert survives_storage(event)
