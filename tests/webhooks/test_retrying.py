"""A day of attempts, then a dead letter; a broken receiver is left in peace, which counts as no attempt."""

from datetime import timedelta

import pytest
from structlog.testing import capture_logs

from ledger.domain.ids import WebhookId
from ledger.reactions.webhook_sweeping import sweep
from ledger.webhooks import administering
from ledger.webhooks.deliveries import SWEPT_AT_ONCE
from ledger.webhooks.gauges import standings_of
from ledger.webhooks.queue import State
from ledger.webhooks.schedule import ATTEMPTS, JITTER, LONGEST_REST, MOST_ASKED, WAITS, wait_after
from ledger.webhooks.webhooks import Webhooks
from tests.identity.house import MovingClock
from tests.support.receiver import Receiver, answering
from tests.webhooks.house import (
    courier,
    delivery,
    followed,
    listed,
    operator,
    registered,
    row,
    sent,
    submitted,
    told,
    wanted,
)

OPENING = 5
TOO_MANY_AT_ONCE = 2 * SWEPT_AT_ONCE + 1

# $1 webhook, $2 now, $3 state, $4 so many
FILL = """
insert into work.webhook_messages (
    ledger_id, message_id, webhook_id, topic, body, state, created_at, due_at, give_up_at, ended_at)
select 1, gen_random_uuid(), $1, 'decision.submitted', 'x', $3, $2::timestamptz, $2, $2::timestamptz + interval '3 days',
       case when $3 <> 'waiting' then $2::timestamptz end
from generate_series(1, $4)
"""


async def filled(hooks: Webhooks, webhook: WebhookId, state: str) -> None:
    """Let there be more messages than one statement sweeps."""
    async with hooks.ledger.pool.acquire() as conn:
        await conn.execute(FILL, webhook, hooks.clock(), state, TOO_MANY_AT_ONCE)


async def counted(hooks: Webhooks) -> dict[str, int]:
    """How many messages there are, by state."""
    async with hooks.ledger.pool.acquire() as conn:
        found = await conn.fetch("select state, count(*) as n from work.webhook_messages group by state")
    return {row["state"]: row["n"] for row in found}


async def broken(hooks: Webhooks, receiver: Receiver, cases: int = OPENING) -> None:
    """Let the breaker open."""
    receiver.answers(answering(500))
    await submitted(hooks, *(f"CASE-{number}" for number in range(cases)))
    await told(hooks)


async def test_a_message_is_tried_for_a_day_and_then_given_up(
    hooks: Webhooks, receiver: Receiver, clock: MovingClock
) -> None:
    issued = await registered(hooks, receiver.url)
    receiver.answers(answering(500))
    await submitted(hooks, "CASE-1")
    await followed(hooks)
    began, moments = clock(), []
    while (await delivery(hooks, issued.webhook)).state is State.WAITING:
        clock.now = max(clock.now, (await delivery(hooks, issued.webhook)).due_at)
        if await sent(hooks):
            moments.append((clock() - began).total_seconds())
        else:
            clock.forward(seconds=LONGEST_REST / 10)  # the breaker rests

    assert len(moments) == len(receiver.received) == ATTEMPTS
    assert 20 * 3600 < moments[-1] < 28 * 3600
    assert len({request.message_id for request in receiver.received}) == 1
    dead = await delivery(hooks, issued.webhook)
    assert (dead.state, dead.attempts, dead.last_status) == (State.DEAD, ATTEMPTS, 500)
    clock.forward(days=2)
    assert await sent(hooks) == 0


def test_waits_are_spread_by_a_tenth() -> None:
    for number, wait in enumerate(WAITS, start=1):
        waits = {wait_after(number) for _ in range(200)}
        assert len(waits) > 100
        assert all(wait * (1 - JITTER) <= one <= wait * (1 + JITTER) for one in waits)
    assert wait_after(ATTEMPTS) is None
    assert timedelta(hours=23) < timedelta(seconds=sum(WAITS)) < timedelta(hours=25)


@pytest.mark.parametrize(
    ("asked", "waits"), [(120, (120, 120)), (10**6, (MOST_ASKED, MOST_ASKED)), (1, (4.5, 5.5))]
)
async def test_a_receiver_may_ask_for_up_to_an_hour(
    hooks: Webhooks, receiver: Receiver, clock: MovingClock, asked: int, waits: tuple[float, float]
) -> None:
    issued = await registered(hooks, receiver.url)
    receiver.answers(answering(503, f"retry-after: {asked}"))
    await submitted(hooks, "CASE-1")
    await told(hooks)

    wait = ((await delivery(hooks, issued.webhook)).due_at - clock()).total_seconds()
    assert waits[0] <= wait <= waits[1]


async def test_a_receiver_may_ask_by_a_date(hooks: Webhooks, receiver: Receiver, clock: MovingClock) -> None:
    issued = await registered(hooks, receiver.url)
    later = (clock() + timedelta(minutes=10)).strftime("%a, %d %b %Y %H:%M:%S GMT")
    receiver.answers(answering(429, f"Retry-After: {later}"))
    await submitted(hooks, "CASE-1")
    await told(hooks)

    assert (await delivery(hooks, issued.webhook)).due_at == clock() + timedelta(minutes=10)


