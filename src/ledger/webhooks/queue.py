"""Messages on their way: queued as the log is followed, leased to one worker at a time, ended or tried again.

Theory. A message is a row, and its id is made of webhook and event: it is queued once however often the log is read,
and every attempt carries the same id. A worker leases what is due before it sends, and writes down what came of it
afterwards; one that is killed in between leaves the lease to run out, and another sends the message again. So a
message is sent at least once, and never by two workers at the same time.

Messages of one webhook are sent side by side and so in no particular order. A webhook whose breaker is open is passed
over, which counts as no attempt; when its rest is over, one message is sent to see whether the receiver is back.

A worker may lease more messages of a webhook than it sends at once, to send them one after the other (ADR 0040), but only
those of a receiver that takes what it gets, and only where no other worker has some: so no more are on their way than the
receiver was told. Of two workers who meet at one webhook that is busy the later one stays, and the other keeps away.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import Final
from uuid import UUID, uuid5

import asyncpg
import msgspec

from ledger.domain.ids import MessageId, PersonId, Position, WebhookId
from ledger.store.pool import Connection, Pool, reading
from ledger.tracing import Parent, span_id_of
from ledger.webhooks.rows import Sealed
from ledger.webhooks.schedule import GIVE_UP_DAYS, OPENING_FAILURES

LEASE_SECONDS: Final = 60.0
"""Three times as long as an attempt may take."""
AT_ONCE: Final = 4
"""How many messages of one webhook are sent side by side, by all workers together."""
NONE_AHEAD: Final[Mapping[WebhookId, int]] = MappingProxyType({})

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
# Whoever has the least on its way comes first, so that many that hang do not go before one that does not.
# "rival": a later worker has leased some within the last second, and is about to lease more.
# $1 ledger, $2 now, $3 at most so many in all, $4 and of one webhook, $5 failures at which a breaker is open,
# $6 lease, $7 seconds it lasts, $8 webhooks of which more are leased ahead, $9 so many of each, $10 webhooks to pass over
LEASE: Final = """
with ready as materialized (
    select w.webhook_id, w.failures, coalesce(a.ahead, 0) as ahead
    from work.webhooks w
    left join unnest($8::uuid[], $9::integer[]) as a(webhook_id, ahead) on a.webhook_id = w.webhook_id
    where w.ledger_id = $1 and w.state = 'active' and (w.open_until is null or w.open_until <= $2)
      and w.webhook_id <> all($10::uuid[])
      and exists (
        select from work.webhook_messages m
        where m.ledger_id = $1 and m.webhook_id = w.webhook_id and m.state = 'waiting' and m.due_at <= $2
          and (m.leased_until is null or m.leased_until <= clock_timestamp()))
    for no key update of w skip locked
), room as (
    select r.webhook_id, case
        when r.failures >= $5 then 1
        when held.by_rival > 0 then 0
        when r.failures > 0 or held.by_others > 0 then $4::integer
        else $4::integer + r.ahead end - held.by_all as places, held.by_all
    from ready r cross join lateral (
        select count(*) as by_all, count(*) filter (where m.lease <> $6) as by_others, count(*) filter (
            where m.lease > $6 and m.leased_until > clock_timestamp() + make_interval(secs => $7 - 1)) as by_rival
        from work.webhook_messages m
        where m.ledger_id = $1 and m.webhook_id = r.webhook_id and m.lease is not null
          and m.leased_until > clock_timestamp()) held
), turns as (
    select due.message_id, due.due_at,
           room.by_all + row_number() over (partition by room.webhook_id order by due.due_at) as turn
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
# $1 ledger, $2 lease, $3 messages (null: all of them)
GIVE_BACK: Final = """
update work.webhook_messages set lease = null, leased_until = null
where ledger_id = $1 and state = 'waiting' and lease = $2 and ($3::uuid[] is null or message_id = any($3))
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


async def plan_anew(conn: Connection) -> None:
    """Have what follows in the caller's transaction planned by how many messages there are now."""
    await conn.execute(PLAN_ANEW)


async def lease(
    conn: Connection,
    ledger_id: int,
    owner: UUID,
    *,
    now: datetime,
    limit: int,
    ahead: Mapping[WebhookId, int] = NONE_AHEAD,
    without: Collection[WebhookId] = (),
    seconds: float = LEASE_SECONDS,
) -> tuple[Leased, ...]:
    """Take up to ``limit`` messages that are due, in the caller's transaction; nobody else has them for ``seconds``.

    Of each webhook four at most, by all workers together, and so many more as it has ``ahead`` if only this worker has
    some; of those named in ``without`` none.
    """
    rows = await conn.fetch(
        LEASE,
        ledger_id,
        now,
        limit,
        AT_ONCE,
        OPENING_FAILURES,
        owner,
        seconds,
        list(ahead),
        list(ahead.values()),
        list(without),
    )
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


async def give_back(
    conn: Connection, ledger_id: int, owner: UUID, messages: Sequence[MessageId] | None = None
) -> None:
    """Let others send at once what this worker has leased and will not send: these, or all (``None``)."""
    await conn.execute(GIVE_BACK, ledger_id, owner, messages)
