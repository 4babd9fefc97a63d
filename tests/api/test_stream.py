"""The stream of events over real sockets: in order, from anywhere, without loss or doubling, to those who may see it."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from ledger.api import stream
from ledger.delivery.live import Live
from tests.api.answers import assert_refused, decide, submit, wrong_fields
from tests.support.databases import Database
from tests.support.http import Api
from tests.support.listening import HANG_GUARD, Events, Reached, events, reachable


@pytest.fixture
async def reached(database: Database) -> AsyncIterator[Reached]:
    async with reachable(database) as found:
        yield found


async def cases(api: Api, by: dict[str, str], *numbers: int) -> None:
    for number in numbers:
        await submit(api, by, f"CASE-{number}")


async def ids(found: Events, count: int) -> list[object]:
    return [event.told["analysis_id"] for event in await found.take(count)]


async def nobody_listens(live: Live) -> None:
    async with asyncio.timeout(HANG_GUARD):
        while live.news.listeners():
            await asyncio.sleep(0.005)


async def test_what_happens_is_told_as_it_happens(reached: Reached) -> None:
    admin = await reached.api.login()
    async with events(reached.port, admin) as found:
        answer = await submit(reached.api, admin, "CASE-1", priority="critical")
        await decide(reached.api, admin, "CASE-1")
        submitted, voted, resolved = await found.take(3)

    assert found.head.startswith("HTTP/1.1 200")
    assert "content-type: text/event-stream" in found.head
    assert "cache-control: no-store" in found.head
    assert submitted.id == int(answer.headers["ledger-position"])
    assert [event.type for event in (submitted, voted, resolved)] == [
        "decision.submitted",
        "decision.vote_cast",
        "decision.resolved",
    ]
    assert resolved.told == {
        "position": resolved.id,
        "type": "decision.resolved",
        "analysis_id": "CASE-1",
        "kind": "threat_analysis",
        "status": "approved",
        "priority": "critical",
        "at": resolved.told["at"],
        "by": "admin",
    }


async def test_a_stream_begins_behind_the_position_that_was_asked_for(reached: Reached) -> None:
    admin = await reached.api.login()
    await cases(reached.api, admin, 1, 2, 3)
    async with events(reached.port, admin, after=0) as whole:
        first, *_ = await whole.take(3)
    async with events(reached.port, admin, after=first.id) as rest:
        assert await ids(rest, 2) == ["CASE-2", "CASE-3"]


async def test_without_a_position_a_stream_begins_with_what_comes_next(reached: Reached) -> None:
    admin = await reached.api.login()
    await cases(reached.api, admin, 1)
    async with events(reached.port, admin) as found:
        await cases(reached.api, admin, 2)

        assert await ids(found, 1) == ["CASE-2"]


async def test_the_last_event_id_counts_more_than_the_address(reached: Reached) -> None:
    admin = await reached.api.login()
    await cases(reached.api, admin, 1, 2)
    async with events(reached.port, admin, after=0) as whole:
        first, _ = await whole.take(2)
    async with events(reached.port, admin, after=0, last_id=first.id) as found:
        assert await ids(found, 1) == ["CASE-2"]


async def test_reconnecting_while_events_arrive_loses_and_doubles_nothing(reached: Reached) -> None:
    admin = await reached.api.login()
    names = [f"CASE-{number}" for number in range(60)]
    arriving = asyncio.create_task(cases(reached.api, admin, *range(60)))
    seen: list[object] = []
    last_id = 0
    while len(seen) < len(names):
        async with events(reached.port, admin, after=last_id) as found:
            taken = await found.take(min(7, len(names) - len(seen)))
        seen += [event.told["analysis_id"] for event in taken]
        last_id = taken[-1].id
    await arriving

    assert seen == names


async def test_what_is_no_longer_in_memory_comes_from_the_log(reached: Reached) -> None:
    news = reached.api.services.live.news
    news._hold = 2
    admin = await reached.api.login()
    await cases(reached.api, admin, *range(8))
    async with events(reached.port, admin, after=0) as found:
        assert await ids(found, 8) == [f"CASE-{number}" for number in range(8)]
    assert len(news._held) < 8


async def test_a_service_is_told_of_its_own_submissions_alone(reached: Reached) -> None:
    admin, engine = await reached.api.login(), await reached.api.newcomer("engine", "service")
    async with events(reached.port, engine) as found:
        await submit(reached.api, admin, "THEIRS")
        await submit(reached.api, engine, "MINE")
        await decide(reached.api, admin, "THEIRS")
        await decide(reached.api, admin, "MINE")

        told = await found.take(2)

    assert [(event.told["analysis_id"], event.type, event.told["by"]) for event in told] == [
        ("MINE", "decision.submitted", None),
        ("MINE", "decision.resolved", "admin"),
    ]


async def test_an_api_key_that_may_read_can_follow(reached: Reached) -> None:
    admin = await reached.api.login()
    await reached.api.newcomer("engine", "service")
    body = {"username": "engine", "scopes": ["decisions:submit", "decisions:read"]}
    key = await reached.api.client.post("/api/keys", headers=admin, json=body)
    machine = {"Authorization": f"Bearer {key.json()['key']}"}
    async with events(reached.port, machine) as found:
        await submit(reached.api, machine, "MINE")
        assert await ids(found, 1) == ["MINE"]

        await reached.api.client.request(
            "DELETE", f"/api/keys/{key.json()['key_id']}", headers=admin, json={"reason": "Leaked."}
        )
        goodbye = await found.next()

    assert goodbye is not None
    assert goodbye.told == {"reason": "session-ended"}


async def test_the_end_of_a_session_ends_the_stream(reached: Reached) -> None:
    sam = await reached.api.newcomer("sam")
    async with events(reached.port, sam) as found:
        await reached.api.client.post("/api/auth/logout", headers=sam)
        goodbye, end = await found.next(), await found.next()

    assert goodbye is not None
    assert (goodbye.type, goodbye.told) == ("goodbye", {"reason": "session-ended"})
    assert end is None


async def test_a_stop_says_goodbye(reached: Reached) -> None:
    admin = await reached.api.login()
    async with events(reached.port, admin) as found:
        reached.api.services.live.close()
        goodbye, end = await found.next(), await found.next()

    assert goodbye is not None
    assert goodbye.told == {"reason": "stopping"}
    assert end is None


async def test_a_quiet_stream_beats_and_moves_the_position_on(
    reached: Reached, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "BEAT_SECONDS", 0.05)
    admin = await reached.api.login()
    async with events(reached.port, admin) as found:
        await reached.api.login()
        head = await reached.api.ledger.head()
        listening = asyncio.create_task(found.next())
        async with asyncio.timeout(HANG_GUARD):
            while found.last_id < head:
                await asyncio.sleep(0.01)
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)

    assert "still here" in found.comments


async def test_whoever_does_not_read_is_cut_off_and_costs_nobody_anything(
    reached: Reached, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "SEND_SECONDS", 0.2)
    monkeypatch.setattr(stream, "_frame", lambda told: b": %d\n\n" % told.position + b"x" * 4_000_000)
    admin = await reached.api.login()
    async with events(reached.port, admin) as found:
        found.writer.transport.pause_reading()
        await cases(reached.api, admin, *range(4))

        await nobody_listens(reached.api.services.live)


async def test_whoever_hangs_up_is_forgotten(reached: Reached) -> None:
    admin = await reached.api.login()
    async with events(reached.port, admin):
        assert reached.api.services.live.news.listeners() == 1

    await nobody_listens(reached.api.services.live)


async def test_there_are_not_more_streams_than_there_may_be(reached: Reached) -> None:
    admin = await reached.api.login()
    reached.api.services.live.news._max_streams = 1
    async with events(reached.port, admin):
        refused = await reached.api.client.get("/api/stream", headers=admin)

    assert_refused(refused, 503)
    assert refused.json()["code"] == "too-many-streams"


async def test_only_positions_of_this_ledger_can_be_gone_on_from(reached: Reached) -> None:
    admin = await reached.api.login()
    client = reached.api.client

    ahead = await client.get("/api/stream", headers=admin, params={"after": 10_000})
    before = await client.get("/api/stream", headers=admin, params={"after": -1})
    strange = await client.get("/api/stream", headers={**admin, "Last-Event-ID": "1; drop table"})

    assert wrong_fields(ahead) == {"after"}
    assert wrong_fields(before) == {"after"}
    assert wrong_fields(strange) == {"Last-Event-ID"}


async def test_the_head_of_a_stream_ends(reached: Reached) -> None:
    answer = await reached.api.client.head("/api/stream", headers=await reached.api.login())

    assert answer.status_code == 200
    assert answer.content == b""
