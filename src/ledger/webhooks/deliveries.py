"""What came of messages: listed for people, given up, sent again, and forgotten after a while."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import asyncpg
import msgspec

from ledger.domain.ids import MessageId, Position, WebhookId
from ledger.store.pool import Connection, Pool, reading
from ledger.webhooks.queue import State, give_up_at, message_id
from ledger.webhooks.rows import every

KEEP_DELIVERED_DAYS: Final = 7
KEEP_DEAD_DAYS: Final = 30
SWEPT_AT_ONCE: Final = 1_000

# $1 ledger, $2 webhook, $3 states, $4 message to begin before (null: the newest), $5 at most this many
LIST: Final = """
select m.message_id, m.position, m.topic, m.state, m.attempts, m.tried, m.created_at, m.due_at, m.last_attempt_at,
       m.last_status, m.last_error, m.ended_at
from work.webhook_messages m
where m.ledger_id = $1 and m.webhook_id = $2 and m.state = any($3)
  and ($4::uuid is null or (m.created_at, m.message_id) < (
      select b.created_at, b.message_id from work.webhook_messages b where b.ledger_id = $1 and b.message_id = $4))
order by m.created_at desc, m.message_id desc
limit $5
"""
# $1 ledger, $2 messages
NAMED: Final = """
select message_id, webhook_id, position, topic, state, tried, last_attempt_at, last_status, last_error, ended_at
from work.webhook_messages
where ledger_id = $1 and message_id = any($2)
order by position, webhook_id
"""
# $1 ledger, $2 messages
ATTEMPTS: Final = """
select message_id, number, began_at, milliseconds, status, error
from work.webhook_attempts where ledger_id = $1 and message_id = any($2)
order by message_id, number
"""
# $1 ledger, $2 webhook, $3 message (null: all of them), $4 now, $5 until when they are tried
REPLAY: Final = """
update work.webhook_messages
set state = 'waiting', attempts = 0, due_at = $4, give_up_at = $5, ended_at = null
where ledger_id = $1 and webhook_id = $2 and state = 'dead' and ($3::uuid is null or message_id = $3)
"""
# While a webhook is held nothing is given up: its messages begin their time anew when it is resumed.
# $1 ledger, $2 webhook, $3 until when they are tried
EXTEND: Final = """
update work.webhook_messages set give_up_at = $3 where ledger_id = $1 and webhook_id = $2 and state = 'waiting'
"""
# $1 ledger, $2 now, $3 at most this many
GIVE_UP: Final = """
update work.webhook_messages
set state = 'dead', ended_at = $2, lease = null, leased_until = null, last_error = coalesce(last_error, 'postponed')
where ledger_id = $1 and message_id in (
    select m.message_id
    from work.webhooks w
    join work.webhook_messages m on m.ledger_id = $1 and m.webhook_id = w.webhook_id
    where w.ledger_id = $1 and w.state = 'active' and m.state = 'waiting' and m.give_up_at <= $2
      and (m.leased_until is null or m.leased_until <= clock_timestamp())
    limit $3
    for update of m skip locked
)
returning message_id, webhook_id
"""
# One bound for both first, by which the index finds them: what arrived this week is most of the table.
# $1 ledger, $2 delivered before, $3 given up before, which is earlier, $4 at most this many
FORGET: Final = """
delete from work.webhook_messages where ledger_id = $1 and message_id in (
    select message_id from work.webhook_messages
    where ledger_id = $1 and state <> 'waiting' and ended_at < $2 and (state = 'delivered' or ended_at < $3)
    order by ended_at
    limit $4
    for update skip locked
)
"""


class Try(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt; ``status`` is ``None`` where nothing was answered, ``error`` where it arrived."""

    number: int
    began_at: datetime
    milliseconds: int
    status: int | None
    error: str | None


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """A message and what has come of it; ``attempts`` since it was queued or replayed, ``tried`` in all."""

    message: MessageId
    position: Position | None
    topic: str
    state: State
    attempts: int
    tried: int
    created_at: datetime
    due_at: datetime
    last_attempt_at: datetime | None
    last_status: int | None
    last_error: str | None
    ended_at: datetime | None
    tries: tuple[Try, ...]


