"""Messages on their way: queued as the log is followed, leased to one worker at a time, ended or tried again.

Theory. A message is a row, and its id is made of webhook and event: it is queued once however often the log is read,
and every attempt carries the same id. A worker leases what is due before it sends, and writes down what came of it
afterwards; one that is killed in between leaves the lease to run out, and another sends the message again. So a
message is sent at least once, and never by two workers at the same time.

Messages of one webhook are sent side by side and so in no particular order. A webhook whose breaker is open is passed
over, which counts as no attempt; when its rest is over, one message is sent to see whether the receiver is back.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final
from uuid import UUID, uuid5

import asyncpg
import msgspec

from ledger.domain.ids import MessageId, PersonId, Position, WebhookId
from ledger.store.pool import Connection, Pool, reading
from ledger.tracing import Parent, span_id_of
from ledger.webhooks import breaker
from ledger.webhooks.breaker import Change
from ledger.webhooks.rows import Sealed
from ledger.webhooks.schedule import GIVE_UP_DAYS, OPENING_FAILURES, wait_after
from ledger.webhooks.sending import Outcome

LEASE_SECONDS: Final = 60.0
"""Three times as long as an attempt may take."""
AT_ONCE: Final = 4
"""How many messages of one webhook are sent side by side, by all workers together."""

# $1 ledger
FOLLOWED: Final = """
select position, array_agg(webhook_id) as webhooks from work.webhooks
where ledger_id = $1 and state = 'active' and position < $2
group by position
"""
# $1 ledger, $2 webhooks, $3 where they are, $4 where they come
MOVE: Final = """
update work.webhooks set position = $4
where ledger_id = $1 and webhook_id = any($2) and position = $3 and state = 'active'
returning webhook_id, topics, submitter
"""
# $1 ledger, $2 now, $3 until when it is tried; arrays, a message each: $4 id, $5 webhook, $6 position, $7 topic, $8 body
QUEUE: Final = """
insert into work.webhook_messages (
    ledger_id, message_id, webhook_id, position, topic, body, state, created_at, due_at, give_up_at)
select $1, m.id, m.webhook, m.position, m.topic, m.body, 'waiting', $2, $2, $3
from unnest($4::uuid[], $5::uuid[], $6::bigint[], $7::text[], $8::bytea[]) as m(id, webhook, position, topic, body)
on conflict (ledger_id, message_id) do nothing
"""
# Locking the webhooks makes workers take turns on each: else two would look at once and lease twice as much.
# What a worker looks at may be older than its turn: the update asks of each message once more whether it is to be had.
# $1 ledger, $2 now, $3 at most so many in all, $4 and of one webhook, $5 failures at which a breaker is open,
# $6 lease, $7 seconds it lasts
LEASE: Final = """
with ready as materialized (
    select w.webhook_id, w.failures >= $5 as is_resting
    from work.webhooks w
    where w.ledger_id = $1 and w.state = 'active' and (w.open_until is null or w.open_until <= $2)
      and exists (
        select from work.webhook_messages m
        where m.ledger_id = $1 and m.webhook_id = w.webhook_id and m.state = 'waiting' and m.due_at <= $2
          and (m.leased_until is null or m.leased_until <= clock_timestamp()))
    for no key update skip locked
), room as (
    select r.webhook_id, case when r.is_resting then 1 else $4::integer end - (
        select count(*) from work.webhook_messages m
        where m.ledger_id = $1 and m.webhook_id = r.webhook_id and m.lease is not null
          and m.leased_until > clock_timestamp()) as places
    from ready r
), turns as (
    select due.message_id, row_number() over (partition by room.webhook_id order by due.due_at) as turn, due.due_at
    from room cross join lateral (
        select m.message_id, m.due_at from work.webhook_messages m
        where m.ledger_id = $1 and m.webhook_id = room.webhook_id and m.state = 'waiting' and m.due_at <= $2
          and (m.leased_until is null or m.leased_until <= clock_timestamp())
        order by m.due_at, m.message_id
        limit greatest(room.places, 0)
    ) due
), picked as (
    select message_id from turns order by turn, due_at limit $3
)
update work.webhook_messages m
set lease = $6, leased_until = clock_timestamp() + make_interval(secs => $7)
from picked, work.webhooks w
where m.ledger_id = $1 and m.message_id = picked.message_id
  and m.state = 'waiting' and m.due_at <= $2 and (m.leased_until is null or m.leased_until <= clock_timestamp())
  and w.ledger_id = $1 and w.webhook_id = m.webhook_id
