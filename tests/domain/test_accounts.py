import pytest

from ledger.domain.account.decide import (
    ACCOUNT,
    AccountNotFound,
    AlreadyRegistered,
    LastAdmin,
    OwnAccountOnly,
)
from ledger.domain.account.state import Registered, Unregistered, keeps, live_key
from ledger.domain.authority import AdminRequired, Role, SessionNotLive
from ledger.domain.ids import Digest
from tests.builders import (
    ADA,
    ANA,
    BEN,
    CREDENTIAL,
    KEY,
    NOW,
    authority,
    change_groups,
    change_password,
    change_role,
    deactivate,
    deactivated,
    enable_second_factor,
    grant_lead,
    key_issued,
    later,
    password_changed,
    reactivate,
    reactivated,
    register,
    registered,
    revoke_lead,
    role_changed,
    second_factor_enabled,
    session_of,
)
from tests.domain.given import Given

NOTHING = Given(ACCOUNT)
ANALYST = Given(ACCOUNT, registered(ANA))
GONE = Given(ACCOUNT, registered(ANA), deactivated())
ADMIN = Given(ACCOUNT, registered(ADA))
FIRST, SECOND = session_of(ANA), session_of(ANA, login=1)


def for_administrators(by):
    return [
        *(register(by=by), change_role(Role.VIEWER, by=by), deactivate(by=by), reactivate(by=by)),
        *(change_groups("tier-2", by=by), grant_lead(by=by), revoke_lead(by=by)),
    ]


@pytest.mark.parametrize("by", [ADA, None])
def test_administrators_and_the_operator_register_people(by):
    NOTHING.when(register(ANA, by=by, now=later(1))).then(registered(ANA, by=by, at=later(1)))


@pytest.mark.parametrize("given", [ANALYST, GONE])
def test_a_person_is_registered_once(given):
    given.when(register(ANA)).then_refused(AlreadyRegistered, person=ANA)


@pytest.mark.parametrize("given", [NOTHING, ANALYST])
@pytest.mark.parametrize("asking", for_administrators(by=BEN))
def test_nobody_else_administers(given, asking):
    given.when(asking).then_refused(AdminRequired, role="analyst")


@pytest.mark.parametrize("asking", for_administrators(by=authority(ADA, session_is_live=False)))
def test_a_finished_session_does_not_administer(asking):
    ANALYST.when(asking).then_refused(SessionNotLive, session=session_of(ADA))


@pytest.mark.parametrize(
    "asking",
    [
        change_role(Role.VIEWER),
        deactivate(),
        reactivate(),
        change_groups("tier-2"),
        grant_lead(),
        revoke_lead(),
        change_password(by=ADA),
        change_password(by=BEN),
        enable_second_factor(),
    ],
)
def test_who_was_never_registered_is_not_found(asking):
    NOTHING.when(asking).then_refused(AccountNotFound)


@pytest.mark.parametrize("by", [ADA, None])
def test_a_role_changes_for_a_reason(by):
    ANALYST.when(change_role(Role.VIEWER, by=by, reason="new job", now=later(1))).then(
        role_changed(Role.VIEWER, by=by, reason="new job", at=later(1))
    )


def test_the_same_role_is_no_change():
    ANALYST.when(change_role(Role.ANALYST)).then()


@pytest.mark.parametrize("by", [ADA, None])
def test_a_person_is_kept_out_for_a_reason(by):
    ANALYST.when(deactivate(by=by, reason="left us", now=later(1))).then(
        deactivated(by=by, reason="left us", at=later(1))
    )


def test_who_is_out_is_not_put_out_again():
    GONE.when(deactivate()).then()


@pytest.mark.parametrize("by", [ADA, None])
def test_a_person_is_let_in_again_for_a_reason(by):
    GONE.when(reactivate(by=by, reason="is back", now=later(1))).then(
        reactivated(by=by, reason="is back", at=later(1))
    )


def test_who_is_in_is_not_let_in_again():
    ANALYST.when(reactivate()).then()


@pytest.mark.parametrize("by", [ADA, None])
@pytest.mark.parametrize("wish", [deactivate, lambda **rest: change_role(Role.ANALYST, **rest)])
def test_the_last_administrator_stays(wish, by):
    ADMIN.when(wish(by=by, another_admin=False)).then_refused(LastAdmin, person=ADA)


def test_an_administrator_may_go_while_another_is_there():
    ADMIN.when(deactivate(another_admin=True)).then(deactivated())
    ADMIN.when(change_role(Role.ANALYST, another_admin=True)).then(role_changed(Role.ANALYST))


def test_the_last_administrator_may_be_made_administrator():
    ADMIN.when(change_role(Role.ADMIN, another_admin=False)).then()


def test_others_may_go_whoever_is_there():
    ANALYST.when(deactivate(another_admin=False)).then(deactivated())
    ANALYST.when(change_role(Role.VIEWER, another_admin=False)).then(role_changed(Role.VIEWER))