@pytest.mark.parametrize(
    "odd",
    [
        *("soon", "-5", "Mon, 99 Foo 2026", "", "\u0661"),
        *("Fri, 31 Dec 9999 23:59:59 -1200", f"Fri, 31 Dec {'9' * 20} 23:59:59 GMT"),
    ],
)
async def test_what_nobody_understands_asks_for_nothing(
    hooks: Webhooks, receiver: Receiver, clock: MovingClock, odd: str
) -> None:
    issued = await registered(hooks, receiver.url)
    receiver.answers(answering(503, f"retry-after: {odd}"))
    await submitted(hooks, "CASE-1")
    await told(hooks)

    failed = await delivery(hooks, issued.webhook)
    assert failed.last_error in {"status-503", "not-http"}
    assert failed.due_at <= clock() + timedelta(seconds=6)


async def test_five_failures_in_a_row_open_the_breaker(
    hooks: Webhooks, receiver: Receiver, clock: MovingClock
) -> None:
    issued = await registered(hooks, receiver.url)
    await broken(hooks, receiver)
    await submitted(hooks, "LATER")
    assert await told(hooks) == 0
    untouched = next(one for one in await listed(hooks, issued.webhook) if not one.tries)

    assert untouched.attempts == 0
    resting = await row(hooks, issued.webhook)
    assert resting.failures == OPENING
    assert resting.open_until == clock() + timedelta(seconds=30)


async def test_after_its_rest_one_message_is_sent_to_see(
    hooks: Webhooks, receiver: Receiver, clock: MovingClock
) -> None:
    issued = await registered(hooks, receiver.url)
    await broken(hooks, receiver)
    await submitted(hooks, "LATER-1", "LATER-2")
    clock.forward(seconds=30)

    assert await told(hooks) == 1
    resting = await row(hooks, issued.webhook)
    assert resting.open_until == clock() + timedelta(seconds=60)


async def test_a_probe_on_its_way_keeps_others_back(
    hooks: Webhooks, receiver: Receiver, clock: MovingClock
) -> None:
    await registered(hooks, receiver.url)
    await broken(hooks, receiver)
    await submitted(hooks, "LATER-1", "LATER-2")
    await followed(hooks)
    clock.forward(seconds=30)
    one, another = courier(hooks), courier(hooks)

    assert (await one.start_due(), await another.start_due(), await one.start_due()) == (1, 0, 0)
    await one.settle()
    await one.stop()
    await another.stop()


async def test_a_probe_that_arrives_closes_the_breaker(
    hooks: Webhooks, receiver: Receiver, clock: MovingClock
) -> None:
    issued = await registered(hooks, receiver.url)
    await broken(hooks, receiver)
    receiver.answers(answering(204))
    clock.forward(seconds=30)

    assert await sent(hooks) == OPENING
    healed = await row(hooks, issued.webhook)
    assert (healed.failures, healed.open_until, healed.waiting) == (0, None, 0)


async def test_rests_grow_to_ten_minutes(hooks: Webhooks, receiver: Receiver, clock: MovingClock) -> None:
    issued = await registered(hooks, receiver.url)
    await broken(hooks, receiver, cases=40)
    rests = []
    for _ in range(7):
        until = (await row(hooks, issued.webhook)).open_until
        assert until is not None
        rests.append((until - clock()).total_seconds())
        clock.now = until
        await sent(hooks)

    assert rests == [30, 60, 120, 240, 480, 600, 600]


async def test_what_was_on_its_way_when_the_breaker_opened_opens_it_no_further(
    hooks: Webhooks, receiver: Receiver, clock: MovingClock
) -> None:
    issued = await registered(hooks, receiver.url)
    await broken(hooks, receiver, cases=8)

    resting = await row(hooks, issued.webhook)
    assert resting.open_until == clock() + timedelta(seconds=30)


async def test_what_never_has_its_turn_is_given_up_after_three_days(
    hooks: Webhooks, receiver: Receiver, clock: MovingClock
) -> None:
    issued = await registered(hooks, receiver.url)
    await broken(hooks, receiver)
    clock.forward(days=3)
    await sweep(hooks)

    dead = await listed(hooks, issued.webhook, State.DEAD)
    assert len(dead) == OPENING
    async with hooks.ledger.pool.acquire() as conn:
        standings = await standings_of(conn, hooks.ledger.ledger_id, clock())
    assert (standings.waiting, standings.dead) == (0, OPENING)


async def test_a_pause_takes_nobodys_time(hooks: Webhooks, receiver: Receiver, clock: MovingClock) -> None:
    issued = await registered(hooks, receiver.url)
    await submitted(hooks, "CASE-1")
    await followed(hooks)
    await administering.pause(hooks, issued.webhook, operator())
    clock.forward(days=30)
    await sweep(hooks)
    await administering.resume(hooks, issued.webhook, operator(), skips_missed=False)
    await sweep(hooks)

    assert await told(hooks) == 1