returning m.message_id, m.webhook_id, m.topic, m.body, m.attempts, w.url, w.secret, w.key_id,
          w.previous_secret, w.previous_key_id, w.previous_until,
          (select e.correlation_id from ledger.events e where e.ledger_id = $1 and e.position = m.position) as trace_id
"""
# A plan that is kept was made of few messages, and would read all of them when there are many.
PLAN_ANEW: Final = "set local plan_cache_mode = force_custom_plan"
# What has arrived has arrived, whoever holds the lease by now.
# $1 ledger, $2 message, $3 now, $4 status
DELIVERED: Final = """
update work.webhook_messages
set state = 'delivered', body = null, attempts = attempts + 1, tried = tried + 1, lease = null, leased_until = null,
    last_attempt_at = $3, last_status = $4, last_error = null, ended_at = $3
where ledger_id = $1 and message_id = $2 and state = 'waiting'
returning tried, state
"""
# $1 ledger, $2 message, $3 now, $4 status, $5 error, $6 when it is due again (null: never), $7 lease
FAILED: Final = """
update work.webhook_messages
set state = case when $6::timestamptz is null then 'dead' else 'waiting' end,
    ended_at = case when $6::timestamptz is null then $3::timestamptz end,
    due_at = coalesce($6, due_at), attempts = attempts + 1, tried = tried + 1, lease = null, leased_until = null,
    last_attempt_at = $3, last_status = $4, last_error = $5
where ledger_id = $1 and message_id = $2 and state = 'waiting' and lease = $7
returning tried, state
"""
# $1 ledger, $2 message, $3 number, $4 began at, $5 milliseconds, $6 status, $7 error
ATTEMPT: Final = """
insert into work.webhook_attempts (ledger_id, message_id, number, began_at, milliseconds, status, error)
values ($1, $2, $3, $4, $5, $6, $7)
"""
# $1 ledger, $2 lease
GIVE_BACK: Final = """
update work.webhook_messages set lease = null, leased_until = null
where ledger_id = $1 and state = 'waiting' and lease = $2
"""


class State(StrEnum):
    """How a message stands; wire values."""

    WAITING = "waiting"
    DELIVERED = "delivered"
    DEAD = "dead"


class NewMessage(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be sent; ``position`` and ``parent``, the span of the event's append, are ``None`` for a ping."""

    message: MessageId
    webhook: WebhookId
    position: Position | None
    topic: str
    body: bytes
    parent: Parent | None = None


class Filter(msgspec.Struct, frozen=True, kw_only=True):
    """What a webhook wants: of ``topics`` none is all, of ``submitter`` none everybody's."""

    webhook: WebhookId
    topics: frozenset[str]
    submitter: PersonId | None


class Leased(msgspec.Struct, frozen=True, kw_only=True):
    """A message to be sent now, and where to; ``attempts`` were made since it was queued or replayed.

    ``trace_id`` is that of its event, empty where there is none.
    """

    message: MessageId
    webhook: WebhookId
    topic: str
    body: bytes
    attempts: int
    url: str
    secret: Sealed
    previous: Sealed | None
    previous_until: datetime | None
    lease: UUID
    trace_id: str

    def parent(self) -> Parent | None:
        """Name the span of its queueing, that sending it is a part of; ``None``: it belongs to no trace."""
        return Parent(self.trace_id, span_id_of(self.message)) if self.trace_id else None


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt and what came of it."""

    leased: Leased
    outcome: Outcome
    began_at: datetime
    ended_at: datetime
    milliseconds: int


class Finished(msgspec.Struct, frozen=True, kw_only=True):
    """What an attempt has changed: the message stands so, and the breaker of its webhook has changed so."""

    state: State
    change: Change | None


def message_id(webhook: WebhookId, cause: Position | UUID) -> MessageId:
    """Name what a webhook is sent about one event, by the event's position or, for a ping, its id."""
    return MessageId(uuid5(webhook, str(cause)))


