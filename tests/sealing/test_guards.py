"""A guard holds one note, exchanges it only for the one that was expected, and survives whoever uses it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import asyncpg
import pytest

from ledger.sealing import kept
from ledger.sealing.guard import FileGuard, Guard, GuardUnreachable
from ledger.sealing.guard_elsewhere import DatabaseGuard
from tests.support.databases import Cluster
from tests.support.proxy import proxy

HANG = 60.0
FIRST, SECOND, THIRD = "one\n", "two\n", "three\n"


@pytest.fixture(params=["file", "database"])
async def guards(
    request: pytest.FixtureRequest, postgres: Cluster, tmp_path: Path
) -> AsyncIterator[tuple[Guard, Guard]]:
    """Two that share what they hold, as two processes do."""
    if request.param == "file":
        path = tmp_path / "not there yet" / "state"
        yield FileGuard(path), FileGuard(path)
        return
    async with postgres.fresh(template="template1") as database:
        pair = tuple(DatabaseGuard(database.owner_url, "log.example/one") for _ in range(2))
        yield pair[0], pair[1]
        for guard in pair:
            await guard.close()


async def test_it_holds_what_was_put_into_its_hands_last(guards: tuple[Guard, Guard]) -> None:
    one, other = guards
    assert await one.read() is None
    assert await one.swap(None, FIRST)
    assert await other.read() == FIRST
    assert await other.swap(FIRST, SECOND)
    assert await one.read() == SECOND


async def test_it_takes_nothing_from_who_expected_something_else(guards: tuple[Guard, Guard]) -> None:
    one, other = guards
    assert not await one.swap(FIRST, SECOND)
    assert await one.read() is None
    assert await one.swap(None, FIRST)
    assert not await other.swap(None, SECOND)
    assert not await other.swap(THIRD, SECOND)
    assert await one.read() == FIRST


async def test_of_many_at_once_one_gets_through(guards: tuple[Guard, Guard]) -> None:
    assert await guards[0].swap(None, FIRST)
    notes = [f"note {number}\n" for number in range(20)]
    outcomes = await asyncio.gather(
        *(guards[number % 2].swap(FIRST, note) for number, note in enumerate(notes))
    )
    assert outcomes.count(True) == 1
    assert await guards[0].read() == notes[outcomes.index(True)]


async def test_logs_of_several_names_share_a_database(postgres: Cluster) -> None:
    async with postgres.fresh(template="template1") as database:
        one, other = (DatabaseGuard(database.owner_url, name) for name in ("a.example/one", "a.example/two"))
        assert await one.swap(None, FIRST)
        assert await other.read() is None
        assert await other.swap(None, SECOND)
        assert await one.read() == FIRST
        await one.close()
        await other.close()


async def test_a_line_that_dies_without_a_word_is_given_up(
    postgres: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ledger.sealing.guard_elsewhere.ASK_SECONDS", 0.5)
    async with (
        postgres.fresh(template="template1") as database,
        proxy(database.owner_url) as line,
        asyncio.timeout(HANG),
    ):
        guard = DatabaseGuard(line.url, "log.example/one")
        assert await guard.swap(None, FIRST)
        line.lose()

        with pytest.raises(GuardUnreachable):
            await guard.read()
        assert await guard.read() == FIRST
        await guard.close()


async def test_a_lost_connection_is_opened_again(postgres: Cluster) -> None:
    async with postgres.fresh(template="template1") as database:
        guard = DatabaseGuard(database.owner_url, "log.example/one")
        assert await guard.swap(None, FIRST)
        conn = await asyncpg.connect(database.owner_url)
        await conn.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity"
            " where datname = current_database() and pid <> pg_backend_pid()"
        )
        await conn.close()
        with suppress(GuardUnreachable):  # or it has noticed by itself
            await guard.read()
        assert await guard.read() == FIRST
        assert await guard.swap(FIRST, SECOND)
        await guard.close()


async def test_a_file_that_somebody_keeps_locked_is_waited_for_and_then_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept, "LOCK_SECONDS", 0.05)
    path = tmp_path / "state"
    with kept.locked(path), pytest.raises(GuardUnreachable):
        await FileGuard(path).swap(None, FIRST)
    assert await FileGuard(path).swap(None, FIRST)


async def test_what_cannot_be_reached_says_where_it_is_and_no_secret(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    guards: list[Guard] = [
        FileGuard(blocked / "state"),
        DatabaseGuard("postgresql://me:secret@127.0.0.1:1/guards", "log.example/one"),
    ]
    for guard in guards:
        with pytest.raises(GuardUnreachable) as unreachable:
            await guard.swap(None, FIRST)
        assert "secret" not in str(unreachable.value)
        assert guard.place in str(unreachable.value)
    assert guards[1].place == "127.0.0.1/guards"
