"""Many messages cost little more than one: they are leased and written down together, and nothing is promised less."""

import asyncio
import time
from uuid import UUID, uuid4

import asyncpg
import pytest

from ledger.domain.errors import LedgerError
from ledger.domain.ids import MessageId, WebhookId
from ledger.reactions.webhook_sending import Courier
from ledger.webhooks import administering
from ledger.webhooks.breaker import Told, failures_in_a_row
from ledger.webhooks.queue import LEASE_SECONDS, Leased, State
from ledger.webhooks.rows import Sealed
from ledger.webhooks.satchel import FRESH_SECONDS, Satchel
from ledger.webhooks.sending import ATTEMPT_SECONDS
from ledger.webhooks.webhooks import Webhooks
from tests.support.asking import Statements
from tests.support.databases import Database
from tests.support.receiver import HANG, Receiver, answering
from tests.webhooks.house import (
    HANG_GUARD,
    courier,
    followed,
    listed,
    operator,
    patient_courier,
    registered,
    row,
    submitted,
)

TURNS = [4, 12, 28, 60, 100]
"""How many are leased each time while all arrive: four, and twice as many as arrived just before, 96 of those at most."""
WEBHOOKS = [WebhookId(UUID(int=number)) for number in range(1, 3)]

# $1 webhook, $2 now, $3 so many
FILL = """
insert into work.webhook_messages (
    ledger_id, message_id, webhook_id, topic, body, state, created_at, due_at, give_up_at)
select 1, gen_random_uuid(), $1, 'decision.submitted', '{}', 'waiting', $2::timestamptz, $2,
       $2::timestamptz + interval '3 days'
from generate_series(1, $3) n
"""
LEASED = "select count(*) from work.webhook_messages where lease is not null"
CUT = """
select pg_terminate_backend(pid) from pg_stat_activity
where datname = current_database() and pid <> pg_backend_pid()
"""
# $1 seconds
AGED = "update work.webhook_messages set leased_until = leased_until - make_interval(secs => $1) where lease is not null"


async def filled(hooks: Webhooks, webhook: WebhookId, count: int) -> None:
    """Let so many messages wait."""
    async with hooks.ledger.pool.acquire() as conn:
        await conn.execute(FILL, webhook, hooks.clock(), count)


async def leased(hooks: Webhooks) -> int:
    async with hooks.ledger.pool.acquire() as conn:
        return await conn.fetchval(LEASED)


def message(webhook: WebhookId) -> Leased:
    return Leased(
        message=MessageId(uuid4()),
        webhook=webhook,
        topic="decision.submitted",
        body=b"{}",
        attempts=0,
        url="https://hooks.example.org/",
        secret=Sealed(b"", ""),
        previous=None,
        previous_until=None,
        lease=UUID(int=1),
        trace_id="",
    )


async def test_a_message_that_arrives_costs_less_than_half_a_statement(
    hooks: Webhooks, receiver: Receiver
) -> None:
    issued = await registered(hooks, receiver.url)
    await filled(hooks, issued.webhook, sum(TURNS))
    sending, taken = courier(hooks), []
    async with Statements(hooks.ledger.pool) as asked:
        while started := await sending.start_due():
            taken.append(started)
            await sending.rest()
    await sending.stop()

    assert taken == TURNS
    assert len(receiver.received) == sum(TURNS)
    assert len(asked.seen) < sum(TURNS) / 2
    assert (await row(hooks, issued.webhook)).waiting == 0


async def test_leasing_ahead_sends_no_more_side_by_side(hooks: Webhooks, receiver: Receiver) -> None:
    issued = await registered(hooks, receiver.url)
    await filled(hooks, issued.webhook, sum(TURNS))
    receiver.seconds = 0.002
    sending = courier(hooks)
    while await sending.start_due():
        await sending.rest()
    await sending.stop()

    assert receiver.busiest == 4