def give_up_at(now: datetime) -> datetime:
    """Say until when a message is tried at the latest that is queued ``now``."""
    return now + timedelta(days=GIVE_UP_DAYS)


async def followers(
    pool: Pool, ledger_id: int, head: Position
) -> tuple[tuple[Position, Sequence[WebhookId]], ...]:
    """Say which webhooks are behind ``head``, by where they are."""
    async with reading(pool) as conn:
        rows = await conn.fetch(FOLLOWED, ledger_id, head)
    return tuple((row["position"], row["webhooks"]) for row in rows)


async def move(
    conn: Connection, ledger_id: int, webhooks: Sequence[WebhookId], *, after: Position, upto: Position
) -> tuple[Filter, ...]:
    """Move webhooks on; those that somebody else has moved meanwhile are not in the answer, nor those held."""
    rows = await conn.fetch(MOVE, ledger_id, list(webhooks), after, upto)
    return tuple(
        Filter(webhook=row["webhook_id"], topics=frozenset(row["topics"]), submitter=row["submitter"])
        for row in rows
    )


async def queue(conn: Connection, ledger_id: int, messages: Sequence[NewMessage], now: datetime) -> None:
    """Write messages down that are to be sent at once; one that is there already stays as it is."""
    await conn.execute(
        QUEUE,
        ledger_id,
        now,
        give_up_at(now),
        [one.message for one in messages],
        [one.webhook for one in messages],
        [one.position for one in messages],
        [one.topic for one in messages],
        [one.body for one in messages],
    )


async def lease(
    pool: Pool,
    ledger_id: int,
    owner: UUID,
    *,
    now: datetime,
    limit: int,
    at_once: int = AT_ONCE,
    seconds: float = LEASE_SECONDS,
) -> tuple[Leased, ...]:
    """Take up to ``limit`` messages that are due, ``at_once`` of each webhook; nobody else has them for ``seconds``.

    Raises:
        DatabaseUnreachable: the connection is lost, or none is free.
    """
    async with reading(pool) as conn, conn.transaction():
        await conn.execute(PLAN_ANEW)
        rows = await conn.fetch(LEASE, ledger_id, now, limit, at_once, OPENING_FAILURES, owner, seconds)
    return tuple(_leased(row, owner) for row in rows)


def _leased(row: asyncpg.Record, owner: UUID) -> Leased:
    has_previous = row["previous_secret"] is not None
    return Leased(
        message=row["message_id"],
        webhook=row["webhook_id"],
        topic=row["topic"],
        body=row["body"],
        attempts=row["attempts"],
        url=row["url"],
        secret=Sealed(row["secret"], row["key_id"]),
        previous=Sealed(row["previous_secret"], row["previous_key_id"]) if has_previous else None,
        previous_until=row["previous_until"],
        lease=owner,
        trace_id=row["trace_id"] or "",
    )


async def finish(conn: Connection, ledger_id: int, attempt: Attempt) -> Finished | None:
    """Write down what came of an attempt, in the caller's transaction; return how message and breaker stand.

    ``None``: somebody else has ended it, or it was removed, and nothing was written.
    """
    leased, outcome, now = attempt.leased, attempt.outcome, attempt.ended_at
    if outcome.is_delivered():
        row = await conn.fetchrow(DELIVERED, ledger_id, leased.message, now, outcome.status)
    else:
        wait = wait_after(leased.attempts + 1, retry_after=outcome.retry_after)
        due = None if wait is None else now + timedelta(seconds=wait)
        row = await conn.fetchrow(
            FAILED, ledger_id, leased.message, now, outcome.status, outcome.error, due, leased.lease
        )
    if row is None:
        return None
    await conn.execute(
        ATTEMPT,
        ledger_id,
        leased.message,
        row["tried"],
        attempt.began_at,
        attempt.milliseconds,
        outcome.status,
        outcome.error,
    )
    change = await breaker.tell(conn, ledger_id, leased.webhook, is_delivered=outcome.is_delivered(), now=now)
    return Finished(state=State(row["state"]), change=change)


async def give_back(pool: Pool, ledger_id: int, owner: UUID) -> None:
    """Let others send at once what this worker has leased and will not send."""
    async with reading(pool) as conn:
        await conn.execute(GIVE_BACK, ledger_id, owner)
