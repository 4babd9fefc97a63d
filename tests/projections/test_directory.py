"""The directory shows every account as its stream has it."""

from ledger.domain.account.state import Registered
from ledger.domain.authority import Role
from ledger.domain.event import Event
from ledger.domain.ids import PersonId
from ledger.projections.verifying import verify
from ledger.projections.views.directory import (
    DIRECTORY,
    Group,
    accounts_of,
    another_active_admin,
    count,
    find,
    groups,
    page,
)
from ledger.store.ledger import LEDGER_ID, Ledger, account_stream
from tests.builders import (
    ADA,
    ANA,
    BEN,
    LEA,
    NOW,
    deactivated,
    groups_changed,
    lead_granted,
    lead_revoked,
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


async def test_an_account_is_found_in_its_groups_and_as_a_lead(ledger: Ledger) -> None:
    await account(ledger, ANA, registered(ANA), groups_changed("malware", "tier-2"), lead_granted())

    assert await account(ledger, ANA) == Registered(
        person=ANA, role=Role.ANALYST, registered_at=NOW, is_lead=True, groups=("malware", "tier-2")
    )
    assert await account(ledger, ANA, groups_changed("tier-2"), lead_revoked()) == Registered(
        person=ANA, role=Role.ANALYST, registered_at=NOW, groups=("tier-2",)
    )
    assert await account(ledger, ANA, groups_changed()) == Registered(
        person=ANA, role=Role.ANALYST, registered_at=NOW
    )


async def test_another_role_takes_groups_and_the_lead_away_in_the_directory_too(ledger: Ledger) -> None:
    await account(ledger, ANA, registered(ANA), groups_changed("tier-2"), lead_granted())

    found = await account(ledger, ANA, role_changed(Role.VIEWER))

    assert found is not None
    assert (found.groups, found.is_lead) == ((), False)


async def test_groups_name_their_active_members_page_by_page(ledger: Ledger) -> None:
    await account(ledger, ANA, registered(ANA), groups_changed("malware", "tier-2"))
    await account(ledger, BEN, registered(BEN), groups_changed("tier-2", "tier_3"))
    await account(ledger, LEA, registered(LEA), groups_changed("asleep", "tier-2"), deactivated())
    await account(ledger, ADA, registered(ADA))

    async with ledger.pool.acquire() as conn:
        first = await groups(conn, ledger.ledger_id, limit=2)
        rest = await groups(conn, ledger.ledger_id, limit=2, after=first[-1].name)

    assert first == (Group("malware", (ANA,)), Group("tier-2", (ANA, BEN)))
    assert rest == (Group("tier_3", (BEN,)),)


async def test_accounts_are_looked_up_together(ledger: Ledger) -> None:
    ana = await account(ledger, ANA, registered(ANA), groups_changed("tier-2"))
    await account(ledger, BEN, registered(BEN))

    async with ledger.pool.acquire() as conn:
        assert await accounts_of(conn, ledger.ledger_id, [ANA, LEA]) == {ANA: ana}


async def test_rows_with_groups_are_what_a_fresh_fold_gives(ledger: Ledger) -> None:
    await account(ledger, ANA, registered(ANA), groups_changed("malware", "tier-2"), lead_granted())
    await account(ledger, ANA, groups_changed("tier-2"))

    assert (await verify(ledger.url, LEDGER_ID, DIRECTORY, sample=None)).is_clean()

    await ledger.pool.execute("update views.directory_v2 set groups = '{malware}'")
    assert not (await verify(ledger.url, LEDGER_ID, DIRECTORY, sample=None)).is_clean()