async def test_a_receiver_that_begins_to_fail_has_nothing_leased_ahead(
    hooks: Webhooks, receiver: Receiver
) -> None:
    issued = await registered(hooks, receiver.url)
    await filled(hooks, issued.webhook, 100)
    sending = courier(hooks)
    for _ in range(2):
        await sending.start_due()
        await sending.rest()
    receiver.answers(answering(500))

    assert await sending.start_due() == 28
    await sending.rest()
    assert len(receiver.received) == 4 + 12 + 4
    assert await sending.start_due() == 4
    assert await leased(hooks) == 4
    await sending.settle()
    assert (await row(hooks, issued.webhook)).failures == 5
    assert await sending.start_due() == 0
    assert {one.attempts for one in await listed(hooks, issued.webhook, State.WAITING)} == {0, 1}
    await sending.stop()


async def test_a_receiver_that_is_gone_is_sent_nothing_more(hooks: Webhooks, receiver: Receiver) -> None:
    issued = await registered(hooks, receiver.url)
    await filled(hooks, issued.webhook, 50)
    sending = courier(hooks)
    await sending.start_due()
    await sending.rest()
    receiver.answers(answering(410))

    assert await sending.start_due() == 12
    await sending.rest()
    assert await sending.start_due() == 0
    assert len(receiver.received) == 4 + 4
    assert (await row(hooks, issued.webhook)).standing == "disabled"
    assert await leased(hooks) == 0
    await sending.stop()


async def test_what_waited_too_long_for_its_turn_is_given_back_unsent(
    hooks: Webhooks, receiver: Receiver
) -> None:
    issued = await registered(hooks, receiver.url)
    await filled(hooks, issued.webhook, 50)
    sending = courier(hooks)
    await sending.start_due()
    await sending.rest()
    receiver.answers(HANG)

    assert await sending.start_due() == 12
    await sending.rest()
    await sending.settle()

    assert len(receiver.received) == 4 + 4
    assert await leased(hooks) == 0
    await sending.stop()


def test_a_message_that_waited_a_second_is_not_begun() -> None:
    satchel, stale = Satchel(), message(WEBHOOKS[0])
    satchel.put([stale], since=time.monotonic() - FRESH_SECONDS - 0.1)

    assert satchel.begin() is None
    assert satchel.unwritten().returned == (stale.message,)


def test_webhooks_have_their_turns() -> None:
    one, another = WEBHOOKS
    satchel = Satchel(in_flight=4)
    satchel.put([message(one) for _ in range(4)], since=time.monotonic())
    satchel.put([message(another) for _ in range(4)], since=time.monotonic())

    begun = [satchel.begin() for _ in range(5)]

    assert [None if leased is None else leased.webhook for leased in begun] == [
        one,
        another,
        one,
        another,
        None,
    ]


def test_what_is_in_hand_is_not_taken_twice() -> None:
    """The lease was slept through, and leased again."""
    satchel, twice = Satchel(), message(WEBHOOKS[0])
    satchel.put([twice], since=time.monotonic())
    assert satchel.begin() == twice
    satchel.put([twice], since=time.monotonic())

    assert satchel.begin() is None


def test_failures_in_a_row_are_those_after_the_last_success() -> None:
    one, another = WEBHOOKS
    told = [Told(one, False), Told(one, True), Told(another, False), Told(one, False), Told(another, True)]

    assert failures_in_a_row(told) == {one: 1}
    assert failures_in_a_row(told[:4]) == {one: 1, another: 1}


async def turned(database: Database, *, read_only: bool) -> None:
    """Let the database take writes or none, from every session on: as after a failover that went the wrong way."""
    owner = await asyncpg.connect(database.owner_url)
    state = "on" if read_only else "off"
    await owner.execute("set default_transaction_read_only = off")
    await owner.execute(f"alter database {database.name} set default_transaction_read_only = {state}")
    await owner.execute(CUT)
    await owner.close()


async def until_it_is_done(sending: Courier) -> int:
    """Try again as the loop does."""
    async with asyncio.timeout(20):
        while True:
            try:
                return await sending.start_due()
            except LedgerError:
                await asyncio.sleep(0.02)


