"""What has just happened is told of the log as it is, also when it ends earlier than it did."""

import asyncio

import asyncpg
import pytest

from ledger.delivery.news import News
from ledger.domain.ids import DecisionId, Position, StreamName
from ledger.store.ledger import Ledger
from ledger.store.pool import DatabaseUnreachable
from tests.builders import submitted
from tests.store.test_appender import kill_others
from tests.store.test_signals import until_connected
from tests.support.databases import Database
from tests.support.recorded import happened

HANG = 60.0


async def submit(ledger: Ledger, name: str) -> Position:
    stream = ledger.decision_stream(DecisionId(name))
    return await happened(ledger, stream, submitted(decision_id=DecisionId(name)))


async def until_told(news: News, position: Position, stream: StreamName) -> None:
    async with asyncio.timeout(HANG):
        while [one.stream for one in (await news.after(Position(position - 1))).notices] != [stream]:
            await asyncio.sleep(0.02)


async def test_news_go_on_from_where_a_log_ends_that_went_back_though_nobody_could_look_at_first(
    ledger: Ledger, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A standby takes over that had not received all, and the first question to it fails."""
    news, heads, failed, pages = News(ledger), ledger.head, list[str](), list[int]()
    news.on(lambda notices: pages.append(len(notices)))

    async def fails_once() -> Position:
        if not failed:
            failed.append("once")
            raise DatabaseUnreachable
        return await heads()

    following = asyncio.create_task(news.run_forever())
    try:
        kept = await submit(ledger, "kept")
        lost = [await submit(ledger, f"lost-{number}") for number in range(3)]
        await until_told(news, lost[-1], ledger.decision_stream(DecisionId("lost-2")))
        monkeypatch.setattr(ledger, "head", fails_once)
        owner = await asyncpg.connect(database.owner_url)
        await owner.execute("delete from ledger.events where position > $1", kept)
        await owner.close()
        await kill_others(database)
        async with asyncio.timeout(HANG):
            while not failed:
                await asyncio.sleep(0.02)

        position = await submit(ledger, "new")

        assert position == kept + 1
        await until_told(news, position, ledger.decision_stream(DecisionId("new")))
        assert pages.count(0) == 2, "those who wait are to look for themselves: at the beginning, and now"
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)


async def test_news_go_on_from_where_a_log_ends_that_went_back_and_has_grown_past_where_it_was(
    ledger: Ledger, database: Database
) -> None:
    """Its length says nothing."""
    news, pages = News(ledger), list[int]()
    news.on(lambda notices: pages.append(len(notices)))
    following = asyncio.create_task(news.run_forever())
    try:
        await until_connected(ledger)
        kept = await submit(ledger, "kept")
        lost = [await submit(ledger, f"lost-{number}") for number in range(3)]
        await until_told(news, lost[-1], ledger.decision_stream(DecisionId("lost-2")))
        owner = await asyncpg.connect(database.owner_url)
        await owner.execute("delete from ledger.events where position > $1", kept)
        await owner.close()
        new = [await submit(ledger, f"new-{number}") for number in range(5)]
        await kill_others(database)
        async with asyncio.timeout(HANG):
            while pages.count(0) < 2:
                await asyncio.sleep(0.02)

        told = [one.stream for one in (await news.after(kept)).notices]

        assert new[0] == lost[0]
        assert told == [ledger.decision_stream(DecisionId(f"new-{number}")) for number in range(5)]
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
