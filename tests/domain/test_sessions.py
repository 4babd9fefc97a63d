import pytest

from ledger.domain.session.decide import SESSION, InactiveUser, SessionAlreadyOpened, SessionNotFound
from ledger.domain.session.events import EndCause, ExpiryCause, Factor, RevocationCause
from ledger.domain.session.state import Active, Ended, Expired, NotOpened, Revoked, is_live
from tests.builders import (
    ABSOLUTE_SECONDS,
    ADA,
    ANA,
    FAMILY,
    IDLE_SECONDS,
    NOW,
    ended,
    expire,
    expired,
    later,
    log_in,
    log_out,
    opened,
    revoke,
    revoked,
    session_of,
)
from tests.domain.given import Given

NOTHING = Given(SESSION)
WORKING = Given(SESSION, opened(by=ANA))
FINISHED = [Given(SESSION, opened(), over) for over in (ended(), expired(), revoked())]


def test_logging_in_opens_a_session_for_a_limited_time():
    asking = log_in(by=ANA, factors=(Factor.PASSWORD, Factor.TOTP), epoch=4, now=later(1))

    NOTHING.when(asking).then(opened(by=ANA, factors=(Factor.PASSWORD, Factor.TOTP), epoch=4, at=later(1)))


def test_a_deactivated_account_does_not_log_in():
    NOTHING.when(log_in(by=ANA, is_active=False)).then_refused(InactiveUser, person=ANA)


@pytest.mark.parametrize("given", [WORKING, *FINISHED])
def test_a_session_is_opened_once(given):
    given.when(log_in(by=ANA)).then_refused(SessionAlreadyOpened, session=session_of(ANA))


@pytest.mark.parametrize("wish", [log_out(), expire(), revoke()])
def test_nobody_ends_what_was_never_opened(wish):
    NOTHING.when(wish).then_refused(SessionNotFound)


@pytest.mark.parametrize("given", FINISHED)
@pytest.mark.parametrize(
    "wish", [log_out(), expire(now=later(10**6)), expire(ExpiryCause.ABSOLUTE, now=later(10**6)), revoke()]
)
def test_what_is_over_is_over(given, wish):
    given.when(wish).then()


@pytest.mark.parametrize("cause", EndCause)
def test_a_person_logs_out(cause):
    WORKING.when(log_out(cause=cause, now=later(9))).then(ended(cause=cause, at=later(9)))


@pytest.mark.parametrize("cause", RevocationCause)
@pytest.mark.parametrize("by", [ADA, None])
def test_a_session_is_taken_away(by, cause):
    WORKING.when(revoke(by=by, cause=cause, now=later(9))).then(revoked(by=by, cause=cause, at=later(9)))


def test_a_session_ends_at_its_absolute_limit():
    over = later(ABSOLUTE_SECONDS)

    WORKING.when(expire(ExpiryCause.ABSOLUTE, now=over)).then(expired(cause=ExpiryCause.ABSOLUTE, at=over))


def test_a_session_does_not_end_before_its_absolute_limit():
    WORKING.when(expire(ExpiryCause.ABSOLUTE, last_seen=NOW, now=later(ABSOLUTE_SECONDS - 1))).then()


@pytest.mark.parametrize(("last_seen", "now"), [(None, IDLE_SECONDS), (later(60), IDLE_SECONDS + 60)])
def test_an_unused_session_ends(last_seen, now):
    WORKING.when(expire(last_seen=last_seen, now=later(now))).then(expired(at=later(now)))


@pytest.mark.parametrize(("last_seen", "now"), [(None, IDLE_SECONDS - 1), (later(60), IDLE_SECONDS + 59)])
def test_a_used_session_goes_on(last_seen, now):
    WORKING.when(expire(last_seen=last_seen, now=later(now))).then()


def test_an_open_session_knows_its_limits():
    assert Given(SESSION, opened(by=ANA, epoch=4, at=later(1))).state == Active(
        session=session_of(ANA),
        person=ANA,
        factors=(Factor.PASSWORD,),
        epoch=4,
        idle_seconds=IDLE_SECONDS,
        opened_at=later(1),
        expires_at=later(1 + ABSOLUTE_SECONDS),
        stepped_up_at=None,
        family=FAMILY,
    )


@pytest.mark.parametrize("factor", [Factor.TOTP, Factor.BACKUP_CODE])
def test_a_second_factor_at_login_is_a_fresh_one(factor):
    state = Given(SESSION, opened(factors=(Factor.PASSWORD, factor), at=later(1))).state

    assert state.stepped_up_at == later(1)


@pytest.mark.parametrize(
    ("event", "state"),
    [
        (ended(at=later(5)), Ended(session=session_of(ANA), person=ANA, at=later(5), cause=EndCause.LOGOUT)),
        (
            expired(at=later(5)),
            Expired(session=session_of(ANA), person=ANA, at=later(5), cause=ExpiryCause.IDLE),
        ),
        (
            revoked(at=later(5)),
            Revoked(session=session_of(ANA), person=ANA, at=later(5), cause=RevocationCause.ADMINISTRATOR),
        ),
    ],
)
def test_a_finished_session_says_how(event, state):
    assert Given(SESSION, opened(by=ANA), event).state == state


@pytest.mark.parametrize(
    ("seconds", "lives"), [(0, True), (ABSOLUTE_SECONDS - 1, True), (ABSOLUTE_SECONDS, False)]
)
def test_an_open_session_lives_until_its_limit(seconds, lives):
    assert is_live(WORKING.state, later(seconds)) is lives


@pytest.mark.parametrize("given", [NOTHING, *FINISHED])
def test_nothing_else_lives(given):
    assert not is_live(given.state, NOW)


@pytest.mark.parametrize("event", [opened(by=ADA), ended(), expired(), revoked()])
@pytest.mark.parametrize("given", FINISHED)
def test_nothing_happens_to_a_finished_session(given, event):
    assert SESSION.evolve(given.state, event) == given.state


def test_a_second_opening_changes_nothing():
    assert SESSION.evolve(WORKING.state, opened(by=ADA)) == WORKING.state


@pytest.mark.parametrize("event", [ended(), expired(), revoked()])
def test_what_was_never_opened_does_not_end(event):
    assert SESSION.evolve(NotOpened(), event) == NotOpened()
