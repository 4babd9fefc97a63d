"""What came of attempts, written down for many messages at once."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import msgspec

from ledger.domain.ids import MessageId
from ledger.store.pool import Connection
from ledger.webhooks import breaker
from ledger.webhooks.breaker import Change, Told
from ledger.webhooks.queue import Leased, State
from ledger.webhooks.schedule import wait_after
from ledger.webhooks.sending import Outcome

# What has arrived has arrived, whoever holds the lease by now; what failed says something to whoever holds it alone.
# $1 ledger, $2 lease; arrays, an attempt each: $3 message, $4 began at, $5 ended at, $6 milliseconds, $7 status,
# $8 error (null: it arrived), $9 when it is due again (null: never)
END: Final = """
with told as (
    select t.message_id, t.began_at, t.ended_at, t.milliseconds, t.status, t.error, t.due_at
    from unnest($3::uuid[], $4::timestamptz[], $5::timestamptz[], $6::integer[], $7::integer[], $8::text[],
                $9::timestamptz[]) as t(message_id, began_at, ended_at, milliseconds, status, error, due_at)
), ended as (
    update work.webhook_messages m
    set state = case when t.error is null then 'delivered' when t.due_at is null then 'dead' else 'waiting' end,
        body = case when t.error is not null then m.body end,
        ended_at = case when t.error is null or t.due_at is null then t.ended_at end,
        due_at = coalesce(t.due_at, m.due_at), attempts = m.attempts + 1, tried = m.tried + 1,
        lease = null, leased_until = null,
        last_attempt_at = t.ended_at, last_status = t.status, last_error = t.error
    from told t
    where m.ledger_id = $1 and m.message_id = t.message_id and m.state = 'waiting'
      and (t.error is null or m.lease = $2)
    returning m.message_id, m.tried, m.state, t.began_at, t.milliseconds, t.status, t.error
), noted as (
    insert into work.webhook_attempts (ledger_id, message_id, number, began_at, milliseconds, status, error)
    select $1, message_id, tried, began_at, milliseconds, status, error from ended
)
select message_id, state from ended
"""


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt and what came of it."""

    leased: Leased
    outcome: Outcome
    began_at: datetime
    ended_at: datetime
    milliseconds: int

    def due_again(self) -> datetime | None:
        """Say when it is to be tried again; ``None``: it has arrived, or was tried often enough."""
        if self.outcome.is_delivered():
            return None
        wait = wait_after(self.leased.attempts + 1, retry_after=self.outcome.retry_after)
        return None if wait is None else self.ended_at + timedelta(seconds=wait)


class Written(msgspec.Struct, frozen=True, kw_only=True):
    """What attempts have changed: messages stand so, and breakers have changed so.

    A message that somebody else has ended, or that was removed, is not among them.
    """

    states: Mapping[MessageId, State]
    changes: tuple[Change, ...]


async def write_down(
    conn: Connection, ledger_id: int, lease: UUID, attempts: Sequence[Attempt], now: datetime
) -> Written:
    """Write down what came of attempts, in the order in which they ended, in the caller's transaction."""
    if not attempts:
        return Written(states={}, changes=())
    rows = await conn.fetch(
        END,
        ledger_id,
        lease,
        [one.leased.message for one in attempts],
        [one.began_at for one in attempts],
        [one.ended_at for one in attempts],
        [one.milliseconds for one in attempts],
        [one.outcome.status for one in attempts],
        [one.outcome.error for one in attempts],
        [one.due_again() for one in attempts],
    )
    states = {MessageId(row["message_id"]): State(row["state"]) for row in rows}
    told = [
        Told(one.leased.webhook, one.outcome.is_delivered())
        for one in attempts
        if one.leased.message in states
    ]
    return Written(states=states, changes=await breaker.tell(conn, ledger_id, told, now=now))
