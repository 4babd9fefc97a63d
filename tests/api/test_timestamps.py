"""Time stamps of checkpoints, for everybody who asks."""

from base64 import b64decode
from datetime import UTC, datetime

import pytest_asyncio

from ledger.sealing.timestamps import Token, keep
from tests.api.answers import together
from tests.support.desk import Desk
from tests.support.sealed_log import seal

AT = datetime(2026, 3, 1, 8, 30, tzinfo=UTC)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def sizes(desk: Desk) -> list[int]:
    """Three checkpoints that were stamped."""
    ledger, found = desk.api.ledger, []
    for number in range(3):
        await desk.ask(f"stamped-{number}")
        sealed = await seal(ledger)
        async with ledger.pool.acquire() as conn:
            token = Token(content=f"token {sealed.size}".encode(), stamped_at=AT)
            await keep(
                conn, ledger.ledger_id, sealed.size, "https://user:secret@tsa.example.org/hidden", token
            )
        found.append(sealed.size)
    return found


async def page(desk: Desk, query: str = "") -> dict:
    answer = await desk.api.client.get(f"/tlog/timestamps{query}")
    assert answer.status_code == 200, answer.text
    return answer.json()


@together
async def test_they_come_with_what_was_stamped_and_nothing_of_the_address_but_the_host(
    desk: Desk, sizes: list[int]
):
    told = await page(desk)
    assert [one["size"] for one in told["timestamps"]] == sizes
    first = told["timestamps"][0]
    assert b64decode(first["token"]) == f"token {sizes[0]}".encode()
    assert first["note"].split("\n")[1] == str(sizes[0])
    assert (first["authority"], first["stamped_at"]) == ("tsa.example.org", "2026-03-01T08:30:00Z")


@together
async def test_pages_go_on_where_they_ended(desk: Desk, sizes: list[int]):
    first = await page(desk, "?limit=2")
    rest = await page(desk, f"?limit=2&from={first['next']}")
    assert [one["size"] for one in first["timestamps"] + rest["timestamps"]] == sizes
    assert rest["next"] is None