async def test_what_came_of_attempts_is_kept_while_it_cannot_be_written_down(
    database: Database, hooks: Webhooks, receiver: Receiver
) -> None:
    issued = await registered(hooks, receiver.url)
    await filled(hooks, issued.webhook, 4)
    sending = courier(hooks)
    await sending.start_due()
    await sending.rest()
    await turned(database, read_only=True)
    for _ in range(2 * hooks.ledger.pool.get_max_size()):  # whichever connection it comes to
        with pytest.raises(LedgerError):
            await sending.start_due()
    assert (await row(hooks, issued.webhook)).waiting == 4
    await turned(database, read_only=False)

    assert await until_it_is_done(sending) == 0
    assert (await row(hooks, issued.webhook)).waiting == 0
    assert len(receiver.received) == 4
    await sending.stop()


async def test_of_two_workers_at_a_busy_webhook_the_later_one_stays(
    hooks: Webhooks, receiver: Receiver
) -> None:
    issued = await registered(hooks, receiver.url)
    earlier, later = courier(hooks), courier(hooks)
    await filled(hooks, issued.webhook, 2)
    assert await earlier.start_due() == 2
    await filled(hooks, issued.webhook, 40)
    assert await later.start_due() == 2
    await asyncio.gather(earlier.rest(), later.rest())

    assert await earlier.start_due() == 0
    assert await later.start_due() == 8
    await asyncio.gather(earlier.stop(), later.stop())


async def test_a_worker_that_hangs_keeps_no_other_away(hooks: Webhooks, receiver: Receiver) -> None:
    issued = await registered(hooks, receiver.url)
    earlier, later = courier(hooks), courier(hooks)
    await filled(hooks, issued.webhook, 1)
    receiver.answers(HANG)
    assert await later.start_due() == 1
    await filled(hooks, issued.webhook, 40)
    assert await earlier.start_due() == 0
    async with hooks.ledger.pool.acquire() as conn:
        await conn.execute(AGED, 2.0)

    assert await earlier.start_due() == 3
    await asyncio.gather(earlier.stop(), later.stop())


async def test_a_pause_is_over_what_was_leased_ahead_within_a_second(
    hooks: Webhooks, receiver: Receiver
) -> None:
    issued = await registered(hooks, receiver.url)
    await filled(hooks, issued.webhook, 100)
    sending = courier(hooks)
    await sending.start_due()
    await sending.rest()
    receiver.seconds = 0.6
    assert await sending.start_due() == 12
    await administering.pause(hooks, issued.webhook, operator())
    await sending.rest()

    assert len(receiver.received) <= 4 + 8
    assert await sending.start_due() == 0
    assert await leased(hooks) == 0
    await sending.stop()


MANY_HANGING = 80
"""More than could hang at once before others waited: four of each are on their way."""


async def test_however_many_receivers_hang_one_that_does_not_is_told(
    hooks: Webhooks, receiver: Receiver
) -> None:
    receiver.answer = lambda request: HANG if "hang" in request.target else answering(204)
    hanging = [await registered(hooks, f"{receiver.url}&hang={number}") for number in range(MANY_HANGING)]
    for one in hanging:
        await filled(hooks, one.webhook, 8)
    patient = patient_courier(hooks, Satchel(slow_seconds=0.02))
    working = asyncio.create_task(patient.run_forever())
    await receiver.count(4 * MANY_HANGING)
    healthy = await registered(hooks, receiver.url)
    await submitted(hooks, "LATER")
    await followed(hooks)

    async with asyncio.timeout(HANG_GUARD):  # sooner than any is broken off
        while (await row(hooks, healthy.webhook)).waiting or receiver.busy != 4 * MANY_HANGING:
            await asyncio.sleep(0.02)
    working.cancel()
    await asyncio.gather(working, return_exceptions=True)


def test_a_lease_is_longer_than_what_may_be_done_under_it() -> None:
    assert FRESH_SECONDS + ATTEMPT_SECONDS < LEASE_SECONDS
