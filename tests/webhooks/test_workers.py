"""Several workers share the work: nothing is lost, and nothing is sent twice at once, whoever is killed when."""

import asyncio
import signal
import sys
from collections import Counter
from uuid import UUID

import pytest

from ledger.domain.ids import Position
from ledger.reactions.webhook_sending import Courier
from ledger.webhooks import queue, satchel
from ledger.webhooks.queue import State
from ledger.webhooks.satchel import Satchel
from ledger.webhooks.sending import Sender
from ledger.webhooks.webhooks import Webhooks
from tests.support.databases import Database
from tests.support.receiver import HANG, Received, Receiver, answering
from tests.webhooks.house import (
    HANG_GUARD,
    courier,
    delivery,
    followed,
    listed,
    patient_courier,
    registered,
    row,
    sent,
    submitted,
)

MANY = 45
HELD_UP = (
    "select exists (select from pg_locks where not granted and pg_backend_pid() = any(pg_blocking_pids(pid)))"
)


async def worker(database: Database, *, lease_seconds: float = 60.0) -> asyncio.subprocess.Process:
    """Another process that follows the log and sends."""
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.support.webhook_worker"),
        *(database.service_url, str(lease_seconds)),
    )


class Overlaps:
    """Who is being sent what, and whether ever the same twice at once."""

    def __init__(self, receiver: Receiver) -> None:
        self.open: Counter[str] = Counter()
        self.doubled: set[str] = set()
        receiver.around = self.seen

    def seen(self, request: Received, change: int) -> None:
        self.open[request.message_id] += change
        if self.open[request.message_id] > 1:
            self.doubled.add(request.message_id)


async def test_two_workers_share_what_is_due(hooks: Webhooks, receiver: Receiver) -> None:
    await registered(hooks, receiver.url)
    await registered(hooks, receiver.url)
    await submitted(hooks, *(f"CASE-{number}" for number in range(20)))
    await followed(hooks)
    workers = [courier(hooks), courier(hooks)]

    while sum(await asyncio.gather(*(one.start_due() for one in workers))):
        await asyncio.gather(*(one.settle() for one in workers))

    assert len(receiver.received) == len({request.message_id for request in receiver.received}) == 40
    await asyncio.gather(*(one.stop() for one in workers))


async def test_no_more_than_four_messages_of_a_webhook_are_on_their_way(
    hooks: Webhooks, receiver: Receiver
) -> None:
    await registered(hooks, receiver.url)
    receiver.answers(HANG)
    await submitted(hooks, *(f"CASE-{number}" for number in range(9)))
    await followed(hooks)
    workers = [courier(hooks) for _ in range(3)]

    started = [await one.start_due() for one in workers]

    assert started == [4, 0, 0]
    await asyncio.gather(*(one.stop() for one in workers))


async def test_what_one_worker_has_another_does_not_take(hooks: Webhooks, receiver: Receiver) -> None:
    await registered(hooks, receiver.url)
    receiver.answers(HANG)
    one, another = courier(hooks), courier(hooks)
    await submitted(hooks, "CASE-1")
    await followed(hooks)
    await one.start_due()
    await submitted(hooks, "CASE-2")
    await followed(hooks)

    assert await another.start_due() == 1
    await receiver.count(2)
    assert len({request.message_id for request in receiver.received}) == 2
    await asyncio.gather(one.stop(), another.stop())


async def test_receivers_that_hang_hold_up_no_other_one(hooks: Webhooks, receiver: Receiver) -> None:
    """More of them than there are places for messages that are quick."""
    receiver.answer = lambda request: HANG if "hang" in request.target else answering(204)
    hanging = [await registered(hooks, f"{receiver.url}&hang={number}") for number in range(9)]
    await submitted(hooks, *(f"CASE-{number}" for number in range(4)))
    await followed(hooks)
    patient = patient_courier(hooks, Satchel(in_flight=8, slow_seconds=0.1))
    working = asyncio.create_task(patient.run_forever())
    await receiver.count(36)
    healthy = await registered(hooks, receiver.url)
    await submitted(hooks, "LATER")
    await followed(hooks)

    await until_all_have_arrived(hooks, healthy.webhook)
    async with asyncio.timeout(HANG_GUARD):
        while receiver.busy != 36:  # with the one that is well it may be more for a moment
            await asyncio.sleep(0.01)
    assert [(await row(hooks, one.webhook)).failures for one in hanging] == 9 * [0]
    working.cancel()
    await asyncio.gather(working, return_exceptions=True)


