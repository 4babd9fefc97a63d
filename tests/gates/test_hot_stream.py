"""Thirty-two writers on one stream: each is served or told of the conflict, and nobody else waits for them."""

import asyncio

import msgspec
import pytest

from ledger.domain.errors import VersionConflict
from ledger.domain.ids import StreamName
from ledger.store.ledger import Ledger
from ledger.store.streams import append, draft, read_stream
from tests.gates.desk import Desk, claimed_submission
from tests.support.databases import Database
from tests.support.events import an_event, by_somebody, new_stream
from tests.support.torture_sizes import HANG, sizes

WRITERS = 32
COLD_WRITERS = 8


class Served(msgspec.Struct):
    """What the writers of the hot stream got, each its own list of versions."""

    versions: list[list[int]]
    refused: list[VersionConflict]

    def count(self) -> int:
        return sum(map(len, self.versions))


async def heat(ledgers: tuple[Ledger, Ledger], desk: Desk, decision: StreamName, rounds: int) -> Served:
    """Have every writer renew ``rounds`` times; whoever meets others three times repeats it, as clients do."""
    served = Served([[] for _ in range(WRITERS)], [])

    async def renew(number: int) -> None:
        while len(served.versions[number]) < rounds:
            try:
                handled = await desk.renews(ledgers[number % 2], decision)
            except VersionConflict as conflict:
                served.refused.append(conflict)
            else:
                served.versions[number].append(handled.version)

    await asyncio.gather(*(renew(number) for number in range(WRITERS)))
    return served


async def keep_busy(ledger: Ledger, hot: asyncio.Task[Served]) -> list[int]:
    """Append to cold streams for as long as the other is hot; how many each cold writer managed."""
    managed = [0] * COLD_WRITERS

    async def go_on(number: int) -> None:
        while not hot.done():
            await append(ledger, draft(new_stream(), [an_event()], by_somebody()))
            managed[number] += 1

    await asyncio.gather(*(go_on(number) for number in range(COLD_WRITERS)))
    return managed


@pytest.mark.slow
@sizes(short=3, long=10, longest=50)
async def test_a_hot_stream_serves_everybody_and_starves_nobody(
    ledger: Ledger, database: Database, size: int
) -> None:
    desk = await Desk.opened(ledger)
    decision = await claimed_submission(ledger, desk)
    async with asyncio.timeout(HANG), await Ledger.open(database.service_url) as other:
        hot = asyncio.create_task(heat((ledger, other), desk, decision, size))
        cold = await keep_busy(ledger, hot)
        served = await hot

    print({"served": served.count(), "refused": len(served.refused), "cold": cold})
    stored = [event.version for event in (await read_stream(ledger, decision)).events]
    assert stored == list(range(1, 3 + WRITERS * size)), "submitted, claimed, and once for each success"
    assert sorted(version for own in served.versions for version in own) == stored[2:]
    assert served.refused, "it was not hot"
    assert all(one.context["expected"] < one.context["actual"] for one in served.refused)
    assert min(cold) >= WRITERS * size // COLD_WRITERS, "a cold stream waited for the hot one"
