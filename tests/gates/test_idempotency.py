"""A command takes effect once and gets the same answer: in a race, after a lost connection, after a crash."""

import asyncio
from contextlib import AsyncExitStack

import pytest

from ledger.command_handling.answering import Handled
from ledger.domain.errors import KeyReused
from ledger.domain.ids import StreamName
from ledger.store.ledger import Ledger
from ledger.store.pool import Connection
from ledger.store.streams import read_stream
from tests.gates.desk import Desk, submission
from tests.support.databases import Database
from tests.support.proxy import proxy
from tests.support.torture import Child
from tests.support.torture_repeater import keyed

HANG = 60.0
VOTE = b'"type":"vote-cast"'
"""Holding answers after these bytes loses the answer to the append itself."""


async def types_of(ledger: Ledger, decision: StreamName) -> list[str]:
    return [stored.type for stored in (await read_stream(ledger, decision)).events]


def same(answers: list[Handled[object]]) -> bool:
    return all(answer == answers[0] for answer in answers)


async def test_one_command_a_hundred_times_at_once_by_two_ledgers(ledger: Ledger, database: Database) -> None:
    desk, decision = await Desk.opened(ledger), await submission(ledger)
    async with asyncio.timeout(HANG), await Ledger.open(database.service_url) as other:
        answers = await asyncio.gather(
            *(desk.votes((ledger, other)[number % 2], decision, keyed()) for number in range(100))
        )

    assert same(answers)
    assert await types_of(ledger, decision) == ["decision-submitted", "vote-cast", "decision-resolved"]


@pytest.mark.processes
async def test_one_command_a_hundred_times_at_once_by_two_processes(
    ledger: Ledger, database: Database
) -> None:
    desk, decision = await Desk.opened(ledger), await submission(ledger)
    arguments = (database.service_url, decision, desk.principal.session, 50)
    async with asyncio.timeout(HANG), AsyncExitStack() as stack:
        children = [
            await stack.enter_async_context(Child("tests.support.torture_repeater", *arguments))
            for _ in range(2)
        ]
        for child in children:
            assert await child.line() == "ready"
        told = await asyncio.gather(*(child.answer("go\n") for child in children))

    answers = [answer for one in told for answer in one["answers"]]
    assert len(answers) == 100
    assert len(set(answers)) == 1
    assert await types_of(ledger, decision) == ["decision-submitted", "vote-cast", "decision-resolved"]


@pytest.mark.parametrize("is_keyed", [True, False])
async def test_a_connection_that_dies_after_the_commit(
    ledger: Ledger, database: Database, *, is_keyed: bool
) -> None:
    """The line loses the answer; the appender sends again and learns what had happened."""
    desk, decision = await Desk.opened(ledger), await submission(ledger)
    provenance = keyed() if is_keyed else None
    async with (
        asyncio.timeout(HANG),
        proxy(database.service_url) as line,
        await Ledger.open(line.url) as afar,
    ):
        line.hold_answers(after=VOTE)
        rings = ledger.appended.rings()
        voting = asyncio.create_task(desk.votes(afar, decision, provenance))
        await line.held.wait()
        await committed(ledger, decision, rings)
        line.cut()
        handled = await voting

    stored = (await read_stream(ledger, decision)).events
    assert [one.type for one in stored] == ["decision-submitted", "vote-cast", "decision-resolved"]
    assert [one.leaf for one in handled.events] == [one.leaf for one in stored[1:]]
    if is_keyed:
        assert await desk.votes(ledger, decision, provenance) == handled


async def test_a_connection_that_dies_after_the_commit_at_the_second_door(
    ledger: Ledger, database: Database
) -> None:
    desk, decision = await Desk.opened(ledger), await submission(ledger)
    async with (
        asyncio.timeout(HANG),
        proxy(database.service_url) as line,
        await Ledger.open(line.url) as afar,
    ):
        await afar.pool.execute("create table work.mine (a integer)")

        async def beside(conn: Connection) -> None:
            await conn.execute("insert into work.mine values (1)")

        line.hold_answers(after=b"COMMIT")
        rings = ledger.appended.rings()
        voting = asyncio.create_task(desk.votes(afar, decision, keyed(), alongside=beside))
        await line.held.wait()
        await committed(ledger, decision, rings)
        line.cut()
        handled = await voting

    assert await types_of(ledger, decision) == ["decision-submitted", "vote-cast", "decision-resolved"]
    assert await ledger.pool.fetchval("select count(*) from work.mine") == 1
    assert await desk.votes(ledger, decision, keyed()) == handled


async def test_a_crash_between_commit_and_reply_and_a_restart(ledger: Ledger, database: Database) -> None:
    """The process goes with the answer it never got; its successor gives that answer, a hundred times."""
    desk, decision = await Desk.opened(ledger), await submission(ledger)
    async with asyncio.timeout(HANG), proxy(database.service_url) as line:
        async with await Ledger.open(line.url) as crashing:
            line.hold_answers(after=VOTE)
            rings = ledger.appended.rings()
            voting = asyncio.create_task(desk.votes(crashing, decision, keyed()))
            await line.held.wait()
            await committed(ledger, decision, rings)
            voting.cancel()
            await asyncio.gather(voting, return_exceptions=True)
            line.cut()

        async with await Ledger.open(database.service_url) as restarted:
            answers = await asyncio.gather(*(desk.votes(restarted, decision, keyed()) for _ in range(100)))
            with pytest.raises(KeyReused):
                await desk.votes(restarted, decision, keyed("another request"))

    stored = (await read_stream(ledger, decision)).events
    assert same(answers)
    assert [one.leaf for one in answers[0].events] == [one.leaf for one in stored[1:]]
    assert [one.type for one in stored] == ["decision-submitted", "vote-cast", "decision-resolved"]


async def committed(ledger: Ledger, decision: StreamName, rings: int) -> None:
    """Wait, by a line of our own, until the vote is in the log."""
    while "vote-cast" not in await types_of(ledger, decision):
        await ledger.appended.wait_past(rings, 1.0)
        rings = ledger.appended.rings()
