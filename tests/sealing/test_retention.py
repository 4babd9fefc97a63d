"""Old checkpoints are thinned out, and nothing that anybody may still ask for goes."""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Final
from uuid import uuid4

import metamorphic_log as referee
import msgspec
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from ledger.domain.ids import Position
from ledger.sealing import partners, retention
from ledger.sealing.notes import COSIGNATURE, Checkpoint, Signer
from ledger.sealing.proofs import checkpoint_over, proof_of
from ledger.sealing.retention import sweep
from ledger.sealing.rows import keep_for_good
from ledger.store.ledger import Ledger
from tests.api.answers import as_owner
from tests.support.databases import Database
from tests.support.sealing import append_some, guard_in, sealed_in
from tests.support.tlog_proof import Proof, vkeys_in

NOW: Final = datetime(2026, 11, 30, 12, 30, 20, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
BY_MINUTE: Final = datetime(2026, 11, 29, 12, tzinfo=UTC)
"""Where whole hours begin that are younger than a day."""
WHOLE: Final = datetime(2026, 11, 30, 11, 30, tzinfo=UTC)
KEYS: Final = [Signer("log.test/one", bytes([number]) * 32) for number in range(2)]
WITNESSES: Final = [
    Signer(f"witness.test/{name}", bytes(32), COSIGNATURE).verifier for name in ("north", "south")
]

ADD: Final = """
insert into work.notary_checkpoints (ledger_id, size, root, note, sealed_at, published_at)
values (1, $1, $2, $3, $4, $4)
"""
COSIGN: Final = """
insert into work.notary_cosignatures (ledger_id, size, name, key_id, line, cosigned_at) values (1, $1, $2, $3, $4, $5)
"""
STAMP: Final = """
insert into work.notary_timestamps (ledger_id, size, authority, token, stamped_at) values (1, $1, 'tsa.test', '', $2)
"""

# The sequence counts on although what it counted is rolled back.
BREAKS: Final = """
create sequence work.broken;
grant all on sequence work.broken to public;
create function work.breaks() returns trigger language plpgsql as $$
begin perform nextval('work.broken'); raise exception 'a test'; end $$;
create trigger breaks before update on work.notary_checkpoints for each row execute function work.breaks();
"""
HANG: Final = 60.0


class Given(msgspec.Struct, frozen=True, kw_only=True):
    """A checkpoint to be: how long ago it was sealed, by which key, which witnesses cosigned it, and what holds it."""

    size: int
    age: timedelta
    key: int = 0
    cosigned: Sequence[int] = ()
    is_stamped: bool = False
    is_exported: bool = False

    @property
    def sealed_at(self) -> datetime:
        return NOW - self.age

    def rank(self) -> tuple[int, int]:
        return len(self.cosigned), self.size


class Left(msgspec.Struct, frozen=True):
    """Sizes of the checkpoints that are there, and of those that cosignatures are of."""

    checkpoints: list[int]
    cosigned: list[int]


@st.composite
def logs(draw: st.DrawFn) -> list[Given]:
    """A log of some dozens of checkpoints, in bursts, over two days."""
    ages = draw(
        st.lists(
            st.one_of(
                st.integers(0, 3 * 60 * 60),
                st.integers(60 * 60, 60 * 60 + 180),
                st.integers(23 * 60 * 60, 27 * 60 * 60),
                st.integers(30 * 60 * 60, 30 * 60 * 60 + 600),
            ),
            min_size=1,
            max_size=40,
            unique=True,
        )
    )
    rare = st.sampled_from([False] * 9 + [True])
    key, given_ = 0, []
    for number, age in enumerate(sorted(ages, reverse=True), start=1):
        key = 1 - key if draw(rare) else key
        given_.append(
            Given(
                size=number * 3,
                age=timedelta(seconds=age),
                key=key,
                cosigned=draw(st.sampled_from([(), (), (0,), (1,), (0, 1)])),
                is_stamped=draw(rare),
                is_exported=draw(rare),
            )
        )
    return given_


async def fill(ledger: Ledger, log: Sequence[Given]) -> None:
    """Have exactly these checkpoints."""
    await ledger.pool.execute(
        "delete from work.notary_checkpoints; delete from work.notary_cosignatures; delete from work.notary_timestamps"
    )
    await add(ledger, log)


async def add(ledger: Ledger, log: Sequence[Given]) -> None:
    async with ledger.pool.acquire() as conn, conn.transaction():
        for one in log:
            checkpoint = Checkpoint(origin="log.test/one", size=one.size, root=bytes(32))
            note = checkpoint.signed_by([KEYS[one.key]])
            await conn.execute(ADD, one.size, bytes(32), note, one.sealed_at)
            for number in one.cosigned:
                witness = WITNESSES[number]
                await conn.execute(COSIGN, one.size, witness.name, witness.key_id, "—", one.sealed_at)
            if one.is_stamped:
                await conn.execute(STAMP, one.size, one.sealed_at)
            if one.is_exported:
                await keep_for_good(conn, 1, one.size)


async def left_in(ledger: Ledger) -> Left:
    checkpoints = await ledger.pool.fetch("select size from work.notary_checkpoints order by size")
    cosigned = await ledger.pool.fetch("select distinct size from work.notary_cosignatures order by size")
    return Left([row["size"] for row in checkpoints], [row["size"] for row in cosigned])


async def chosen_for(ledger: Ledger, log: Sequence[Given]) -> list[int]:
    """By which checkpoint every event would be proven, and exported."""
    async with ledger.pool.acquire() as conn:
        found = [await checkpoint_over(conn, 1, Position(one.size)) for one in log]
    return [0 if one is None else one.size for one in found]


def bursts(log: Sequence[Given], each: timedelta) -> list[list[Given]]:
    found = defaultdict[int, list[Given]](list)
    for one in log:
        found[int(one.sealed_at.timestamp() // each.total_seconds())].append(one)
    return list(found.values())


def held(log: Sequence[Given], lately: int) -> set[int]:
    """What must be there, however old."""
    last_before = [one.size for one in log if one.age > HOUR][-1:]
    whole = {one.size for one in log if one.age <= HOUR} | {log[-1].size, *last_before}
    held_ = {one.size for one in log if one.is_stamped or one.is_exported}
    edges = {one.size for pair in pairwise(log) for one in pair if pair[0].key != pair[1].key}
    of_witness = {max([0, *(one.size for one in log if who in one.cosigned)]) for who in (0, 1)} - {0}
    behind = {min([one.size for one in log if one.size > size], default=0) for size in of_witness} - {0}
    lines = sorted((one.size for one in log for _ in one.cosigned), reverse=True)
    return whole | held_ | edges | of_witness | behind | set(lines[:lately])


def picked(burst: Sequence[Given]) -> set[int]:
    return {burst[-1].size, max(burst, key=Given.rank).size}


def by_hand(log: Sequence[Given], lately: int) -> list[int]:
    """What is left, computed from what was there instead of step by step."""
    old = [one for one in log if one.sealed_at < BY_MINUTE]
    younger = [one for one in log if BY_MINUTE <= one.sealed_at < WHOLE]
    left = held(log, lately) | {one.size for one in log if one.sealed_at >= WHOLE}
    for burst in (*bursts(old, HOUR), *bursts(younger, MINUTE)):
        left |= picked(burst)
    return sorted(left)


ONE_LEDGER = settings(
    max_examples=25,
    phases=(Phase.explicit, Phase.generate),  # to shrink takes minutes
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@ONE_LEDGER
@given(log=logs(), lately=st.sampled_from([0, 3, retention.LATELY]), at_once=st.sampled_from([1, 7, 1_000]))
async def test_whatever_was_sealed_when_what_must_stay_stays_and_little_else(
    ledger: Ledger, log: list[Given], lately: int, at_once: int
) -> None:
    await fill(ledger, log)
    chosen = await chosen_for(ledger, log)

    while not await sweep(ledger, NOW, at_once=at_once, lately=lately):
        assert set((await left_in(ledger)).checkpoints) >= set(by_hand(log, lately))  # as far as it has come
    found = await left_in(ledger)
    assert await sweep(ledger, NOW, lately=lately)
    assert await left_in(ledger) == found

    assert found.checkpoints == by_hand(log, lately)
    assert found.cosigned == [one.size for one in log if one.cosigned and one.size in found.checkpoints]
    if lately == retention.LATELY:
        assert await chosen_for(ledger, log) == chosen


def every(seconds: int, *, begin: timedelta, count: int, after: int = 0) -> list[Given]:
    """So many checkpoints at equal distances, the first so long ago, of sizes after ``after``."""
    return [
        Given(size=after + number, age=begin - timedelta(seconds=seconds * (number - 1)))
        for number in range(1, count + 1)
    ]


async def test_what_is_left_of_busy_hours_is_one_a_minute_then_one_an_hour(ledger: Ledger) -> None:
    log = every(15, begin=timedelta(hours=25), count=240)
    log += every(15, begin=timedelta(minutes=90), count=360, after=240)
    await fill(ledger, log)

    while not await sweep(ledger, NOW):
        pass

    left = [one for one in log if one.size in set((await left_in(ledger)).checkpoints)]
    old, younger, whole = (
        [one for one in left if one.sealed_at < BY_MINUTE],
        [one for one in left if BY_MINUTE <= one.sealed_at < WHOLE],
        [one for one in left if one.sealed_at >= WHOLE],
    )
    assert [len(burst) for burst in bursts(old, HOUR)] == [1]
    assert [len(burst) for burst in bursts(younger, MINUTE)] == [1] * 61
    assert whole == [one for one in log if one.sealed_at >= WHOLE]


async def test_what_may_be_chosen_no_more_goes_with_a_later_sweep(ledger: Ledger) -> None:
    old = every(1, begin=2 * HOUR, count=5)
    old[1] = msgspec.structs.replace(old[1], cosigned=(0,))
    old[4] = msgspec.structs.replace(old[4], cosigned=(0, 1))
    await fill(ledger, old)
    assert await sweep(ledger, NOW, lately=3)
    assert (await left_in(ledger)).checkpoints == [2, 5]

    later = [Given(size=6, age=timedelta(0), cosigned=(0, 1))]
    await add(ledger, later)
    assert await sweep(ledger, NOW, lately=3)

    assert (await left_in(ledger)).checkpoints == [5, 6]


async def test_since_when_others_wait_for_a_witness_is_remembered(ledger: Ledger) -> None:
    log = [*every(1, begin=2 * HOUR, count=6), Given(size=7, age=timedelta(0))]
    log[2] = msgspec.structs.replace(log[2], cosigned=(0,))
    await fill(ledger, log)

    assert await sweep(ledger, NOW, lately=0)

    assert (await left_in(ledger)).checkpoints == [3, 4, 6, 7]


async def test_where_the_key_changes_between_two_minutes_both_sides_stay(ledger: Ledger) -> None:
    old = every(1, begin=2 * HOUR, count=3)
    new = [msgspec.structs.replace(one, key=1) for one in every(1, begin=2 * HOUR - MINUTE, count=3, after=3)]
    await fill(ledger, [*old, *new, Given(size=7, age=timedelta(0), key=1)])

    assert await sweep(ledger, NOW)

    assert (await left_in(ledger)).checkpoints == [3, 4, 6, 7]


async def test_what_was_never_published_stays(ledger: Ledger) -> None:
    log = every(1, begin=2 * HOUR, count=4)
    await fill(ledger, log)
    await ledger.pool.execute("update work.notary_checkpoints set published_at = null where size in (2, 4)")

    assert await sweep(ledger, NOW)

    assert (await left_in(ledger)).checkpoints == [2, 3, 4]


async def test_a_log_that_was_sealed_is_thinned_and_proved_and_goes_on(
    ledger: Ledger, tmp_path: Path
) -> None:
    for _ in range(4):
        await append_some(ledger, 2)
        await sealed_in(ledger, tmp_path)
    middle = await ledger.pool.fetchval("select note from work.notary_checkpoints where size = 4")
    await ledger.pool.execute("update work.notary_checkpoints set sealed_at = $1", NOW - 2 * HOUR)

    assert await sweep(ledger, NOW)
    assert (await left_in(ledger)).checkpoints == [8]

    found = Proof.parse(await proof_of(ledger, Position(3)) or "")
    leaf = await ledger.pool.fetchval("select leaf_hash from ledger.events where position = 3")
    referee.checkpoint_verify_inclusion(found.note, vkeys_in(ledger, tmp_path), 2, leaf, list(found.path))
    # A guard that missed what came since knows a checkpoint that is gone.
    guard = guard_in(tmp_path)
    assert await guard.swap(await guard.read(), middle)
    await append_some(ledger, 1)
    assert (await sealed_in(ledger, tmp_path)).size == 9


async def test_a_while_is_thinned_as_a_whole_or_not_at_all_and_the_next_sweep_tries_again(
    ledger: Ledger, database: Database
) -> None:
    await fill(ledger, [*every(1, begin=2 * HOUR, count=5), Given(size=6, age=90 * MINUTE)])
    await as_owner(database, BREAKS)

    going = asyncio.create_task(retention.run_forever(ledger, lambda: NOW, every=0.01))
    try:
        async with asyncio.timeout(HANG):
            while not await ledger.pool.fetchval("select is_called from work.broken"):
                await asyncio.sleep(0.01)
            assert (await left_in(ledger)).checkpoints == [1, 2, 3, 4, 5, 6]
            await as_owner(database, "drop trigger breaks on work.notary_checkpoints")
            while len((await left_in(ledger)).checkpoints) > 2:
                await asyncio.sleep(0.01)
    finally:
        going.cancel()
        await asyncio.gather(going, return_exceptions=True)

    assert (await left_in(ledger)).checkpoints == [5, 6]


async def test_one_process_sweeps(ledger: Ledger) -> None:
    await fill(ledger, every(1, begin=2 * HOUR, count=3))
    one, other = uuid4(), uuid4()
    assert await partners.claim(ledger.pool, 1, retention.ERRAND, one, seconds=HANG)

    assert not await retention.sweep_in_turn(ledger, other, NOW)
    assert (await left_in(ledger)).checkpoints == [1, 2, 3]
    assert await retention.sweep_in_turn(ledger, one, NOW)
    assert (await left_in(ledger)).checkpoints == [3]
