"""Read models from the command line, on the database itself: no service needs to run."""

import asyncio
import json
from collections.abc import Iterator
from uuid import UUID

import pytest

from ledger.cli import mending, projections
from ledger.cli.mending import SayWhich
from ledger.domain.operations.decide import AlreadyPaused, BadRange, ReasonMissing
from ledger.projections import failures as records
from ledger.projections.catalog import ALL
from ledger.projections.reports import ProjectionNotFound
from ledger.projections.retries import FailureNotFound, FailureResolved
from ledger.store.ledger import Ledger
from ledger.store.true_log import PayloadChanged
from tests.api.answers import as_owner
from tests.projections.given import service
from tests.projections.scenes import (
    IMPOSSIBLE,
    ONE,
    THREE_ITEMS,
    TWO,
    changed,
    clean_rows,
    counted,
    happen,
    happened_at,
    removed,
    rows,
)
from tests.support.databases import Database

BREAK = f"alter table views.decisions_v2 add constraint broken check (stream <> '{ONE}')"
BREAK_TWO = f"alter table views.decisions_v2 add constraint broken check (stream not in ('{ONE}', '{TWO}'))"
BREAK_LATER = f"alter table views.decisions_v2 add constraint later check (stream <> '{ONE}' or version < 2)"
MEND = "alter table views.decisions_v2 drop constraint broken"
# A second failure, of an id behind the first, which is resolved by itself as soon as that is.
OVERTAKE = """
insert into views.failures
select (jsonb_populate_record(f, '{"failure_id": "ffffffff-ffff-7fff-bfff-ffffffffffff", "sequence": "other"}')).*
from views.failures f;
create function views.overtake() returns trigger language plpgsql as $$ begin
    update views.failures set state = 'resolved', resolution = 'auto_retry', resolved_at = now(), next_retry_at = null
    where state <> 'resolved';
    return null;
end $$;
create trigger overtake after update on views.failures
    for each statement when (pg_trigger_depth() = 0) execute function views.overtake();
"""


