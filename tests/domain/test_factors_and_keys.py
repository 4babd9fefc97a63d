"""Second factors given up, backup codes renewed, keys issued and revoked; and what roles may not do without."""

import pytest

from ledger.domain.access.decide import ACCESS
from ledger.domain.access.state import Rules
from ledger.domain.account.decide import (
    ACCOUNT,
    KeyNotFound,
    NotAServiceAccount,
    OwnAccountOnly,
    SecondFactorNeeded,
    SecondFactorNotEnabled,
)
from ledger.domain.account.events import Scope
from ledger.domain.account.state import Registered, Unregistered, keeps, live_key
from ledger.domain.authority import AdminRequired, Role, SessionNotLive, StepUpRequired
from tests.builders import (
    ADA,
    ANA,
    BEN,
    ENGINE,
    KEY,
    NOW,
    authority,
    backup_codes_renewed,
    change_password,
    change_role,
    deactivated,
    demand,
    demanded,
    disable_second_factor,
    issue_key,
    key_issued,
    key_revoked,
    later,
    password_changed,
    reactivate,
    register,
    registered,
    renew_backup_codes,
    revoke_key,
    role_changed,
    second_factor_disabled,
    second_factor_enabled,
    session_of,
    waive,
    waived,
)
from tests.domain.given import Given

PLAIN = Given(ACCOUNT, registered(ANA))
GUARDED = Given(ACCOUNT, registered(ANA), second_factor_enabled())
MACHINE = Given(ACCOUNT, registered(ENGINE))
WITH_KEY = Given(ACCOUNT, registered(ENGINE), key_issued(expires_at=later(60)))

FRESH = authority(ANA, has_second_factor=True, stepped_up_at=NOW)
STALE = authority(ANA, has_second_factor=True, stepped_up_at=later(-301))
STALE_ADMIN = authority(ADA, has_second_factor=True)


def test_a_fresh_second_factor_is_given_up_and_the_other_sessions_end():
    GUARDED.when(disable_second_factor(by=FRESH)).then(
        second_factor_disabled(by=ANA, kept_session=session_of(ANA))
    )

    state = Given(ACCOUNT, *GUARDED.events, second_factor_disabled(kept_session=session_of(ANA))).state
    assert isinstance(state, Registered)
    assert (state.second_factor, state.epoch) == (False, 2)
    assert keeps(state, session_of(ANA), 0)
    assert not keeps(state, session_of(ANA, 1), 1)


def test_a_stale_one_is_not():
    GUARDED.when(disable_second_factor(by=STALE)).then_refused(StepUpRequired, within_seconds=300)


def test_nobody_gives_up_what_their_role_demands():
    GUARDED.when(disable_second_factor(by=FRESH, is_demanded=True)).then_refused(SecondFactorNeeded)


@pytest.mark.parametrize("by", [ADA, None])
def test_a_lost_one_is_taken_away_by_an_administrator_or_the_operator(by):
    asking = disable_second_factor(by=by, reason="lost phone", is_demanded=True)

    GUARDED.when(asking).then(second_factor_disabled(by=by, reason="lost phone"))


def test_an_administrator_with_a_second_factor_proves_it_first():
    GUARDED.when(disable_second_factor(by=STALE_ADMIN)).then_refused(StepUpRequired, within_seconds=300)
    MACHINE.when(issue_key(by=STALE_ADMIN)).then_refused(StepUpRequired, within_seconds=300)
    Given(ACCESS).when(demand(by=STALE_ADMIN)).then_refused(StepUpRequired, within_seconds=300)


ADMIN = registered(BEN, role=Role.ADMIN)


@pytest.mark.parametrize(
    ("given", "asking"),
    [
        (Given(ACCOUNT), register(BEN, role=Role.ADMIN, by=STALE_ADMIN)),
        (Given(ACCOUNT, registered(BEN)), change_role(Role.ADMIN, by=STALE_ADMIN)),
        (Given(ACCOUNT, ADMIN), change_password(by=STALE_ADMIN)),
        (Given(ACCOUNT, ADMIN, deactivated()), reactivate(by=STALE_ADMIN)),
    ],
)
def test_nor_do_they_come_by_another_administrator_who_has_none_to_prove(given, asking):
    given.when(asking).then_refused(StepUpRequired, within_seconds=300)


