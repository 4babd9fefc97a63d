"""Webhooks as they are stored: what the log does not say of them, and how far each has come."""

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import Final
from uuid import UUID

import asyncpg
import msgspec

from ledger.domain.ids import PersonId, Position, WebhookId
from ledger.store.pool import Connection, Pool, reading

# It begins behind what is in the log when it is registered; the event of its registration comes later still.
# $1 ledger, $2 webhook, $3 url, $4 description, $5 salt, $6 topics, $7 submitter, $8 sealed secret, $9 key id, $10 now
INSERT: Final = """
insert into work.webhooks (
    ledger_id, webhook_id, url, description, salt, topics, submitter, state, secret, key_id, created_at, position)
select $1, $2, $3, $4, $5, $6, $7, 'active', $8, $9, $10, coalesce(max(position), 0)
from ledger.events where ledger_id = $1
"""
# Joined with itself: the row as it was tells whether a rest is ended by this.
# $1 ledger, $2 webhook, $3 url, $4 description, $5 topics, $6 submitter
CHANGE: Final = """
update work.webhooks w
set url = $3, description = $4, topics = $5, submitter = $6, failures = 0, open_until = null
from work.webhooks before
where w.ledger_id = $1 and w.webhook_id = $2 and before.ledger_id = $1 and before.webhook_id = $2
returning before.open_until is not null as was_open
"""
# $1 ledger, $2 webhook, $3 state
HOLD: Final = "update work.webhooks set state = $3 where ledger_id = $1 and webhook_id = $2"
# As above.
# $1 ledger, $2 webhook, $3 begin behind what is in the log now
RESUME: Final = """
update work.webhooks as w
set state = 'active', failures = 0, open_until = null,
    position = case when $3 then (select coalesce(max(position), 0) from ledger.events where ledger_id = $1)
               else w.position end
from work.webhooks before
where w.ledger_id = $1 and w.webhook_id = $2 and before.ledger_id = $1 and before.webhook_id = $2
returning before.open_until is not null as was_open
"""
# $1 ledger, $2 webhook, $3 sealed secret, $4 key id, $5 until when the present one signs too
ROTATE: Final = """
update work.webhooks
set previous_secret = secret, previous_key_id = key_id, previous_until = $5, secret = $3, key_id = $4
where ledger_id = $1 and webhook_id = $2
"""
# $1 ledger, $2 webhook
REMOVE: Final = "delete from work.webhooks where ledger_id = $1 and webhook_id = $2"
# $1 ledger, $2 webhook (null: all of them)
LIST: Final = """
select w.webhook_id, w.url, w.description, w.salt, w.topics, w.submitter, w.state, w.secret, w.key_id,
       w.previous_secret, w.previous_key_id, w.previous_until, w.created_at, w.position, w.failures, w.open_until,
       counted.waiting, counted.dead
from work.webhooks w
cross join lateral (
    select count(*) filter (where m.state = 'waiting') as waiting, count(*) filter (where m.state = 'dead') as dead
    from work.webhook_messages m
    where m.ledger_id = $1 and m.webhook_id = w.webhook_id and m.state in ('waiting', 'dead')
) counted
where w.ledger_id = $1 and ($2::uuid is null or w.webhook_id = $2)
order by w.created_at, w.webhook_id
"""
# $1 ledger, $2 ids of the keys, $3 now
SEALED_BY: Final = """
select webhook_id, secret, key_id,
       case when previous_until > $3 then previous_secret end as previous_secret, previous_key_id
from work.webhooks where ledger_id = $1 and (key_id = any($2) or previous_key_id = any($2))
"""
# $1 ledger, $2 webhook, $3 secret as it was sealed, $4 sealed anew, $5 the previous one sealed anew, $6 their key id
RESEAL: Final = """
update work.webhooks
set secret = $4, key_id = $6, previous_secret = $5,
    previous_key_id = case when $5::bytea is not null then $6 end,
    previous_until = case when $5::bytea is not null then previous_until end
where ledger_id = $1 and webhook_id = $2 and secret = $3
"""


class Standing(StrEnum):
    """Whether it is sent to; wire values."""

    ACTIVE = "active"
    PAUSED = "paused"
    DISABLED = "disabled"


class Sealed(msgspec.Struct, frozen=True):
    """A secret as it is stored, and the key that opens it."""

    secret: bytes
    key_id: str


