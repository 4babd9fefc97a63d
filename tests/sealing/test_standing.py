"""Who seals, and who runs its errands: a lease, by the clock of the database, that outlives nobody for long."""

from uuid import uuid4

import pytest

from ledger.sealing import partners, standing
from ledger.store.ledger import Ledger


@pytest.mark.parametrize(("until", "taken"), [("2 seconds", False), ("-1 seconds", True), ("1 year", True)])
async def test_a_lease_that_nobody_can_have_taken_is_told_as_none_and_keeps_nobody_from_sealing(
    ledger: Ledger, until: str, *, taken: bool
):
    """The database's clock leapt a year ahead and was set right, and the process that sealed then is gone."""
    async with ledger.pool.acquire() as conn:
        assert await standing.claim(conn, ledger.ledger_id, uuid4(), "ledger.example/log")
        await conn.execute(
            "update work.notary_standing set until = clock_timestamp() + $1::text::interval", until
        )

        told = await standing.read_standing(conn, ledger.ledger_id)
        assert told is not None
        assert told.is_held is not taken
        assert await standing.claim(conn, ledger.ledger_id, uuid4(), "ledger.example/log") is taken


@pytest.mark.parametrize(("until", "taken"), [("290 seconds", False), ("-1 seconds", True), ("1 year", True)])
async def test_a_lease_that_nobody_can_have_taken_keeps_nobody_from_an_errand(
    ledger: Ledger, until: str, *, taken: bool
):
    assert await partners.claim(ledger.pool, ledger.ledger_id, "errand", uuid4(), seconds=30.0)
    await ledger.pool.execute(
        "update work.notary_errands set leased_until = clock_timestamp() + $1::text::interval", until
    )

    assert await partners.claim(ledger.pool, ledger.ledger_id, "errand", uuid4(), seconds=30.0) is taken
