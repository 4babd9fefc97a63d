"""What goes on by itself: decisions are told as they happen, also after trouble."""

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest
from structlog.testing import capture_logs

from ledger.domain.errors import Unavailable
from ledger.reactions import webhook_following, webhook_sweeping
from ledger.webhooks.queue import State
from ledger.webhooks.sending import Outcome, Sender
from ledger.webhooks.webhooks import Webhooks
from tests.identity.house import MovingClock
from tests.support.databases import Database
from tests.support.receiver import Receiver
from tests.webhooks.house import courier, delivery, followed, listed, registered, sent, submitted

CUT = """
select pg_terminate_backend(pid) from pg_stat_activity
where datname = current_database() and pid <> pg_backend_pid()
"""


HANG = 60.0


class Faulty(Sender):
    """Has a fault of ours."""

    async def post(self, *_: object, **__: object) -> Outcome:
        raise ZeroDivisionError


@pytest.fixture
async def telling(hooks: Webhooks) -> AsyncIterator[tuple[asyncio.Task[None], ...]]:
    """All that a service does about webhooks."""
    tasks = (
        asyncio.create_task(webhook_following.run_forever(hooks)),
        asyncio.create_task(courier(hooks).run_forever()),
        asyncio.create_task(webhook_sweeping.run_forever(hooks, every=0.05)),
    )
    yield tasks
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def cut_off(database: Database) -> None:
    """End every connection to the database."""
    owner = await asyncpg.connect(database.owner_url)
    await owner.execute(CUT)
    await owner.close()


async def until_delivered(hooks: Webhooks, webhook: object, count: int) -> None:
    async with asyncio.timeout(HANG):
        while [one.state for one in await listed(hooks, webhook)] != [State.DELIVERED] * count:
            await asyncio.sleep(0.02)


async def test_a_decision_is_told_as_it_happens(
    hooks: Webhooks, receiver: Receiver, telling: tuple[asyncio.Task[None], ...]
) -> None:
    issued = await registered(hooks, receiver.url)
    await submitted(hooks, "CASE-1")

    await receiver.count(1)
    await until_delivered(hooks, issued.webhook, 1)


async def test_connections_that_are_lost_delay_and_lose_nothing(
    database: Database, hooks: Webhooks, receiver: Receiver, telling: tuple[asyncio.Task[None], ...]
) -> None:
    issued = await registered(hooks, receiver.url)
    await submitted(hooks, "CASE-1")
    await receiver.count(1)
    for number in range(3):
        await cut_off(database)
        async with asyncio.timeout(HANG):
            while True:
                try:
                    await submitted(hooks, f"AFTER-{number}")
                    break
                except Unavailable:
                    await asyncio.sleep(0.05)

    async with asyncio.timeout(HANG):
        while len({request.body for request in receiver.received}) < 4:
            await asyncio.sleep(0.02)
    assert not any(task.done() for task in telling)
    assert len(await listed(hooks, issued.webhook)) == 4


async def test_a_fault_of_ours_costs_one_attempt_and_is_in_the_log(
    hooks: Webhooks, receiver: Receiver, clock: MovingClock
) -> None:
    issued = await registered(hooks, receiver.url)
    await submitted(hooks, "CASE-1")
    await followed(hooks)
    faulty = courier(hooks, sender=Faulty(hooks.allowed), lease_seconds=0.0)
    with capture_logs() as logs:
        await faulty.start_due()
        await faulty.settle()
        await asyncio.sleep(0)
    await faulty.stop()

    assert [one["event"] for one in logs] == ["webhook.attempt.broken"]
    await sent(hooks)
    assert (await delivery(hooks, issued.webhook)).state is State.DELIVERED


async def test_a_message_given_up_is_one_line_in_the_log_for_each_webhook(
    hooks: Webhooks, receiver: Receiver, clock: MovingClock
) -> None:
    issued = await registered(hooks, receiver.url)
    await submitted(hooks, "CASE-1", "CASE-2")
    await followed(hooks)
    clock.forward(days=3)
    with capture_logs() as logs:
        await webhook_sweeping.sweep(hooks)

    (line,) = [one for one in logs if one["event"] == "webhook.messages.given_up"]
    assert (line["webhook"], line["count"]) == (issued.webhook, 2)
