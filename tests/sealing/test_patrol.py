"""The walk over what is sealed: it is quiet while nothing was changed, and names each event that was."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import pytest
import pytest_asyncio
from structlog.testing import capture_logs

from ledger.sealing.notary import Notary
from ledger.sealing.patrol import MOST_FINDINGS, Finding, Patrol
from ledger.sealing.tampering import Hearsay
from ledger.sealing.tree import FULL_WIDTH
from ledger.store.ledger import Ledger
from tests.api.answers import as_owner
from tests.support.databases import Cluster, Database
from tests.support.sealing import append_some, sealed_in

pytestmark = pytest.mark.asyncio(loop_scope="module")

HANG: Final = 60.0
EVENTS: Final = 260
"""A whole tile and a little of the next; all but the last one are under a checkpoint of their own."""

KEEP: Final = """
alter table ledger.events alter column leaf_hash drop expression;
create table public.kept as table ledger.events;
create table public.kept_tiles as table work.notary_tiles;
create table public.kept_checkpoints as table work.notary_checkpoints;
"""
PUT_BACK: Final = """
delete from ledger.events; insert into ledger.events table public.kept;
delete from work.notary_tiles; insert into work.notary_tiles table public.kept_tiles;
delete from work.notary_checkpoints; insert into work.notary_checkpoints table public.kept_checkpoints;
"""
ENTRY_AND_HASH: Final = """
update ledger.events set envelope = envelope || ' ', leaf_hash = sha256('\\x00'::bytea || envelope || ' ')
where position = {position};
update work.notary_tiles set hashes = overlay(
    hashes placing (select leaf_hash from ledger.events where position = {position}) from {begin} for 32)
where level = 0 and tile = {tile};
"""
"""A changed event to which the columns and the sealed hash beside it fit; what it says is as it was."""
HIGHER: Final = (
    "update work.notary_tiles set hashes = overlay(hashes placing sha256('') from 1 for 32) where level = 1"
)
ADDED: Final = """
alter table ledger.events drop constraint if exists events_position_positive;
alter table ledger.events drop constraint if exists events_pkey;
insert into ledger.events
select ledger_id, {position}, stream, version + 9, type, schema_version, gen_random_uuid(), recorded_at, actor, command_id,
       causation_id, correlation_id, envelope, leaf_hash, salt, payload from ledger.events where position = 7;
"""
SWAP: Final = """
create temp table swapped as select * from ledger.events where position in (5, 6);
delete from ledger.events where position in (5, 6);
update swapped set position = 11 - position;
insert into ledger.events table swapped;
"""
CHANGES: Final = {
    "update ledger.events set payload = payload || ' ' where position = 3": {3: "payload-differs"},
    "update ledger.events set salt = substring(sha256(salt) for 16) where position = 259": {259: "payload-differs"},
    "update ledger.events set envelope = envelope || ' ' where position = 256": {256: "entry-differs"},
    "update ledger.events set envelope = envelope || ' ', "
    "leaf_hash = sha256('\\x00'::bytea || envelope || ' ') where position = 257": {257: "entry-differs"},
    "update ledger.events set leaf_hash = sha256(leaf_hash) where position = 1": {1: "column-differs"},
    "update ledger.events set stream = stream || 'x' where position = 2": {2: "column-differs"},
    "update ledger.events set version = 9 where position = 2": {2: "column-differs"},
    "update ledger.events set recorded_at = 'infinity' where position = 2": {2: "column-differs"},
    "update ledger.events set recorded_at = '200000-01-01' where position = 2": {2: "column-differs"},
    "update ledger.events set recorded_at = "
    "(to_char(recorded_at at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS.US') || 'Z BC')::timestamptz "
    "where position = 2": {2: "column-differs"},
    ADDED.format(position=-5): {-5: "rows-added"},
    ADDED.format(position=256): {256: "rows-added"},
    "delete from ledger.events where position = 4": {4: "rows-missing"},
    "delete from ledger.events where position > 258": {259: "rows-missing", 260: "rows-missing"},
    SWAP: {5: "entry-differs", 6: "entry-differs"},
    "update work.notary_tiles set hashes = overlay(hashes placing sha256('') from 33 for 32) "
    "where level = 0 and tile = 0": {2: "entry-differs"},
    "delete from work.notary_tiles where level = 0 and tile = 1": {257: "tile-missing"},
    "update work.notary_tiles set hashes = substring(hashes for 32) where level = 0 and tile = 1": {
        257: "tile-missing"
    },
    "delete from work.notary_tiles where level = 1": {1: "tile-missing", 257: "tile-missing"},
    ENTRY_AND_HASH.format(position=3, tile=0, begin=65): {1: "root-differs"},
    ENTRY_AND_HASH.format(position=258, tile=1, begin=33): {257: "root-differs"},
    HIGHER: {1: "root-differs", 257: "root-differs"},
    "update work.notary_checkpoints set note = 'no note'": {257: "root-differs"},
    "update work.notary_checkpoints set root = sha256('')": {},
}  # fmt: skip
"""What is found of each change. The root is read from the note, which is signed, and not from the column beside it."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def kept(postgres: Cluster, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Database]:
    """A sealed log, and a copy of it that it is put back from."""
    async with postgres.fresh() as database:
        async with await Ledger.open(database.service_url) as ledger:
            folder = tmp_path_factory.mktemp("notary")
            for events in (EVENTS - 1, 1):
                await append_some(ledger, events)
                await sealed_in(ledger, folder)
        await as_owner(database, KEEP)
        yield database


