"""The measures of webhooks: counted as they are sent, and taken from the database whenever somebody asks."""

from datetime import datetime
from typing import Final

import msgspec
from opentelemetry import metrics

from ledger.domain.errors import Unavailable
from ledger.store.pool import Connection
from ledger.webhooks.sending import Outcome

# $1 ledger, $2 now
STANDING: Final = """
select (select count(*) from work.webhook_messages where ledger_id = $1 and state = 'waiting') as waiting,
       (select count(*) from work.webhook_messages where ledger_id = $1 and state = 'dead') as dead,
       (select count(*) from work.webhooks where ledger_id = $1 and state = 'disabled') as disabled,
       (select count(*) from work.webhooks where ledger_id = $1 and state = 'active' and open_until > $2) as resting
"""

_meter = metrics.get_meter("ledger.webhooks")
_attempts = _meter.create_counter("ledger_webhook_attempts", description="Messages sent, by what came of it")
_given_up = _meter.create_counter("ledger_webhook_given_up", description="Messages that became dead letters")
_messages = _meter.create_gauge("ledger_webhook_messages", description="Messages that wait, and dead letters")
_held = _meter.create_gauge(
    "ledger_webhooks_not_sent_to", description="Webhooks that were disabled, or whose circuit breaker is open"
)


class Standings(msgspec.Struct, frozen=True, kw_only=True):
    """How all webhooks of a ledger stand."""

    waiting: int
    dead: int
    disabled: int
    resting: int


async def standings_of(conn: Connection, ledger_id: int, now: datetime) -> Standings:
    """Count messages and webhooks."""
    row = await conn.fetchrow(STANDING, ledger_id, now)
    if row is None:
        raise Unavailable
    return Standings(
        waiting=row["waiting"], dead=row["dead"], disabled=row["disabled"], resting=row["resting"]
    )


def count_attempt(outcome: Outcome) -> None:
    """Count one attempt."""
    _attempts.add(1, {"outcome": "delivered" if outcome.is_delivered() else "failed"})


def count_given_up(count: int) -> None:
    """Count dead letters."""
    if count:
        _given_up.add(count)


def measure(standings: Standings) -> None:
    """Set every gauge."""
    _messages.set(standings.waiting, {"state": "waiting"})
    _messages.set(standings.dead, {"state": "dead"})
    _held.set(standings.disabled, {"cause": "disabled"})
    _held.set(standings.resting, {"cause": "breaker"})
