"""What a finished session held goes back to the queue, once, whoever sees to it and however often they die."""

import asyncio
from datetime import datetime
from typing import Any

import asyncpg
import pytest

from ledger.domain.decision.decide import DECISION
from ledger.domain.decision.events import ClaimReleased, DecisionEvent, ReleaseCause
from ledger.domain.event import Event
from ledger.domain.ids import START, DecisionId, PersonId, Position, SessionId
from ledger.projections.views.queue import QUEUE
from ledger.reactions import releases
from ledger.reactions.releases import release_on, run_forever
from ledger.store.ledger import Ledger, session_stream
from ledger.store.streams import Recorded, read_stream, recorded
from tests.builders import ANA, BEN, claimed, later, lease, session_of, submitted
from tests.builders.sessions import break_taken, ended, expired, opened, revoked
from tests.projections.given import bring_level
from tests.store.test_appender import kill_others
from tests.support.databases import Database
from tests.support.recorded import happened

HANG = 60.0
MINE, OTHERS = session_of(ANA), session_of(BEN)


def clock() -> datetime:
    return later(60)


async def hold(ledger: Ledger, *names: str, session: SessionId = MINE, by: PersonId = ANA) -> None:
    """Let somebody claim these in a session."""
    for name in names:
        stream = ledger.decision_stream(DecisionId(name))
        await happened(ledger, stream, submitted(decision_id=DecisionId(name)), claimed(by, session=session))


async def end(ledger: Ledger, event: Event) -> None:
    await happened(ledger, session_stream(MINE), opened(ANA, session=MINE), event)


async def events(ledger: Ledger, name: str) -> list[Recorded[DecisionEvent]]:
    stored = (await read_stream(ledger, ledger.decision_stream(DecisionId(name)))).events
    return [recorded(one, DECISION.event_types) for one in stored]


async def is_free(ledger: Ledger, name: str) -> bool:
    return isinstance((await events(ledger, name))[-1].event, ClaimReleased)


@pytest.mark.parametrize("ending", [ended(), expired(), revoked()], ids=lambda event: type(event).__name__)
async def test_however_a_session_ends_its_leases_go_back(ledger: Ledger, ending: Event) -> None:
    await hold(ledger, "one", "two")
    await hold(ledger, "theirs", session=OTHERS, by=BEN)
    await end(ledger, ending)
    await bring_level(ledger, QUEUE)

    seen = await release_on(ledger, clock, START)

    assert seen == await ledger.head() - 2
    assert [await is_free(ledger, name) for name in ("one", "two", "theirs")] == [True, True, False]
    released = (await events(ledger, "one"))[-1]
    assert released.event == ClaimReleased(
        at=clock(), holder=ANA, lease_id=lease(1), cause=ReleaseCause.SESSION_ENDED, by=None, reason=""
    )
    assert released.actor == "system"
    stored = (await read_stream(ledger, session_stream(MINE))).events[-1]
    cause = await ledger.pool.fetchval(
        "select causation_id from ledger.events where event_id = $1", released.event_id
    )
    assert cause == stored.event_id


async def test_a_break_keeps_its_leases(ledger: Ledger) -> None:
    await hold(ledger, "one")
    await end(ledger, break_taken())
    await bring_level(ledger, QUEUE)

    await release_on(ledger, clock, START)

    assert not await is_free(ledger, "one")


async def test_a_lease_that_has_ended_or_changed_hands_is_left_alone(ledger: Ledger) -> None:
    await hold(ledger, "taken-over")
    await end(ledger, ended())
    await bring_level(ledger, QUEUE)  # and the queue does not see the next claim yet
    stream = ledger.decision_stream(DecisionId("taken-over"))
    await happened(ledger, stream, claimed(BEN, token=2, session=OTHERS))

    await release_on(ledger, clock, START)

    assert not await is_free(ledger, "taken-over")


async def test_what_the_queue_does_not_show_yet_is_waited_for(ledger: Ledger) -> None:
    await hold(ledger, "one")
    await end(ledger, ended())

    assert await release_on(ledger, clock, START) == START
    assert not await is_free(ledger, "one")
    await bring_level(ledger, QUEUE)
    await release_on(ledger, clock, START)
    assert await is_free(ledger, "one")


