"""The directory shows every account as its stream has it."""

from ledger.domain.account.state import Registered
from ledger.domain.authority import Role
from ledger.domain.event import Event
from ledger.domain.ids import PersonId
from ledger.projections.views.directory import DIRECTORY, another_active_admin, count, find, page
from ledger.store.ledger import Ledger, account_stream
from tests.builders import (
    ADA,
    ANA,
    BEN,
    LEA,
    NOW,
    deactivated,
    password_changed,
    reactivated,
    registered,
    role_changed,
    second_factor_enabled,
    session_of,
)
from tests.projections.given import bring_level
from tests.support.recorded import happened


async def account(ledger: Ledger, person: PersonId, *events: Event) -> Registered | None:
    if events:
        await happened(ledger, account_stream(person), *events)
    await bring_level(ledger, DIRECTORY)
    async with ledger.pool.acquire() as conn:
        return await find(conn, ledger.ledger_id, person)


async def admin_besides(ledger: Ledger, person: PersonId) -> PersonId | None:
    await bring_level(ledger, DIRECTORY)
    async with ledger.pool.acquire() as conn:
        return await another_active_admin(conn, ledger.ledger_id, person)


async def test_a_registered_account_is_found(ledger: Ledger) -> None:
    assert await account(ledger, ANA, registered(ANA)) == Registered(
        person=ANA, role=Role.ANALYST, registered_at=NOW
    )
    assert await account(ledger, BEN) is None


async def test_what_ends_sessions_raises_the_epoch(ledger: Ledger) -> None:
    await account(ledger, ANA, registered(ANA))
    await account(ledger, ANA, password_changed(), role_changed(Role.VIEWER), deactivated(), reactivated())
    kept = session_of(ANA)

    assert await account(ledger, ANA, second_factor_enabled(kept)) == Registered(
        person=ANA,
        role=Role.VIEWER,
        registered_at=NOW,
        epoch=4,
        kept_session=kept,
        second_factor=True,
    )


async def test_another_active_admin_is_neither_the_one_excluded_nor_deactivated_nor_demoted(
    ledger: Ledger,
) -> None:
    await account(ledger, ADA, registered(ADA))
    await account(ledger, ANA, registered(ANA))
    assert await admin_besides(ledger, ADA) is None
    assert await admin_besides(ledger, ANA) == ADA

    await account(ledger, BEN, registered(BEN, role=Role.ADMIN))
    assert await admin_besides(ledger, ADA) == BEN

    await account(ledger, BEN, deactivated())
    assert await admin_besides(ledger, ADA) is None

    await account(ledger, BEN, reactivated(), role_changed(Role.ANALYST))
    assert await admin_besides(ledger, ADA) is None


async def test_pages_hold_every_account_once(ledger: Ledger) -> None:
    for person in (LEA, ADA, ANA, BEN):
        await account(ledger, person, registered(person))

    async with ledger.pool.acquire() as conn:
        first = await page(conn, ledger.ledger_id, limit=3, after=None)
        rest = await page(conn, ledger.ledger_id, limit=3, after=first[-1].person)
        total = await count(conn, ledger.ledger_id)

    assert {found.person for found in (*first, *rest)} == {LEA, ADA, ANA, BEN}
    assert (len(first), len(rest), total) == (3, 1, 4)