async def test_no_more_than_a_bound_are_on_their_way_however_long_they_take(
    hooks: Webhooks, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(satchel, "MOST_IN_FLIGHT", 6)
    receiver.answers(HANG)
    for _ in range(3):
        await registered(hooks, receiver.url)
    await submitted(hooks, *(f"CASE-{number}" for number in range(4)))
    await followed(hooks)
    patient = Courier(hooks, Sender(hooks.allowed), satchel=Satchel(in_flight=4, slow_seconds=0.0))

    assert [await patient.start_due() for _ in range(3)] == [4, 2, 0]
    await patient.stop()


# $1 lease, $2 seconds
LEASED_MEANWHILE = """
update work.webhook_messages set lease = $1, leased_until = clock_timestamp() + make_interval(secs => $2)
"""
POSTPONED_MEANWHILE = "update work.webhook_messages set due_at = due_at + interval '5 minutes'"


@pytest.mark.parametrize(
    ("meanwhile", "binds"), [(LEASED_MEANWHILE, (UUID(int=1), 60.0)), (POSTPONED_MEANWHILE, ())]
)
async def test_what_changed_while_a_worker_looked_is_not_taken_by_what_it_saw(
    hooks: Webhooks, receiver: Receiver, meanwhile: str, binds: tuple[object, ...]
) -> None:
    """Its statement began before another's commit, and comes to the message after it."""
    await registered(hooks, receiver.url)
    await submitted(hooks, "CASE-1")
    await followed(hooks)
    late = courier(hooks)
    async with asyncio.timeout(20), hooks.ledger.pool.acquire() as other:
        async with other.transaction():
            await other.execute(meanwhile, *binds)
            looking = asyncio.create_task(late.start_due())
            while not await other.fetchval(HELD_UP):
                assert not looking.done(), "it did not wait for the other"
                await asyncio.sleep(0.005)
        assert await looking == 0
    await late.stop()


async def test_whoever_read_the_log_too_long_ago_moves_nothing(hooks: Webhooks, receiver: Receiver) -> None:
    issued = await registered(hooks, receiver.url)
    before = (await row(hooks, issued.webhook)).position
    await submitted(hooks, "CASE-1", "CASE-2")
    await followed(hooks)
    async with hooks.ledger.pool.acquire() as conn:
        moved = await queue.move(
            conn, hooks.ledger.ledger_id, [issued.webhook], after=before, upto=Position(before + 1)
        )

    assert moved == ()
    assert (await row(hooks, issued.webhook)).position == await hooks.ledger.head()


async def test_two_that_follow_at_once_queue_everything_once(hooks: Webhooks, receiver: Receiver) -> None:
    issued = await registered(hooks, receiver.url)
    await submitted(hooks, *(f"CASE-{number}" for number in range(10)))

    await asyncio.gather(*(followed(hooks) for _ in range(4)))

    assert len(await listed(hooks, issued.webhook)) == 10
    assert (await row(hooks, issued.webhook)).position == await hooks.ledger.head()


async def test_a_worker_that_stops_leaves_its_work_to_others_at_once(
    hooks: Webhooks, receiver: Receiver
) -> None:
    issued = await registered(hooks, receiver.url)
    receiver.answers(HANG)
    await submitted(hooks, "CASE-1")
    await followed(hooks)
    stopping = courier(hooks)
    await stopping.start_due()
    await receiver.count(1)
    await stopping.stop()

    receiver.answers(answering(204))
    await sent(hooks)

    assert (await delivery(hooks, issued.webhook)).state is State.DELIVERED


async def test_what_arrived_stays_delivered_whoever_holds_the_lease_by_then(
    hooks: Webhooks, receiver: Receiver
) -> None:
    issued = await registered(hooks, receiver.url)
    await submitted(hooks, "CASE-1")
    await followed(hooks)
    slow, quick = courier(hooks, lease_seconds=0.0), courier(hooks)
    await slow.start_due()
    await quick.start_due()

    await asyncio.gather(slow.settle(), quick.settle())

    done = await delivery(hooks, issued.webhook)
    assert (done.state, len(done.tries)) == (State.DELIVERED, 1)
    await asyncio.gather(slow.stop(), quick.stop())


async def test_a_failure_told_late_leaves_the_message_to_whoever_has_it_by_then(
    hooks: Webhooks, receiver: Receiver
) -> None:
    issued = await registered(hooks, receiver.url)
    await submitted(hooks, "CASE-1")
    await followed(hooks)
    receiver.answers(HANG)
    late, other = courier(hooks, lease_seconds=0.0), courier(hooks)
    await late.start_due()
    await receiver.count(1)
    await other.start_due()
    await receiver.count(2)

    await late.settle()

    waiting = await delivery(hooks, issued.webhook)
    assert (waiting.attempts, waiting.last_error) == (0, None)
    await asyncio.gather(late.stop(), other.stop())


@pytest.mark.long
@pytest.mark.processes
async def test_a_worker_killed_after_it_sent_costs_a_repeat_with_the_same_id(
    database: Database, hooks: Webhooks, receiver: Receiver
) -> None:
    issued = await registered(hooks, receiver.url)
    receiver.answers(HANG)
    await submitted(hooks, "CASE-1")
    first = await worker(database, lease_seconds=1.0)
    await receiver.count(1)
    first.send_signal(signal.SIGKILL)
    await first.wait()

    receiver.answers(answering(204))
    second = await worker(database)
    await receiver.count(2)
    await until_all_have_arrived(hooks, issued.webhook)
    second.send_signal(signal.SIGTERM)
    await second.wait()

    assert len({request.message_id for request in receiver.received}) == 1
    assert len({request.body for request in receiver.received}) == 1


@pytest.mark.long
@pytest.mark.processes
@pytest.mark.slow
async def test_workers_killed_again_and_again_lose_nothing_and_send_nothing_twice_at_once(
    database: Database, hooks: Webhooks, receiver: Receiver
) -> None:
    issued = await registered(hooks, receiver.url)
    overlaps = Overlaps(receiver)
    receiver.seconds = 0.02
    workers = [await worker(database, lease_seconds=2.0) for _ in range(2)]
    for number in range(MANY):
        await submitted(hooks, f"CASE-{number}")
        if number % 15 == 14:
            await receiver.count(number - 10)
            killed = workers.pop(0)
            killed.send_signal(signal.SIGKILL)
            await killed.wait()
            workers.append(await worker(database, lease_seconds=2.0))

    await until_all_have_arrived(hooks, issued.webhook)
    for one in workers:
        one.send_signal(signal.SIGTERM)
        await one.wait()

    told = Counter(request.message_id for request in receiver.received)
    assert len(told) == MANY
    assert overlaps.doubled == set()


async def until_all_have_arrived(hooks: Webhooks, webhook: object) -> None:
    async with asyncio.timeout(90):
        while {one.state for one in await listed(hooks, webhook)} != {State.DELIVERED} or (
            (await row(hooks, webhook)).position < await hooks.ledger.head()
        ):
            await asyncio.sleep(0.05)
