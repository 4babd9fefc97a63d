"""What is asked several times a second finds its few messages by an index, however many wait."""

import json
from collections.abc import Iterator
from datetime import timedelta
from uuid import UUID

import pytest

from ledger.store.ledger import Ledger
from ledger.webhooks import deliveries, queue
from ledger.webhooks.webhooks import Webhooks
from tests.identity.house import MovingClock
from tests.webhooks.house import registered

FILL = """
insert into work.webhook_messages (
    ledger_id, message_id, webhook_id, position, topic, body, state, created_at, due_at, give_up_at)
select 1, gen_random_uuid(), $1, n, 'decision.submitted', 'x', 'waiting', $2::timestamptz,
       $2::timestamptz + n * interval '1 second', $2::timestamptz + n * interval '1 day'
from generate_series(1, 5000) n
"""
# $1 when
DELIVER = "update work.webhook_messages set state = 'delivered', body = null, ended_at = $1"
# $1 a moment after them
AGE = """
update work.webhook_messages set ended_at = $1::timestamptz - interval '1 second'
where message_id in (select message_id from work.webhook_messages limit 4)
"""
MANY = 100
"""Rows of one table that a statement may look at."""


@pytest.fixture
async def many(ledger: Ledger, hooks: Webhooks, clock: MovingClock) -> UUID:
    """Five thousand messages that wait, of which four are due."""
    issued = await registered(hooks, "https://hooks.example.org/")
    async with ledger.pool.acquire() as conn:
        await conn.execute(FILL, issued.webhook, clock())
        await conn.execute("vacuum analyze work.webhook_messages")
    return issued.webhook


def nodes(plan: dict[str, object]) -> Iterator[dict[str, object]]:
    yield plan
    for inner in plan.get("Plans", []):
        yield from nodes(inner)


async def most_read(ledger: Ledger, statement: str, *binds: object) -> int:
    """The largest number of rows that any step of a statement looks at."""
    async with ledger.pool.acquire() as conn, conn.transaction():
        await conn.execute(queue.PLAN_ANEW)
        found = await conn.fetchval(f"explain (analyze, format json) {statement}", *binds)
    (explained,) = json.loads(found)
    return max(
        (one["Actual Rows"] + one.get("Rows Removed by Filter", 0)) * one["Actual Loops"]
        for one in nodes(explained["Plan"])
    )


async def test_leasing_looks_at_what_is_due(ledger: Ledger, many: UUID, clock: MovingClock) -> None:
    now = clock() + timedelta(seconds=4)

    read = await most_read(ledger, queue.LEASE, 1, now, 32, 4, 5, UUID(int=1), 60.0, [many], [64], [])

    assert 4 <= read <= MANY


async def test_giving_up_looks_at_what_is_over(ledger: Ledger, many: UUID, clock: MovingClock) -> None:
    read = await most_read(ledger, deliveries.GIVE_UP, 1, clock() + timedelta(days=4), 1_000)

    assert 4 <= read <= MANY


async def test_forgetting_looks_at_what_is_long_over(ledger: Ledger, many: UUID, clock: MovingClock) -> None:
    async with ledger.pool.acquire() as conn:
        await conn.execute(DELIVER, clock())
        await conn.execute("vacuum analyze work.webhook_messages")
    week_ago = clock() - timedelta(days=7)
    async with ledger.pool.acquire() as conn:
        await conn.execute(AGE, week_ago)

    read = await most_read(ledger, deliveries.FORGET, 1, week_ago, clock() - timedelta(days=30), 1_000)

    assert 4 <= read <= MANY


async def test_a_list_looks_at_its_page(ledger: Ledger, many: UUID) -> None:
    assert await most_read(ledger, deliveries.LIST, 1, many, ["waiting"], None, 50) <= MANY