@pytest_asyncio.fixture(loop_scope="module")
async def log(kept: Database) -> AsyncIterator[Ledger]:
    """The sealed log as it was."""
    await as_owner(kept, PUT_BACK)
    async with await Ledger.open(kept.service_url) as ledger:
        yield ledger


@asynccontextmanager
async def walking(patrol: Patrol) -> AsyncIterator[None]:
    """Let it go on by itself during the block."""
    going = asyncio.create_task(patrol.run_forever())
    try:
        yield
    finally:
        going.cancel()
        await asyncio.gather(going, return_exceptions=True)


async def walks(patrol: Patrol) -> dict[int, str]:
    """Go on to the end of the log, and once through all of it; what is found, by position."""
    for _ in range(2):
        while not await patrol.look():
            pass
    return {finding.position: finding.check for finding in patrol.findings}


async def test_of_an_honest_log_nothing_is_said(log: Ledger) -> None:
    with capture_logs() as said:
        for events in (7, 256, 512):
            patrol = Patrol(log, events=events)
            assert await walks(patrol) == {}
            assert patrol.position == EVENTS
    assert said == []


async def test_before_anything_is_sealed_there_is_nothing_to_look_at(postgres: Cluster) -> None:
    async with postgres.fresh() as database, await Ledger.open(database.service_url) as ledger:
        await append_some(ledger, 2)
        patrol = Patrol(ledger)
        assert await patrol.look()
    assert (patrol.position, patrol.findings) == (0, ())


@pytest.mark.parametrize("change", CHANGES)
async def test_what_was_changed_is_named_until_it_is_well_again(
    log: Ledger, kept: Database, change: str
) -> None:
    patrol = Patrol(log, events=100)
    await as_owner(kept, change)
    assert await walks(patrol) == CHANGES[change]
    await as_owner(kept, PUT_BACK)
    assert await walks(patrol) == {}


async def test_a_finding_is_told_once_and_so_is_that_it_is_well_again(log: Ledger, kept: Database) -> None:
    patrol = Patrol(log)
    stream = await log.pool.fetchval("select stream from ledger.events where position = 3")
    await as_owner(kept, "update ledger.events set payload = 'Soon.' where position = 3")
    with capture_logs() as said:
        await walks(patrol)
        await walks(patrol)
        await as_owner(kept, PUT_BACK)
        await walks(patrol)
    assert patrol.findings == ()
    facts = {"position": 3, "stream": stream, "check": "payload-differs"}
    assert said == [
        {"event": "sealing.patrol.tampered", "log_level": "error", **facts},
        {"event": "sealing.patrol.well_again", "log_level": "warning", **facts},
    ]


async def test_of_very_many_findings_a_hundred_are_kept_and_told(log: Ledger, kept: Database) -> None:
    patrol = Patrol(log)
    await as_owner(kept, "delete from ledger.events where position > 20")
    with capture_logs() as said:
        await walks(patrol)
    assert len(patrol.findings) == len(said) == MOST_FINDINGS
    assert patrol.findings[0] == Finding(21, None, "rows-missing")


