"""What changes an account ends its sessions; the last active administrator stays."""

import asyncio

import pytest

from ledger.domain.account.decide import AccountNotFound, LastAdmin
from ledger.domain.authority import AdminRequired, Role, SessionNotLive
from ledger.domain.ids import SessionId
from ledger.domain.session.decide import SESSION, InactiveUser
from ledger.domain.session.events import RevocationCause, SessionRevoked
from ledger.identity import administering, session_rows
from ledger.identity.actor import Actor
from ledger.identity.administering import WrongCurrentPassword
from ledger.identity.ending import revoke_lapsed
from ledger.identity.identity import Identity
from ledger.identity.login import WrongCredentials
from ledger.identity.me import me
from ledger.identity.opening import LoggedIn
from ledger.identity.sessions import Principal, authenticate
from ledger.projections.views.directory import DIRECTORY
from ledger.projections.views.sessions import SESSIONS
from ledger.store.envelope import Provenance
from ledger.store.ledger import session_stream
from ledger.store.streams import keyed_command_id, read_stream, recorded
from tests.identity.house import (
    PASSWORD,
    MovingClock,
    admitted,
    asking,
    logged_in,
    operator,
    principal,
    record,
)
from tests.projections.given import bring_level

NEW = "another password"


async def an_admin(identity: Identity, username: str = "ada") -> Principal:
    await admitted(identity, username, role=Role.ADMIN)
    await bring_level(identity.ledger, DIRECTORY)
    return await principal(identity, username)


async def deactivate(identity: Identity, username: str, by: Principal | None) -> None:
    await administering.deactivate(
        identity, username, operator() if by is None else asking(by), reason="left"
    )


async def revocation_of(identity: Identity, session: SessionId) -> SessionRevoked:
    stream = await read_stream(identity.ledger, session_stream(session))
    event = recorded(stream.events[-1], SESSION.event_types).event
    assert isinstance(event, SessionRevoked)
    return event


async def test_deactivating_ends_every_session_and_says_who_did_it(identity: Identity) -> None:
    ada = await an_admin(identity)
    await admitted(identity, "sam")
    sams = [await principal(identity, "sam") for _ in range(3)]

    await deactivate(identity, "SAM", ada)

    for sam in sams:
        revoked = await revocation_of(identity, sam.session)
        assert (revoked.cause, revoked.by, revoked.reason) == (
            RevocationCause.DEACTIVATED,
            ada.person,
            "left",
        )
    with pytest.raises(InactiveUser):
        await logged_in(identity, "sam")


async def test_a_reactivated_person_logs_in_anew_and_old_sessions_stay_dead(identity: Identity) -> None:
    ada = await an_admin(identity)
    await admitted(identity, "sam")
    before = await logged_in(identity, "sam")

    await deactivate(identity, "sam", ada)
    await administering.reactivate(identity, "sam", asking(ada), reason="back")

    await principal(identity, "sam")
    with pytest.raises(SessionNotLive):
        await authenticate(identity, before.access_token)


async def test_another_role_ends_the_sessions_of_the_old_one(identity: Identity) -> None:
    ada = await an_admin(identity)
    await admitted(identity, "sam")
    before = await principal(identity, "sam")

    await administering.change_role(identity, "sam", asking(ada), role=Role.VIEWER, reason="moved")

    assert (await revocation_of(identity, before.session)).cause is RevocationCause.ROLE_CHANGED
    assert (await principal(identity, "sam")).role is Role.VIEWER


async def test_ones_own_password_needs_the_current_one(identity: Identity) -> None:
    await admitted(identity, "sam")
    sam = await principal(identity, "sam")

    for current in (None, "wrong"):
        with pytest.raises(WrongCurrentPassword):
            await administering.change_password(
                identity, "sam", asking(sam), new_password=NEW, current_password=current
            )
    await administering.change_password(
        identity, "sam", asking(sam), new_password=NEW, current_password=PASSWORD
    )

    assert (await revocation_of(identity, sam.session)).cause is RevocationCause.PASSWORD_CHANGED
    with pytest.raises(WrongCredentials):
        await logged_in(identity, "sam")
    await principal(identity, "sam", NEW)


async def test_two_who_change_one_password_at_once_do_it_once(identity: Identity) -> None:
    await admitted(identity, "sam")
    sams = [await principal(identity, "sam") for _ in range(2)]

    outcomes = await asyncio.gather(
        *(
            administering.change_password(
                identity, "sam", asking(sam), new_password=f"{NEW} {sam.session}", current_password=PASSWORD
            )
            for sam in sams
        ),
        return_exceptions=True,
    )

    assert sum(isinstance(outcome, WrongCurrentPassword | SessionNotLive) for outcome in outcomes) == 1