def test_a_deactivated_administrator_is_not_the_last_one():
    gone = Given(ACCOUNT, registered(ADA), deactivated())

    gone.when(change_role(Role.ANALYST, another_admin=False)).then(role_changed(Role.ANALYST))


@pytest.mark.parametrize("by", [ANA, ADA, None])
def test_a_password_is_changed_by_its_owner_or_an_administrator(by):
    ANALYST.when(change_password(by=by, reason="yearly", now=later(1))).then(
        password_changed(by=by, kept_session=None, reason="yearly", at=later(1))
    )


def test_nobody_else_changes_a_password():
    ANALYST.when(change_password(by=BEN)).then_refused(AdminRequired, role="analyst")


@pytest.mark.parametrize("person", [ANA, ADA])
def test_a_finished_session_changes_no_password(person):
    asking = change_password(by=authority(person, session_is_live=False))

    ANALYST.when(asking).then_refused(SessionNotLive, session=session_of(person))


def test_the_session_that_enables_the_second_factor_survives():
    asking = enable_second_factor(by=authority(ANA, session=SECOND), now=later(1))

    ANALYST.when(asking).then(second_factor_enabled(kept_session=SECOND, at=later(1)))


def test_a_second_factor_is_enabled_once():
    Given(ACCOUNT, registered(ANA), second_factor_enabled()).when(enable_second_factor(by=ANA)).then()


@pytest.mark.parametrize("person", [BEN, ADA])
def test_nobody_enables_the_second_factor_of_others(person):
    ANALYST.when(enable_second_factor(by=person)).then_refused(OwnAccountOnly, person=person)


def test_a_finished_session_enables_nothing():
    asking = enable_second_factor(by=authority(ANA, session_is_live=False))

    ANALYST.when(asking).then_refused(SessionNotLive, session=session_of(ANA))


def test_a_registered_person_may_log_in():
    assert ANALYST.state == Registered(
        person=ANA,
        role=Role.ANALYST,
        registered_at=NOW,
        is_active=True,
        is_lead=False,
        epoch=0,
        kept_session=None,
        second_factor=False,
        credential=CREDENTIAL,
    )


@pytest.mark.parametrize("credential", [Digest("e" * 64), None], ids=["committed", "by an older release"])
def test_the_last_event_says_what_the_credential_must_be(credential: Digest | None):
    for state in (
        Given(ACCOUNT, registered(credential=credential)).state,
        Given(ACCOUNT, registered(), password_changed(credential=credential)).state,
    ):
        assert isinstance(state, Registered)
        assert state.credential == credential


@pytest.mark.parametrize("credential", [Digest("e" * 64), None], ids=["committed", "by an older release"])
def test_a_key_has_the_credential_of_its_event(credential: Digest | None):
    engine = Given(ACCOUNT, registered(role=Role.SERVICE), key_issued(credential=credential)).state

    key = live_key(engine, KEY, NOW)

    assert key is not None
    assert key.credential == credential


@pytest.mark.parametrize(
    ("event", "fact", "value"),
    [
        (role_changed(Role.VIEWER), "role", Role.VIEWER),
        (deactivated(), "is_active", False),
        (second_factor_enabled(), "second_factor", True),
        (password_changed(kept_session=SECOND), "kept_session", SECOND),
    ],
)
def test_what_ends_sessions_raises_the_epoch(event, fact, value):
    state = ACCOUNT.evolve(ANALYST.state, event)

    assert getattr(state, fact) == value
    assert (state.epoch, keeps(state, FIRST, 0)) == (1, event == second_factor_enabled())


def test_a_reactivation_revives_nothing():
    state = ACCOUNT.evolve(GONE.state, reactivated())

    assert state.is_active
    assert (state.epoch, keeps(state, FIRST, 0)) == (1, False)


def test_a_session_of_this_epoch_is_kept():
    assert keeps(ANALYST.state, FIRST, 0)
    assert keeps(GONE.state, FIRST, 1)
    assert not keeps(GONE.state, FIRST, 0)


def test_only_the_named_session_survives():
    state = Given(ACCOUNT, registered(ANA), second_factor_enabled(SECOND)).state

    assert keeps(state, SECOND, 0)
    assert not keeps(state, FIRST, 0)


@pytest.mark.parametrize("event", [role_changed(Role.VIEWER), deactivated(), password_changed()])
def test_a_kept_session_dies_with_the_next_raise(event):
    assert not keeps(Given(ACCOUNT, registered(ANA), second_factor_enabled(FIRST), event).state, FIRST, 0)


def test_nobody_keeps_the_session_of_a_stranger():
    assert not keeps(Unregistered(), FIRST, 0)


@pytest.mark.parametrize(
    "event", [role_changed(Role.VIEWER), deactivated(), reactivated(), password_changed()]
)
def test_nothing_happens_to_who_is_not_registered(event):
    assert ACCOUNT.evolve(Unregistered(), event) == Unregistered()


def test_a_second_registration_changes_nothing():
    assert ACCOUNT.evolve(GONE.state, registered(BEN)) == GONE.state