async def test_a_look_ends_before_it_has_hashed_too_much(log: Ledger, kept: Database) -> None:
    await as_owner(
        kept, "update ledger.events set payload = convert_to(repeat('x', 5000), 'UTF8') where position = 10"
    )
    patrol = Patrol(log, begin=0, most_bytes=5000)
    await patrol.look()
    assert 10 <= patrol.position < EVENTS
    assert await walks(patrol) == {10: "payload-differs"}


async def test_starts_do_not_begin_at_the_same_place(log: Ledger) -> None:
    began = set[int]()
    async with asyncio.timeout(HANG):
        while len(began) < 2:
            patrol = Patrol(log, events=1)
            await patrol.look()
            began.add(patrol.position)
    assert began == {1, 257}


async def test_what_a_restore_took_away_is_no_finding(log: Ledger, kept: Database) -> None:
    patrol = Patrol(log)
    await as_owner(kept, "delete from ledger.events where position = 260")
    assert await walks(patrol) == {260: "rows-missing"}
    await as_owner(kept, "delete from work.notary_checkpoints where size = 260")
    assert await walks(patrol) == {}


async def test_the_walk_goes_on_after_trouble_with_the_database(log: Ledger, kept: Database) -> None:
    await as_owner(kept, "update ledger.events set payload = '' where position = 3")
    patrol = Patrol(log, every=0.01)
    with capture_logs() as said:
        await as_owner(kept, "alter table ledger.events rename to away")
        async with asyncio.timeout(HANG), walking(patrol):
            while not said:
                await asyncio.sleep(0.01)
            await as_owner(kept, "alter table ledger.away rename to events")
            while not patrol.findings:
                await asyncio.sleep(0.01)
    assert [one["event"] for one in said] == ["sealing.patrol.failed", "sealing.patrol.tampered"]
    assert said[0]["error"] == "UndefinedTableError"


async def test_a_round_is_finished_when_every_event_was_looked_at(log: Ledger) -> None:
    patrol = Patrol(log, begin=FULL_WIDTH, events=200)
    made = patrol.round_age()
    await patrol.look()
    assert patrol.position == EVENTS
    assert patrol.round_age() > made
    await patrol.look()
    assert patrol.look_age() < patrol.round_age()
    await patrol.look()
    assert patrol.round_age() == pytest.approx(patrol.look_age(), abs=0.001)


async def test_a_round_that_left_out_what_could_not_be_read_is_none(log: Ledger, kept: Database) -> None:
    patrol = Patrol(log, begin=0, events=200, every=0.01)
    with capture_logs() as said:
        await as_owner(kept, "alter table ledger.events rename to away")
        async with asyncio.timeout(HANG), walking(patrol):
            while not said:
                await asyncio.sleep(0.01)
            await as_owner(kept, "alter table ledger.away rename to events")
            while patrol.position < EVENTS:
                await asyncio.sleep(0.01)
    assert patrol.look_age() < patrol.round_age()


async def test_what_a_patrol_finds_other_processes_hear_until_it_is_well_again(
    log: Ledger, kept: Database
) -> None:
    await as_owner(kept, "update ledger.events set payload = '' where position = 3")
    async with await Ledger.open(kept.service_url) as other:
        notary = Notary(other, origin="log.test")
        other.start()
        async with asyncio.timeout(HANG), walking(Patrol(log, every=0.01)):
            while not notary.is_tampered():
                await asyncio.sleep(0.01)
            await as_owner(kept, PUT_BACK)
            while notary.is_tampered():
                await asyncio.sleep(0.01)
    assert notary.patrol is None


@pytest.mark.parametrize("said", [None, "", "2 owner 1", "1 owner", "1 owner 0", "1 owner 1 more"])
async def test_what_is_said_of_another_ledger_or_by_nobody_of_ours_is_passed_over(said: str | None) -> None:
    hearsay = Hearsay(1)
    hearsay.hear(said)
    assert not hearsay.is_tampered()


async def test_what_is_not_said_again_is_forgotten() -> None:
    lasting, passing = Hearsay(1), Hearsay(1, believed_seconds=0)
    for hearsay in (lasting, passing):
        hearsay.hear("1 owner 3")
    assert (lasting.is_tampered(), passing.is_tampered()) == (True, False)


async def test_a_patrol_that_finds_nothing_does_not_end_what_another_one_says() -> None:
    hearsay = Hearsay(1)
    hearsay.hear("1 one 3")
    hearsay.hear("1 other 0")
    assert hearsay.is_tampered()