async def test_an_administrator_sets_anybodys_password_and_nobody_else_does(identity: Identity) -> None:
    ada = await an_admin(identity)
    await admitted(identity, "sam")
    await admitted(identity, "ben")
    ben = await principal(identity, "ben")

    with pytest.raises(AdminRequired):
        await administering.change_password(identity, "sam", asking(ben), new_password=NEW)
    await administering.change_password(identity, "sam", asking(ada), new_password=NEW, reason="forgotten")

    await principal(identity, "sam", NEW)


async def test_a_login_that_overlaps_a_password_change_does_not_outlive_it(identity: Identity) -> None:
    ada = await an_admin(identity)
    await admitted(identity, "sam")

    async def change() -> None:
        await asyncio.sleep(0.02)
        await administering.change_password(identity, "sam", asking(ada), new_password=NEW)

    answers = await asyncio.gather(
        change(), *(logged_in(identity, "sam") for _ in range(40)), return_exceptions=True
    )

    assert answers[0] is None
    for answer in answers[1:]:
        if isinstance(answer, LoggedIn):
            with pytest.raises(SessionNotLive):
                await authenticate(identity, answer.access_token)


async def test_only_administrators_administer_and_learn_who_exists(identity: Identity) -> None:
    ada = await an_admin(identity)
    await admitted(identity, "sam")
    sam = await principal(identity, "sam")

    for username in ("ada", "nobody"):
        with pytest.raises(AdminRequired):
            await deactivate(identity, username, sam)
    with pytest.raises(AdminRequired):
        await deactivate(identity, "sam", sam)
    with pytest.raises(AccountNotFound):
        await deactivate(identity, "nobody", ada)


async def test_the_last_active_administrator_stays(identity: Identity) -> None:
    ada = await an_admin(identity)

    with pytest.raises(LastAdmin):
        await deactivate(identity, "ada", ada)
    with pytest.raises(LastAdmin):
        await administering.change_role(identity, "ada", operator(), role=Role.VIEWER, reason="tired")
    await an_admin(identity, "eve")
    await deactivate(identity, "ada", ada)
    await bring_level(identity.ledger, DIRECTORY)

    with pytest.raises(LastAdmin):
        await deactivate(identity, "eve", None)


async def test_a_directory_that_lags_does_not_lose_the_last_administrator(identity: Identity) -> None:
    await an_admin(identity, "ada")
    await an_admin(identity, "eve")

    await deactivate(identity, "ada", None)  # the directory still calls ada an active administrator

    with pytest.raises(LastAdmin):
        await deactivate(identity, "eve", None)


@pytest.mark.parametrize("_round", range(5))
async def test_two_administrators_who_deactivate_each_other_leave_one(
    identity: Identity, _round: int
) -> None:
    ada, eve = await an_admin(identity, "ada"), await an_admin(identity, "eve")

    outcomes = await asyncio.gather(
        deactivate(identity, "eve", ada), deactivate(identity, "ada", eve), return_exceptions=True
    )

    assert sum(outcome is None for outcome in outcomes) == 1
    refusals = [outcome for outcome in outcomes if outcome is not None]
    assert isinstance(refusals[0], LastAdmin | SessionNotLive)


async def test_the_same_deactivation_sent_again_ends_no_session_twice(identity: Identity) -> None:
    ada = await an_admin(identity)
    sam = await admitted(identity, "sam")
    await principal(identity, "sam")
    provenance = Provenance(
        actor=str(ada.person),
        command_id=keyed_command_id(ada.person, "key"),
        is_keyed=True,
        request="digest",
    )

    first = await administering.deactivate(
        identity, "sam", Actor(principal=ada, provenance=provenance), reason="left"
    )
    head = await identity.ledger.head()
    again = await administering.deactivate(
        identity, "sam", Actor(principal=ada, provenance=provenance), reason="left"
    )
    await revoke_lapsed(identity, [sam])

    assert (again.position, again.leaf) == (first.position, first.leaf)
    assert await identity.ledger.head() == head


async def test_no_session_of_the_new_epoch_is_revoked_for_the_old_one(
    identity: Identity, clock: MovingClock
) -> None:
    ada = await an_admin(identity)
    sam = await admitted(identity, "sam")
    await administering.change_password(identity, "sam", asking(ada), new_password=NEW)
    after = await logged_in(identity, "sam", NEW)

    await revoke_lapsed(identity, [sam])

    await authenticate(identity, after.access_token)
    ledger = identity.ledger
    assert len(await session_rows.open_of(ledger.pool, ledger.ledger_id, [sam])) == 1


async def test_everybody_is_told_who_they_are(identity: Identity, clock: MovingClock) -> None:
    await admitted(identity, "sam")
    await principal(identity, "sam")
    clock.forward(hours=1)

    again = await principal(identity, "sam")
    await bring_level(identity.ledger, SESSIONS)
    told = await me(identity, again)

    assert told.record == record("sam")
    assert (told.role, told.is_2fa_enabled, told.last_login) == (Role.ANALYST, False, clock())
    assert (told.groups, told.is_lead) == ((), False)
