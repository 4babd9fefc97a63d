"""Within a session: a fresh second factor, a break, and being sent away."""

import pytest

from ledger.domain.authority import (
    AdminRequired,
    InsufficientPermissions,
    SessionIsPaused,
    SessionNotLive,
    StepUpRequired,
    at_work,
    require_fresh_factor,
    require_fresh_factor_if_any,
)
from ledger.domain.decision.decide import DECISION
from ledger.domain.errors import ReasonMissing
from ledger.domain.session.decide import SESSION, OwnSessionOnly
from ledger.domain.session.events import Factor, RevocationCause
from ledger.domain.session.state import Active
from tests.builders import (
    ADA,
    ANA,
    BEN,
    NOW,
    authority,
    break_taken,
    came_back,
    cast_vote,
    claim,
    come_back,
    dismiss,
    ended,
    escalate,
    later,
    opened,
    revoked,
    session_of,
    step_up,
    step_up_failed,
    stepped_up,
    submitted,
    take_break,
)
from tests.domain.given import Given

WORKING = Given(SESSION, opened(by=ANA))
ON_A_BREAK = Given(SESSION, opened(by=ANA), break_taken())


@pytest.mark.parametrize("factor", [Factor.TOTP, Factor.BACKUP_CODE])
def test_a_proof_makes_the_second_factor_fresh(factor):
    WORKING.when(step_up(factor=factor, now=later(60))).then(stepped_up(factor, at=later(60)))

    state = Given(SESSION, opened(by=ANA), stepped_up(at=later(60))).state
    assert isinstance(state, Active)
    assert state.stepped_up_at == later(60)


def test_a_failed_try_is_on_the_record_and_changes_nothing():
    WORKING.when(step_up(factor=None, now=later(60))).then(step_up_failed(at=later(60)))

    assert Given(SESSION, opened(by=ANA), step_up_failed()).state == WORKING.state


@pytest.mark.parametrize("wish", [step_up, take_break, come_back])
def test_nobody_does_it_from_outside_the_session(wish):
    for outside in (BEN, ADA, authority(ANA, session=session_of(ANA, 1))):
        WORKING.when(wish(outside)).then_refused(OwnSessionOnly, session=session_of(ANA))


@pytest.mark.parametrize("wish", [step_up, take_break, come_back, dismiss])
def test_a_dead_session_does_nothing_about_another(wish):
    dead = authority(ANA, session_is_live=False)

    WORKING.when(wish(dead)).then_refused(SessionNotLive, session=session_of(ANA))


def test_a_break_begins_and_ends_once():
    WORKING.when(take_break(now=later(9))).then(break_taken(at=later(9)))
    ON_A_BREAK.when(take_break()).then()
    ON_A_BREAK.when(come_back(now=later(9))).then(came_back(at=later(9)))
    WORKING.when(come_back()).then()
    assert Given(SESSION, opened(by=ANA), break_taken(), came_back()).state == WORKING.state


@pytest.mark.parametrize("wish", [cast_vote, claim, escalate])
def test_a_paused_session_decides_nothing(wish):
    Given(DECISION, submitted()).when(wish(by=authority(ANA, is_paused=True))).then_refused(SessionIsPaused)


def test_a_machine_is_never_at_work():
    machine = authority(ANA)

    with pytest.raises(InsufficientPermissions):
        at_work(type(machine)(**{**_facts(machine), "session": None}))


def test_a_person_logs_out_of_another_session_of_theirs():
    WORKING.when(dismiss(ANA, now=later(1))).then(ended(at=later(1)))


def test_an_administrator_sends_any_session_away():
    WORKING.when(dismiss(ADA, now=later(1))).then(
        revoked(ADA, cause=RevocationCause.ADMINISTRATOR, at=later(1))
    )


def test_nobody_else_does():
    WORKING.when(dismiss(BEN)).then_refused(AdminRequired, role="analyst")


def test_white_space_is_no_reason_to_send_a_session_away():
    WORKING.when(dismiss(ADA, reason=" \n")).then_refused(ReasonMissing)


@pytest.mark.parametrize("proven", [None, later(-301)])
def test_a_second_factor_goes_stale_after_five_minutes(proven):
    stale = authority(ADA, has_second_factor=True, stepped_up_at=proven)

    for check in (require_fresh_factor, require_fresh_factor_if_any):
        with pytest.raises(StepUpRequired) as refused:
            check(stale, NOW)
        assert refused.value.context == {"within_seconds": 300}


def test_a_fresh_one_is_asked_for_no_more():
    fresh = authority(ADA, has_second_factor=True, stepped_up_at=later(-300))

    require_fresh_factor(fresh, NOW)
    require_fresh_factor_if_any(fresh, NOW)


def test_who_has_none_is_asked_only_where_it_must_be():
    none = authority(ADA)

    require_fresh_factor_if_any(none, NOW)
    with pytest.raises(StepUpRequired):
        require_fresh_factor(none, NOW)


def _facts(machine):
    return {name: getattr(machine, name) for name in machine.__struct_fields__}