class Webhook(msgspec.Struct, frozen=True, kw_only=True):
    """A row, with the number of its messages that wait and of those given up.

    ``previous`` signs too until ``previous_until``; nothing is sent before ``open_until``.
    """

    webhook: WebhookId
    url: str
    description: str
    salt: bytes
    topics: tuple[str, ...]
    submitter: PersonId | None
    standing: Standing
    secret: Sealed
    previous: Sealed | None
    previous_until: datetime | None
    created_at: datetime
    position: Position
    failures: int
    open_until: datetime | None
    waiting: int
    dead: int

    def resting_until(self, now: datetime) -> datetime | None:
        """Say until when nothing is sent, because too much has failed in a row; ``None``: it may be sent."""
        return self.open_until if self.open_until is not None and self.open_until > now else None


class NewWebhook(msgspec.Struct, frozen=True, kw_only=True):
    """What is written down of a new one."""

    webhook: WebhookId
    url: str
    description: str
    salt: bytes
    topics: tuple[str, ...]
    submitter: PersonId | None
    secret: Sealed


async def insert(conn: Connection, ledger_id: int, new: NewWebhook, now: datetime) -> None:
    """Write a webhook down, in the transaction that registers it."""
    await conn.execute(
        INSERT,
        ledger_id,
        new.webhook,
        new.url,
        new.description,
        new.salt,
        new.topics,
        new.submitter,
        new.secret.secret,
        new.secret.key_id,
        now,
    )


async def change(
    conn: Connection,
    ledger_id: int,
    webhook: WebhookId,
    *,
    url: str,
    description: str,
    topics: Sequence[str],
    submitter: PersonId | None,
) -> bool:
    """Write other terms down; what waits goes to the new URL, at once if the old one did not answer.

    Returns:
        Whether that ends a rest.
    """
    return bool(await conn.fetchval(CHANGE, ledger_id, webhook, url, description, list(topics), submitter))


async def hold(conn: Connection, ledger_id: int, webhook: WebhookId, standing: Standing) -> None:
    """Have nothing sent."""
    await conn.execute(HOLD, ledger_id, webhook, standing.value)


async def resume(conn: Connection, ledger_id: int, webhook: WebhookId, *, skips_missed: bool) -> bool:
    """Have it sent to again, from where it stopped or from now on; say whether that ends a rest."""
    return bool(await conn.fetchval(RESUME, ledger_id, webhook, skips_missed))


async def rotate(
    conn: Connection, ledger_id: int, webhook: WebhookId, secret: Sealed, *, overlap_until: datetime
) -> None:
    """Put another secret in the place of the present one, which becomes the previous one."""
    await conn.execute(ROTATE, ledger_id, webhook, secret.secret, secret.key_id, overlap_until)


async def remove(conn: Connection, ledger_id: int, webhook: WebhookId) -> None:
    """Delete it, with its secrets and its messages."""
    await conn.execute(REMOVE, ledger_id, webhook)


async def every(pool: Pool, ledger_id: int) -> tuple[Webhook, ...]:
    """Read all webhooks, the oldest first."""
    async with reading(pool) as conn:
        return tuple(_webhook(row) for row in await conn.fetch(LIST, ledger_id, None))


async def find(pool: Pool, ledger_id: int, webhook: UUID) -> Webhook | None:
    """Read one; ``None``: there is none, or none any more."""
    async with reading(pool) as conn:
        row = await conn.fetchrow(LIST, ledger_id, webhook)
    return None if row is None else _webhook(row)


def _webhook(row: asyncpg.Record) -> Webhook:
    has_previous = row["previous_secret"] is not None
    return Webhook(
        webhook=row["webhook_id"],
        url=row["url"],
        description=row["description"],
        salt=row["salt"],
        topics=tuple(row["topics"]),
        submitter=row["submitter"],
        standing=Standing(row["state"]),
        secret=Sealed(row["secret"], row["key_id"]),
        previous=Sealed(row["previous_secret"], row["previous_key_id"]) if has_previous else None,
        previous_until=row["previous_until"],
        created_at=row["created_at"],
        position=row["position"],
        failures=row["failures"],
        open_until=row["open_until"],
        waiting=row["waiting"],
        dead=row["dead"],
    )