def test_what_does_not_make_an_administrator_asks_for_no_proof():
    Given(ACCOUNT).when(register(BEN, by=STALE_ADMIN)).then(registered(BEN, by=ADA))
    PLAIN.when(change_password(by=STALE_ADMIN)).then(password_changed(by=ADA))


def test_nobody_takes_away_somebody_elses():
    GUARDED.when(disable_second_factor(by=BEN)).then_refused(AdminRequired, role="analyst")


def test_what_is_not_there_is_not_taken_away():
    PLAIN.when(disable_second_factor(by=ANA)).then()


def test_backup_codes_are_renewed_by_their_owner_with_a_fresh_factor():
    GUARDED.when(renew_backup_codes(by=FRESH)).then(backup_codes_renewed())
    GUARDED.when(renew_backup_codes(by=STALE)).then_refused(StepUpRequired, within_seconds=300)
    GUARDED.when(renew_backup_codes(by=ADA)).then_refused(OwnAccountOnly, person=ADA)
    PLAIN.when(renew_backup_codes(by=FRESH)).then_refused(SecondFactorNotEnabled)
    assert Given(ACCOUNT, *GUARDED.events, backup_codes_renewed()).state == GUARDED.state


@pytest.mark.parametrize("by", [ADA, None])
def test_a_service_account_gets_a_key(by):
    asking = issue_key(by=by, scopes=(Scope.READ,), expires_at=later(60))

    MACHINE.when(asking).then(key_issued(scopes=(Scope.READ,), expires_at=later(60), by=by))


def test_people_and_deactivated_machines_get_none():
    PLAIN.when(issue_key()).then_refused(NotAServiceAccount, role="analyst")
    Given(ACCOUNT, registered(ENGINE), deactivated()).when(issue_key()).then_refused(
        NotAServiceAccount, role="service"
    )


@pytest.mark.parametrize("wish", [issue_key, revoke_key])
def test_only_administrators_deal_with_keys(wish):
    WITH_KEY.when(wish(by=BEN)).then_refused(AdminRequired, role="analyst")
    gone = authority(ADA, session_is_live=False)
    WITH_KEY.when(wish(by=gone)).then_refused(SessionNotLive, session=session_of(ADA))


def test_a_key_is_revoked_once():
    WITH_KEY.when(revoke_key()).then(key_revoked())
    Given(ACCOUNT, *WITH_KEY.events, key_revoked()).when(revoke_key()).then_refused(KeyNotFound)


def test_a_key_opens_its_account_until_it_expires():
    assert live_key(WITH_KEY.state, KEY, later(59)) is not None
    assert live_key(WITH_KEY.state, KEY, later(60)) is None
    for_ever = Given(ACCOUNT, registered(ENGINE), key_issued()).state
    assert live_key(for_ever, KEY, later(10**9)) is not None


@pytest.mark.parametrize("end", [key_revoked(), deactivated(), role_changed(Role.ANALYST)])
def test_a_key_ends_with_what_it_relied_on(end):
    assert live_key(Given(ACCOUNT, *WITH_KEY.events, end).state, KEY, NOW) is None


def test_a_key_opens_no_other_account():
    assert live_key(MACHINE.state, KEY, NOW) is None
    assert live_key(Unregistered(), KEY, NOW) is None


@pytest.mark.parametrize("by", [ADA, None])
def test_a_role_may_be_told_not_to_do_without(by):
    Given(ACCESS).when(demand(Role.ANALYST, by=by)).then(demanded(Role.ANALYST, by=by))
    Given(ACCESS, demanded(Role.ANALYST)).when(waive(Role.ANALYST, by=by)).then(waived(Role.ANALYST, by=by))


def test_saying_it_again_is_no_event():
    Given(ACCESS, demanded()).when(demand()).then()
    Given(ACCESS).when(waive()).then()


def test_every_role_has_its_own_rule():
    state = Given(ACCESS, demanded(Role.ADMIN), demanded(Role.ANALYST), waived(Role.ADMIN)).state

    assert state == Rules(second_factor=(Role.ANALYST,))


@pytest.mark.parametrize("wish", [demand, waive])
def test_only_administrators_say_so(wish):
    Given(ACCESS).when(wish(by=BEN)).then_refused(AdminRequired, role="analyst")
