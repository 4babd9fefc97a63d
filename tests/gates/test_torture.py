"""Many writers in several processes, everything going wrong, and a naive reader who must not notice."""

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from tests.support.databases import Database
from tests.support.torture import check_log, head_of, reader, terminating_backends, writer
from tests.support.torture_sizes import HANG, sizes

WRITERS = 3
CUT_EVERY = 0.25
"""Seconds."""


@pytest.mark.processes
@pytest.mark.slow
@sizes(short=4_500, long=120_000, longest=1_050_000)
async def test_a_naive_reader_misses_doubles_and_reorders_nothing(
    database: Database, tmp_path: Path, size: int
) -> None:
    """Conflicts, reads, rollbacks, repeats, callers who leave, connections that are cut; all at once."""
    files = [tmp_path / f"account-{number}" for number in range(WRITERS)]
    url = database.service_url
    async with asyncio.timeout(HANG), AsyncExitStack() as stack:
        follower = await stack.enter_async_context(reader(url))
        writers = [
            await stack.enter_async_context(writer(url, file, seed=seed, appends=size // WRITERS))
            for seed, file in enumerate(files)
        ]
        async with terminating_backends(database.owner_url, every=CUT_EVERY):
            did = await asyncio.gather(*(one.answer() for one in writers))
        saw = await follower.answer(f"{await head_of(database.owner_url)}\n")

        found = await check_log(database.owner_url, files, saw)

    print(found, did, {"reader was cut off": saw["cuts"]})
    assert found["acknowledged"] >= size
    for what in ("conflicts", "rolled back", "left"):
        assert all(what in one for one in did), f"nobody met {what}: the gate tried nothing"