class Sent(msgspec.Struct, frozen=True, kw_only=True):
    """What one webhook was told of one event, and what came of it."""

    webhook_id: WebhookId
    message_id: MessageId
    position: Position
    topic: str
    state: State
    tried: int
    last_attempt_at: datetime | None
    last_status: int | None
    last_error: str | None
    ended_at: datetime | None


class GivenUp(msgspec.Struct, frozen=True):
    """A message that will not be tried again by itself."""

    message: MessageId
    webhook: WebhookId


async def list_of(
    pool: Pool,
    ledger_id: int,
    webhook: WebhookId,
    states: Sequence[State],
    *,
    before: UUID | None = None,
    limit: int,
) -> tuple[Delivery, ...]:
    """List messages of a webhook with their attempts, the newest first, beginning behind the message ``before``."""
    async with reading(pool) as conn:
        rows = await conn.fetch(LIST, ledger_id, webhook, [state.value for state in states], before, limit)
        tries = await conn.fetch(ATTEMPTS, ledger_id, [row["message_id"] for row in rows])
    return tuple(
        _delivery(row, [one for one in tries if one["message_id"] == row["message_id"]]) for row in rows
    )


async def of_events(pool: Pool, ledger_id: int, positions: Sequence[Position]) -> tuple[Sent, ...]:
    """Say which of the webhooks that there are were told of events, while that is remembered."""
    webhooks = await every(pool, ledger_id)
    messages = [message_id(one.webhook, position) for one in webhooks for position in positions]
    if not messages:
        return ()
    async with reading(pool) as conn:
        found = await conn.fetch(NAMED, ledger_id, messages)
    return tuple(
        Sent(
            webhook_id=row["webhook_id"],
            message_id=row["message_id"],
            position=row["position"],
            topic=row["topic"],
            state=State(row["state"]),
            tried=row["tried"],
            last_attempt_at=row["last_attempt_at"],
            last_status=row["last_status"],
            last_error=row["last_error"],
            ended_at=row["ended_at"],
        )
        for row in found
    )


def _delivery(row: asyncpg.Record, tries: Sequence[asyncpg.Record]) -> Delivery:
    return Delivery(
        message=row["message_id"],
        position=row["position"],
        topic=row["topic"],
        state=State(row["state"]),
        attempts=row["attempts"],
        tried=row["tried"],
        created_at=row["created_at"],
        due_at=row["due_at"],
        last_attempt_at=row["last_attempt_at"],
        last_status=row["last_status"],
        last_error=row["last_error"],
        ended_at=row["ended_at"],
        tries=tuple(
            Try(
                number=one["number"],
                began_at=one["began_at"],
                milliseconds=one["milliseconds"],
                status=one["status"],
                error=one["error"],
            )
            for one in tries
        ),
    )


async def replay(
    conn: Connection, ledger_id: int, webhook: WebhookId, message: MessageId | None, now: datetime
) -> int:
    """Queue what was given up once more, one message or all (``None``); return how many there were."""
    done = await conn.execute(REPLAY, ledger_id, webhook, message, now, give_up_at(now))
    return int(done.rpartition(" ")[2])


async def extend(conn: Connection, ledger_id: int, webhook: WebhookId, now: datetime) -> None:
    """Let what waits begin its time anew."""
    await conn.execute(EXTEND, ledger_id, webhook, give_up_at(now))


async def give_up(pool: Pool, ledger_id: int, now: datetime) -> tuple[GivenUp, ...]:
    """End messages whose time is over, at most a thousand; return them."""
    async with reading(pool) as conn:
        rows = await conn.fetch(GIVE_UP, ledger_id, now, SWEPT_AT_ONCE)
    return tuple(GivenUp(row["message_id"], row["webhook_id"]) for row in rows)


async def forget(pool: Pool, ledger_id: int, now: datetime) -> int:
    """Delete what arrived a week ago and what was given up a month ago, at most a thousand; return how many."""
    delivered = now - timedelta(days=KEEP_DELIVERED_DAYS)
    dead = now - timedelta(days=KEEP_DEAD_DAYS)
    async with reading(pool) as conn:
        done = await conn.execute(FORGET, ledger_id, delivered, dead, SWEPT_AT_ONCE)
    return int(done.rpartition(" ")[2])