@pytest.fixture
def broken(installed: Database, monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    """Eight events of three decisions, of which one cannot be shown."""
    monkeypatch.setattr(records, "RETRY_WAITS", (3600.0,) * 5)
    asyncio.run(_break(installed))
    return installed


async def _break(database: Database, how: str = BREAK) -> None:
    async with await Ledger.open(database.service_url) as ledger:
        await ledger.pool.execute(how)
        head = await happen(ledger, THREE_ITEMS)
        async with service(database) as running:
            await running.level(head, "decisions", "queue", "statistics", "sessions", "directory", "timers")


def in_database(database: Database, statement: str) -> None:
    async def run() -> None:
        async with await Ledger.open(database.service_url) as ledger:
            await ledger.pool.execute(statement)

    asyncio.run(run())


def accounts(database: Database) -> tuple[int, ...]:
    async def run() -> tuple[int, ...]:
        async with await Ledger.open(database.service_url) as ledger:
            return await counted(ledger, "decisions")

    return asyncio.run(run())


def is_clean(database: Database) -> bool:
    async def run() -> bool:
        async with await Ledger.open(database.service_url) as ledger:
            return await rows(ledger) == await clean_rows(ledger)

    return asyncio.run(run())


def answered(capsys: pytest.CaptureFixture[str]) -> object:
    return json.loads(capsys.readouterr().out)


def the_failure(capsys: pytest.CaptureFixture[str]) -> UUID:
    capsys.readouterr()
    projections.failures(json=True)
    (found,) = answered(capsys)
    return UUID(found["id"])


def test_status_without_a_service_says_that_nobody_feeds_them(
    installed: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    assert projections.status() == 2

    said = capsys.readouterr().out
    assert said.count("nobody feeds it") == len(ALL)
    assert "Overall: offline" in said


def test_status_counts_culprits_and_what_is_parked(
    broken: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    assert projections.status("decisions", json=True) == 2
    (found,) = answered(capsys)["projections"]

    assert (found["active_failures"], found["events_parked"], found["position"]) == (1, 4, 8)


def test_failures_are_listed_and_shown_with_event_and_traceback(
    broken: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    failure = the_failure(capsys)
    assert projections.failures() == 2
    listed = capsys.readouterr().out
    assert str(failure) in listed
    assert "CheckViolationError" in listed
    assert projections.show(failure) == 0
    shown = capsys.readouterr().out
    assert "\N{REPLACEMENT CHARACTER}" not in shown
    assert f"\n{'':<18} DETAIL:  Failing row" in shown
    assert "analysis-0" in shown, "the event"
    assert 'violates check constraint "broken"' in shown
    assert "decisions.py" in shown, "the traceback"
    assert projections.show(failure, json=True) == 0
    assert answered(capsys)["event"]["decision_id"] == "analysis-0"


def test_a_repair_is_rehearsed_and_then_done(broken: Database, capsys: pytest.CaptureFixture[str]) -> None:
    failure = the_failure(capsys)
    assert mending.retry(failure, dry_run=True) == 2
    said = capsys.readouterr()
    assert "The event at 1 would fail: CheckViolationError" in said.out
    assert ").." not in said.out
    assert "\n  DETAIL:  Failing row" in said.out
    assert said.err == ""  # nothing was parked, so nothing says so

    in_database(broken, MEND)
    assert mending.retry(failure, dry_run=True) == 0
    said = capsys.readouterr().out
    assert "1 rows would change; the first 1:" in said
    assert accounts(broken) == (8, 4, 0, 4, 0)
    assert mending.retry(failure, reason="dropped the constraint") == 0
    assert "Applied, with what waited behind it" in capsys.readouterr().out

    assert accounts(broken) == (8, 8, 0, 0, 0)
    assert is_clean(broken)
    assert projections.failures() == 0
    assert capsys.readouterr().out == "Nothing is parked.\n"


def test_a_retry_that_only_moves_the_fault_on_says_what_is_left(
    broken: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    failure = the_failure(capsys)
    in_database(broken, MEND)
    in_database(broken, BREAK_LATER)

    assert mending.retry(failure, reason="half of the cause is removed") == 2

    said = capsys.readouterr()
    assert "Applied" in said.out
    assert "Still parked: 1." in said.err


@pytest.mark.parametrize("way", ["said", "json"])
def test_what_is_resolved_meanwhile_is_passed_over_and_counted(
    broken: Database, capsys: pytest.CaptureFixture[str], way: str
) -> None:
    in_database(broken, MEND)
    in_database(broken, OVERTAKE)
    capsys.readouterr()

    assert mending.retry(all=True, json=way == "json") == 0

    said = capsys.readouterr()
    told = "Resolved meanwhile, by the service's own try or by somebody else, and passed over: 1.\n"
    if way == "json":
        assert (len(json.loads(said.out)), said.err) == (1, told)
    else:
        first, rest = said.out.split("\n", 1)
        assert first.endswith(" decisions: Applied, with what waited behind it.")
        assert rest == told


def test_what_was_changed_since_is_passed_over_and_counted_and_refused_where_it_is_named(
    installed: Database, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(records, "RETRY_WAITS", (3600.0,) * 5)
    asyncio.run(_break(installed, BREAK_TWO))
    in_database(installed, MEND)
    asyncio.run(changed(installed, 1))
    capsys.readouterr()

    assert mending.retry(all=True) == 2

    said = capsys.readouterr()
    assert said.out.endswith(" decisions: Applied, with what waited behind it.\n")
    assert said.out.count("\n") == 1
    assert "Changed or removed after they were recorded, and passed over: 1. " in said.err
    assert "docs/operations/tampered.md" in said.err
    assert "Still parked: 1." in said.err
    with pytest.raises(PayloadChanged):
        mending.retry(the_failure(capsys))


def test_a_failure_is_shown_though_its_event_was_removed(
    broken: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    failure = the_failure(capsys)
    asyncio.run(removed(broken, 1))

    assert projections.show(failure) == 0
    said = capsys.readouterr().out
    assert "The event is in the log no more" in said
    assert "CheckViolationError" in said
    projections.show(failure, json=True)
    assert json.loads(capsys.readouterr().out)["event"] is None


@pytest.mark.parametrize("moment", IMPOSSIBLE)
def test_a_failure_is_shown_whatever_became_of_the_time_of_its_event(
    broken: Database, capsys: pytest.CaptureFixture[str], moment: str
) -> None:
    failure = the_failure(capsys)
    asyncio.run(happened_at(broken, 1, moment))

    projections.show(failure, json=True)
    assert json.loads(capsys.readouterr().out)["event"]["type"] == "decision-submitted"


def test_a_failure_is_shown_though_its_event_is_no_text(
    broken: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    failure = the_failure(capsys)
    asyncio.run(as_owner(broken, "update ledger.events set payload = '\\x7bff' where position = 1"))

    assert projections.show(failure) == 0
    assert "{\\xff" in capsys.readouterr().out
    projections.show(failure, json=True)
    assert json.loads(capsys.readouterr().out)["event"] == "{\\xff"


def test_one_that_was_named_and_is_resolved_is_refused(
    broken: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    failure = the_failure(capsys)
    in_database(broken, MEND)
    assert mending.retry(failure) == 0
    with pytest.raises(FailureResolved):
        mending.retry(failure)


@pytest.mark.parametrize("which", ["sequence", "all"])
def test_one_sequence_or_all_are_tried_again(
    broken: Database, capsys: pytest.CaptureFixture[str], which: str
) -> None:
    in_database(broken, MEND)
    chosen = {"sequence": ONE} if which == "sequence" else {"all": True}
    assert mending.retry(**chosen) == 0
    assert is_clean(broken)
    capsys.readouterr()
    assert mending.retry(**chosen) == 0
    assert capsys.readouterr().out == "Nothing is parked.\n"


def test_a_retry_names_what_it_is_about(installed: Database) -> None:
    with pytest.raises(SayWhich):
        mending.retry()
    with pytest.raises(SayWhich):
        mending.retry(UUID(int=1), all=True)
    with pytest.raises(FailureNotFound):
        mending.retry(UUID(int=1))
    with pytest.raises(FailureNotFound):
        projections.show(UUID(int=1))


def test_a_skip_makes_the_next_event_the_culprit(
    broken: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    """What comes after a submission cannot be shown without it either: each is skipped for its own reason."""
    failure = the_failure(capsys)
    assert mending.skip(failure, reason="a test item", json=True) == 0
    assert answered(capsys)["resolution_method"] == "manual_skip"

    second = the_failure(capsys)
    assert second != failure
    assert accounts(broken) == (8, 4, 0, 3, 1)
    assert mending.fix(second, reason="a test item", dry_run=True) == 0
    assert mending.fix(second, reason="a test item") == 0
    assert accounts(broken) == (8, 4, 0, 2, 2)


def test_giving_up_needs_a_reason(broken: Database, capsys: pytest.CaptureFixture[str]) -> None:
    failure = the_failure(capsys)
    with pytest.raises(ReasonMissing):
        mending.skip(failure, reason=" ")
    with pytest.raises(ReasonMissing):
        mending.fix(failure, reason="")


def test_a_range_is_replayed_dry_and_then_done(broken: Database, capsys: pytest.CaptureFixture[str]) -> None:
    in_database(broken, MEND)
    in_database(broken, "update views.decisions_v2 set version = 99")
    assert mending.replay("decisions", dry_run=True) == 0
    assert "Would replay 8 events of 3 sequences" in capsys.readouterr().out
    assert not is_clean(broken)

    assert mending.replay("decisions", first=1, last=8, reason="spoilt", json=True) == 0
    assert answered(capsys)["events_replayed"] == 8
    assert is_clean(broken)
    with pytest.raises(BadRange):
        mending.replay("decisions", first=5, last=4)


def test_a_pause_is_kept_and_ended(installed: Database, capsys: pytest.CaptureFixture[str]) -> None:
    assert mending.pause("queue", reason="looking") == 0
    assert capsys.readouterr().out == "Projection paused: queue.\n"
    with pytest.raises(AlreadyPaused):
        mending.pause("queue")
    projections.status("queue", json=True)
    assert answered(capsys)["projections"][0]["state"] == "paused"
    assert mending.resume("queue", json=True) == 0
    assert answered(capsys)["status"] == "running"


def test_a_projection_that_is_not_there_is_not_found(installed: Database) -> None:
    for call in (projections.status, projections.failures, mending.pause, mending.resume, mending.replay):
        with pytest.raises(ProjectionNotFound):
            call("nothing")