async def test_done_again_it_writes_nothing(ledger: Ledger) -> None:
    """Two at once, and one that died before it could say how far it had come."""
    await hold(ledger, "one", "two", "three")
    await end(ledger, ended())
    await bring_level(ledger, QUEUE)

    await asyncio.gather(*(release_on(ledger, clock, START) for _ in range(4)))
    head = await ledger.head()
    await ledger.pool.execute("delete from work.reactions")
    await release_on(ledger, clock, START)

    assert await ledger.head() == head
    assert [len(await events(ledger, name)) for name in ("one", "two", "three")] == [3, 3, 3]


async def test_killed_anywhere_on_its_way_it_is_finished_by_the_next(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [f"item-{number}" for number in range(12)]
    monkeypatch.setattr(releases, "AT_ONCE", 2)
    await hold(ledger, *names)
    await end(ledger, ended())
    await bring_level(ledger, QUEUE)
    began = await ledger.head()

    for steps in (*range(1, 40, 3), *range(40, 1500, 80)):
        worker = asyncio.create_task(release_on(ledger, clock, START))
        for _ in range(steps):
            await asyncio.sleep(0)
        worker.cancel()
        await asyncio.gather(worker, return_exceptions=True)
    async with asyncio.timeout(HANG):
        while not all([await is_free(ledger, name) for name in names]):
            await bring_level(ledger, QUEUE)  # what a killed one had sent may arrive yet, and is waited for
            await release_on(ledger, clock, START)

    assert await ledger.head() == began + len(names)
    assert all([await is_free(ledger, name) for name in names])


async def test_it_goes_on_from_where_it_was_and_by_itself(ledger: Ledger) -> None:
    await hold(ledger, "one")
    await end(ledger, ended())
    await bring_level(ledger, QUEUE)
    await release_on(ledger, clock, START)
    position = await ledger.pool.fetchval("select position from work.reactions where reaction = 'releases'")
    assert position == await ledger.head() - 1

    await hold(ledger, "two", session=OTHERS, by=BEN)
    worker = asyncio.create_task(run_forever(ledger, clock))
    try:
        await happened(ledger, session_stream(OTHERS), opened(BEN, session=OTHERS), ended())
        head = await ledger.head()
        await bring_level(ledger, QUEUE)
        async with asyncio.timeout(HANG):
            while await ledger.head() == head:
                await asyncio.sleep(0.02)
    finally:
        worker.cancel()
        await asyncio.gather(worker, return_exceptions=True)

    assert await is_free(ledger, "two")


async def test_it_goes_back_with_a_log_that_ends_earlier_now(
    ledger: Ledger, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A standby has taken over that had not received all; what comes then has positions that were seen before."""
    seen: list[Position] = []

    async def seen_to(*given: Any) -> Position:
        seen.append(await release_on(*given))
        return seen[-1]

    monkeypatch.setattr(releases, "release_on", seen_to)
    await hold(ledger, "one")
    kept = await ledger.head()
    await hold(ledger, "two", "three", session=OTHERS, by=BEN)
    await bring_level(ledger, QUEUE)
    worker = asyncio.create_task(run_forever(ledger, clock))
    try:
        async with asyncio.timeout(HANG):
            while kept + 4 not in seen:
                await asyncio.sleep(0.02)
        await ledger_loses(database, kept)
        await kill_others(database)
        async with asyncio.timeout(HANG):
            while seen[-1] != kept:
                await asyncio.sleep(0.02)

        await end(ledger, ended())

        async with asyncio.timeout(HANG):
            while not await is_free(ledger, "one"):
                await asyncio.sleep(0.02)
    finally:
        worker.cancel()
        await asyncio.gather(worker, return_exceptions=True)


async def ledger_loses(database: Database, behind: Position) -> None:
    owner = await asyncpg.connect(database.owner_url)
    await owner.execute("delete from ledger.events where position > $1", behind)
    await owner.close()


async def test_pages_of_a_long_log_are_seen_to_one_after_the_other(ledger: Ledger) -> None:
    await hold(ledger, "one")
    await end(ledger, ended())
    await hold(ledger, *(f"item-{number}" for number in range(5)), session=OTHERS, by=BEN)
    await bring_level(ledger, QUEUE)

    seen = await release_on(ledger, clock, START, limit=3)

    assert seen >= Position(14)
    assert await is_free(ledger, "one")
