"""Submissions are tried without reading first; what they relied on is checked all the same."""

import asyncio
from contextlib import AsyncExitStack

from tests.api.answers import submit, together
from tests.support.http import Api, submission

SUBMIT = "/api/decisions/submit"


@together
async def test_a_submission_reads_nothing_once_its_caller_is_known(
    shared: Api, admin: dict[str, str]
) -> None:
    """Every connection that reads could be made by is taken."""
    await submit(shared, admin, "known")
    pool = shared.ledger.pool

    async with AsyncExitStack() as taken:
        for _ in range(pool.get_max_size()):
            await taken.enter_async_context(pool.acquire())
        async with asyncio.timeout(10):
            answer = await submit(shared, admin, "unread")

    assert answer.headers["etag"] == '"1"'


@together
async def test_an_id_that_is_taken_is_refused_without_a_trace(shared: Api, admin: dict[str, str]) -> None:
    first = await submit(shared, admin, "taken")

    answer = await shared.client.post(SUBMIT, headers=admin, json=submission("taken", confidence=1))

    assert answer.json()["code"] == "already-exists"
    again = await submit(shared, admin, "free")
    assert int(again.headers["ledger-position"]) == int(first.headers["ledger-position"]) + 1
