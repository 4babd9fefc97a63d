"""What a synchronous standby has not confirmed is seen by nobody, also once its caller has given up or gone."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from ledger.domain.errors import OutcomeUnknown
from ledger.store.landing import landed_in, one_transaction
from ledger.store.ledger import Ledger
from ledger.store.migrate import migrate
from ledger.store.streams import append, draft
from tests.support.events import an_event, by_somebody, new_stream
from tests.support.outside import Outside, outside

pytestmark = [pytest.mark.processes, pytest.mark.long]

HANG = 60.0
WAITS = "select count(*) from pg_stat_activity where wait_event = 'SyncRep'"


@pytest.fixture
async def alone() -> AsyncIterator[Outside]:
    """A server whose synchronous standby is away, once a ledger is in it."""
    server = outside()
    started = await asyncio.to_thread(server.__enter__)
    try:
        await asyncio.to_thread(started.make)
        await migrate(started.owner_url, started.service_url)
        yield started
    finally:
        await asyncio.to_thread(server.__exit__, None, None, None)


async def waits_for(server: Outside, standby: str) -> None:
    await ask(server, f"alter system set synchronous_standby_names = '{standby}'")
    await ask(server, "select pg_reload_conf()")
    async with asyncio.timeout(HANG):
        while await ask(server, "show synchronous_standby_names") != standby:
            await asyncio.sleep(0.02)


async def ask(server: Outside, statement: str) -> object:
    return await asyncio.to_thread(server.ask, statement)


async def second_door(ledger: Ledger) -> None:
    async with one_transaction(ledger) as conn:
        await landed_in(conn, ledger, draft(new_stream(), [an_event()], by_somebody()))


async def test_what_is_given_up_or_cancelled_before_a_standby_has_it_is_seen_by_nobody(
    alone: Outside, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ledger.store.sending.SEND_TIMEOUT", 0.5)
    monkeypatch.setattr("ledger.store.sending.RESEND_SECONDS", 0.5)
    async with await Ledger.open(alone.service_url) as ledger:
        await waits_for(alone, "away")
        cancelled = asyncio.create_task(second_door(ledger))
        async with asyncio.timeout(HANG):
            while not await ask(alone, WAITS):
                await asyncio.sleep(0.02)
        cancelled.cancel()
        await asyncio.gather(cancelled, return_exceptions=True)
        with pytest.raises(OutcomeUnknown):
            await append(ledger, draft(new_stream(), [an_event()], by_somebody()))

        assert await ledger.head() == 0
        await waits_for(alone, "")
        async with asyncio.timeout(HANG):
            while await ledger.head() == 0:
                await asyncio.sleep(0.02)