async def test_a_replayed_letter_has_a_day_again_and_its_id_of_before(
    hooks: Webhooks, receiver: Receiver, clock: MovingClock
) -> None:
    issued = await registered(hooks, receiver.url)
    await submitted(hooks, "CASE-1")
    await followed(hooks)
    clock.forward(days=3)
    await sweep(hooks)
    dead = await delivery(hooks, issued.webhook)

    await administering.replay(hooks, issued.webhook, operator(), message=dead.message)
    waiting = await delivery(hooks, issued.webhook)
    await sent(hooks)

    assert (waiting.state, waiting.attempts) == (State.WAITING, 0)
    assert receiver.received[0].message_id == str(dead.message)


async def test_what_is_long_over_is_forgotten(
    hooks: Webhooks, receiver: Receiver, clock: MovingClock
) -> None:
    issued = await registered(hooks, receiver.url)
    await submitted(hooks, "ARRIVES")
    await told(hooks)
    receiver.answers(answering(500))
    await submitted(hooks, "DOES-NOT")
    await followed(hooks)
    clock.forward(days=3)
    await sweep(hooks)
    clock.forward(days=5)
    await sweep(hooks)
    assert [one.state for one in await listed(hooks, issued.webhook)] == [State.DEAD]

    clock.forward(days=26)
    await sweep(hooks)

    assert await listed(hooks, issued.webhook) == ()


async def test_one_sweep_forgets_all_that_is_long_over(
    hooks: Webhooks, receiver: Receiver, clock: MovingClock
) -> None:
    issued = await registered(hooks, receiver.url)
    await filled(hooks, issued.webhook, "delivered")
    clock.forward(days=8)

    await sweep(hooks)

    assert await counted(hooks) == {}


async def test_one_sweep_gives_up_all_whose_time_is_over(
    hooks: Webhooks, receiver: Receiver, clock: MovingClock
) -> None:
    issued = await registered(hooks, receiver.url)
    await filled(hooks, issued.webhook, "waiting")
    clock.forward(days=3)

    await sweep(hooks)

    assert await counted(hooks) == {"dead": TOO_MANY_AT_ONCE}


async def test_an_outage_is_two_lines_in_the_log_and_they_name_no_url(
    hooks: Webhooks, receiver: Receiver, clock: MovingClock
) -> None:
    issued = await registered(hooks, receiver.url)
    with capture_logs() as logs:
        await broken(hooks, receiver, cases=OPENING + 2)
        for seconds in (30, 60):
            clock.forward(seconds=seconds)
            await sent(hooks)
        receiver.answers(answering(204))
        clock.forward(seconds=120)
        await sent(hooks)
    said = [line for line in logs if line["event"].startswith("breaker.")]

    assert [(line["event"], line["webhook"]) for line in said] == [
        ("breaker.opened", issued.webhook),
        ("breaker.closed", issued.webhook),
    ]
    assert str(receiver.port) not in str(said)


@pytest.mark.parametrize("way", ["resume", "change"])
async def test_a_rest_that_somebody_ends_is_told_once(
    hooks: Webhooks, receiver: Receiver, clock: MovingClock, way: str
) -> None:
    issued = await registered(hooks, receiver.url)
    await broken(hooks, receiver)
    with capture_logs() as logs:
        for moved in ("&moved=1", "&moved=2"):
            if way == "resume":
                await administering.pause(hooks, issued.webhook, operator())
                await administering.resume(hooks, issued.webhook, operator(), skips_missed=False)
            else:
                found = await administering.must_find(hooks, issued.webhook)
                await administering.change(hooks, found, wanted(hooks, receiver.url + moved), operator())
    said = [(line["event"], line["webhook"]) for line in logs if line["event"].startswith("breaker.")]

    assert said == [("breaker.closed", issued.webhook)]


async def test_breakers_are_measured_by_how_they_stand(
    hooks: Webhooks, receiver: Receiver, clock: MovingClock
) -> None:
    async def standings() -> tuple[int, int, int]:
        async with hooks.ledger.pool.acquire() as conn:
            found = await standings_of(conn, hooks.ledger.ledger_id, clock())
        return found.active, found.resting, found.half_open

    await registered(hooks, receiver.url)
    await broken(hooks, receiver)
    await registered(hooks, receiver.url)
    resting = await standings()
    clock.forward(seconds=30)

    assert (resting, await standings()) == ((2, 1, 0), (2, 0, 1))


async def test_a_changed_url_is_tried_at_once(
    hooks: Webhooks, receiver: Receiver, clock: MovingClock
) -> None:
    issued = await registered(hooks, receiver.url)
    await broken(hooks, receiver)
    found = await administering.must_find(hooks, issued.webhook)
    receiver.answers(answering(204))
    await administering.change(hooks, found, wanted(hooks, f"{receiver.url}&moved=1"), operator())
    clock.forward(seconds=6)

    assert await sent(hooks) == OPENING
    assert receiver.received[-1].target.endswith("&moved=1")
