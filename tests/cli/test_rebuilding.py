"""``ledger projections reset | rebuild | verify``, beside no service and beside one."""

import asyncio
import json

import pytest

from ledger.cli import rebuilding
from ledger.cli.commands import app
from ledger.operations.rebuilder import Rebuilder
from ledger.projections.catalog import ALL
from ledger.store.ledger import Ledger
from tests.operations.rebuilt import submissions
from tests.projections.given import bring_level
from tests.support.databases import Database


@pytest.fixture
def filled(installed: Database) -> Database:
    """Ten decisions, every view level, and no service."""

    async def fill() -> None:
        async with await Ledger.open(installed.service_url) as ledger:
            await submissions(ledger, 10)
            await bring_level(ledger, *ALL)

    asyncio.run(fill())
    return installed


def run(*words: str) -> int:
    return int(app(["projections", *words], result_action="return_value"))


def sql(database: Database, statement: str) -> None:
    async def execute() -> None:
        async with await Ledger.open(database.service_url) as ledger:
            await ledger.pool.execute(statement)

    asyncio.run(execute())


def work(database: Database) -> None:
    async def once() -> None:
        async with await Ledger.open(database.service_url) as ledger:
            assert await Rebuilder(ledger).work_once()

    asyncio.run(once())


def test_a_rebuild_is_carried_out_here_when_no_service_does(
    filled: Database, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rebuilding, "LEFT_TO_SERVICES", 0)
    sql(filled, "update views.queue_v2 set level = 7 where analysis_id = 'analysis-4'")

    assert run("rebuild", "queue", "--wait", "--reason", "odd rows") == 0

    said = capsys.readouterr().out
    assert "Rebuild of queue: switched" in said
    assert "differs in level" in said


def test_a_rebuild_is_left_to_a_service_and_looked_at(
    filled: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("rebuild", "queue") == 0
    assert "No process is at work on it yet" in capsys.readouterr().out
    work(filled)

    assert run("rebuild", "queue", "--show", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["status"], found["diff"]["is_equal"]) == ("switched", True)


def test_what_was_switched_is_rolled_back(filled: Database, capsys: pytest.CaptureFixture[str]) -> None:
    run("rebuild", "queue")
    work(filled)

    assert run("rebuild", "queue", "--rollback") == 0
    work(filled)
    assert run("rebuild", "queue", "--show") == 0
    assert "Rollback of queue: switched" in capsys.readouterr().out


def test_what_is_under_way_is_cancelled(filled: Database, capsys: pytest.CaptureFixture[str]) -> None:
    run("rebuild", "queue")

    assert run("rebuild", "queue", "--cancel", "--json") == 0
    assert run("rebuild", "queue", "--show") == 2
    assert "Rebuild of queue: cancelled" in capsys.readouterr().out


def test_a_reset_wants_a_yes(filled: Database, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(rebuilding.SayYes):
        run("reset", "queue")

    assert run("reset", "queue", "--yes") == 0
    work(filled)
    assert run("rebuild", "queue", "--show") == 0
    assert "Reset of queue: switched" in capsys.readouterr().out


def test_one_thing_at_a_time(filled: Database) -> None:
    with pytest.raises(rebuilding.OneAtATime):
        run("rebuild", "queue", "--cancel", "--rollback")


def test_what_was_never_rebuilt_cannot_be_shown(filled: Database) -> None:
    with pytest.raises(rebuilding.rebuilding.NeverRebuilt):
        run("rebuild", "queue", "--show")


def test_a_rebuild_that_cannot_be_done_says_why(
    filled: Database, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rebuilding, "LEFT_TO_SERVICES", 0)
    sql(
        filled,
        "alter table views.queue_v2 add constraint never check (analysis_id <> 'analysis-1') not valid",
    )

    assert run("rebuild", "queue", "--wait") == 2
    said = capsys.readouterr().out
    assert "events that cannot be applied, and those behind them: 1" in said
    assert (
        "4 decision-submitted of decision-00000000-0000-0000-0000-000000000001: CheckViolationError" in said
    )


def test_every_projection_is_verified(filled: Database, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("verify") == 0

    said = capsys.readouterr().out
    assert said.count("right") == len(ALL)
    assert "WRONG" not in said
    assert said.count("all") == len(ALL)


def test_what_is_wrong_is_told_row_by_row(filled: Database, capsys: pytest.CaptureFixture[str]) -> None:
    sql(
        filled,
        """
        update views.queue_v2 set level = 7 where analysis_id = 'analysis-4';
        delete from views.queue_v2 where analysis_id = 'analysis-1';
        update views.checkpoints set events_applied = 0, events_not_wanted = position where projection = 'queue'
        """,
    )

    assert run("verify", "queue", "--all") == 2

    said = capsys.readouterr().out
    assert "queue v2    WRONG" in said
    assert "only in fold" in said
    assert "differs in level" in said
    assert "applied, parked and skipped are not the events in the log that it wants" in said
    assert run("verify", "queue", "--json") == 2
    (found,) = json.loads(capsys.readouterr().out)
    assert found["is_clean"] is False
