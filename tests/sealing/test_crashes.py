"""A notary that is killed between any two of its steps contradicts itself nowhere, and the next one goes on."""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from hashlib import sha256
from itertools import product
from pathlib import Path

import pytest

from ledger.sealing.edge import Edge
from ledger.sealing.notes import checkpoint_in
from ledger.sealing.rows import checkpoints_from, last_checkpoint
from ledger.sealing.sealer import LeadLost
from ledger.store.ledger import LEDGER_ID, Ledger
from tests.support.databases import Database
from tests.support.sealing import append_some, guard_in, seal, sealed_in, sealer_in

HANG = 60.0
Step = Callable[..., Awaitable[object]]
EVENTS = 35
POINTS = (
    "before the key",
    "before the first guard",
    "after the first guard",
    "between tiles and checkpoint",
    "before the commit",
    "after the commit",
    "after the guard",
    "after it was published",
)


@asynccontextmanager
async def notary(
    database: Database, folder: Path, point: str = "never"
) -> AsyncIterator[asyncio.subprocess.Process]:
    """A notary's process that dies at ``point``, or is killed when the block ends."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.support.dying_notary"),
        *(database.service_url, str(folder), str(folder / "signed"), point),
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def all_sealed(ledger: Ledger, size: int) -> None:
    """Wait until everything is under a published checkpoint, then see that nothing ever contradicted anything."""
    while True:
        async with ledger.pool.acquire() as conn:
            last = await last_checkpoint(conn, LEDGER_ID)
        if last is not None and last.size == size:
            return
        await asyncio.sleep(0.02)


async def nothing_contradicts(ledger: Ledger, folder: Path) -> None:
    """Every note that was ever signed, published or not, is of the one tree there is."""
    rows = await ledger.pool.fetch("select envelope from ledger.events order by position")
    edge, roots = Edge(), {0: sha256(b"").digest()}
    for row in rows:
        edge.grow([sha256(b"\x00" + row["envelope"]).digest()])
        roots[edge.size] = edge.root()
    signed = [note.decode() for note in (folder / "signed").read_bytes().split(b"\0")[:-1]]
    async with ledger.pool.acquire() as conn:
        published = await checkpoints_from(conn, LEDGER_ID, 1, 1_000)
    assert {one.note for one in published} <= set(signed)
    for checkpoint in map(checkpoint_in, signed):
        assert checkpoint.root == roots[checkpoint.size]
    assert await guard_in(folder).read() == published[-1].note


@pytest.mark.processes
@pytest.mark.long
@pytest.mark.parametrize("point", POINTS)
async def test_what_a_killed_notary_left_is_gone_on_from(
    database: Database, ledger: Ledger, tmp_path: Path, point: str
) -> None:
    await append_some(ledger, EVENTS)
    async with asyncio.timeout(HANG), notary(database, tmp_path, point) as dying:
        assert await dying.wait() == -signal.SIGKILL

    async with asyncio.timeout(HANG), notary(database, tmp_path):
        await all_sealed(ledger, EVENTS)
    await nothing_contradicts(ledger, tmp_path)


@pytest.mark.processes
@pytest.mark.long
async def test_two_notaries_one_of_which_is_killed_again_and_again(
    database: Database, ledger: Ledger, tmp_path: Path
) -> None:
    size = 0
    async with asyncio.timeout(HANG), notary(database, tmp_path):
        for _ in range(3):
            async with notary(database, tmp_path):
                for _ in range(4):
                    await append_some(ledger, 20)
                    size += 20
                    await asyncio.sleep(0.17)  # not what the notary waits: it dies somewhere
        await all_sealed(ledger, size)
    await nothing_contradicts(ledger, tmp_path)


class Died(BaseException):
    """The process ended here."""


def ending(step: Step, *, after: bool) -> Step:
    """A step before or after which the process ends."""

    async def then_end(*arguments: object, **named: object) -> object:
        if after:
            await step(*arguments, **named)
        raise Died

    return then_end


async def test_whatever_step_is_the_last_the_next_notary_goes_on(ledger: Ledger, tmp_path: Path) -> None:
    """The same without processes: quick enough to be run every time."""
    for number, (step, after) in enumerate(product(("_commit", "_guard_it", "_publish"), (False, True)), 1):
        await append_some(ledger, 2)
        dying = sealer_in(ledger, tmp_path)
        await dying.round() if number == 1 else None
        await append_some(ledger, 2)
        setattr(dying, step, ending(getattr(dying, step), after=after))
        with pytest.raises(Died):
            await seal(dying)
        await dying.release()
        note = (await sealed_in(ledger, tmp_path)).note
        assert (await guard_in(tmp_path).read(), checkpoint_in(note).size) == (note, number * 4)
    async with ledger.pool.acquire() as conn:
        published = await checkpoints_from(conn, LEDGER_ID, 1, 1_000)
    (tmp_path / "signed").write_bytes(b"".join(one.note.encode() + b"\0" for one in published))
    await nothing_contradicts(ledger, tmp_path)


async def test_one_that_leads_again_does_not_go_on_from_where_it_was(ledger: Ledger, tmp_path: Path) -> None:
    sealer = sealer_in(ledger, tmp_path, batch=2)
    await append_some(ledger, 2)
    assert not await sealer.round()
    await sealer.release()
    await append_some(ledger, 3)
    await sealed_in(ledger, tmp_path)  # by another one

    with pytest.raises(LeadLost):
        await sealer.round()
    await append_some(ledger, 1)
    await seal(sealer)
    async with ledger.pool.acquire() as conn:
        published = await checkpoints_from(conn, LEDGER_ID, 1, 1_000)
    assert [one.size for one in published] == [2, 5, 6]


async def test_two_that_both_believe_to_lead_contradict_nothing(
    database: Database, ledger: Ledger, tmp_path: Path
) -> None:
    """Without any election: the transaction, and the guard, let one through at a time."""
    sealers = [sealer_in(ledger, tmp_path, batch=3) for _ in range(2)]

    async def stolen(sealer: object) -> bool:
        await ledger.pool.execute("update work.notary_standing set owner = $1", sealer.owner)
        return True

    await seal(sealers[0])
    for sealer in sealers:
        sealer._lead = lambda sealer=sealer: stolen(sealer)
    async with asyncio.timeout(HANG):
        for _ in range(15):
            await append_some(ledger, 4)
            await asyncio.gather(*(sealer.round() for sealer in sealers), return_exceptions=True)
        await seal(sealers[1])
    async with ledger.pool.acquire() as conn:
        published = await checkpoints_from(conn, LEDGER_ID, 1, 1_000)
    (tmp_path / "signed").write_bytes(b"".join(one.note.encode() + b"\0" for one in published))
    assert published[-1].size == 60
    await nothing_contradicts(ledger, tmp_path)
