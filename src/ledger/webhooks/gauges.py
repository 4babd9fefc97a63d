"""The measures of webhooks: counted as they are sent, and taken from the database whenever somebody asks."""

from datetime import datetime
from typing import Final

import msgspec
from opentelemetry import metrics

from ledger.domain.errors import Unavailable
from ledger.limiting import breaker
from ledger.store.pool import Connection
from ledger.webhooks.sending import Outcome

GUARDS: Final = "webhook"

# $1 ledger, $2 now
STANDING: Final = """
select (select count(*) from work.webhook_messages where ledger_id = $1 and state = 'waiting') as waiting,
       (select count(*) from work.webhook_messages where ledger_id = $1 and state = 'dead') as dead,
       count(*) filter (where state = 'disabled') as disabled,
       count(*) filter (where state = 'active') as active,
       count(*) filter (where state = 'active' and open_until > $2) as resting,
       count(*) filter (where state = 'active' and open_until <= $2) as half_open
from work.webhooks where ledger_id = $1
"""

_meter = metrics.get_meter("ledger.webhooks")
_attempts = _meter.create_counter("ledger_webhook_attempts", description="Messages sent, by what came of it")
_given_up = _meter.create_counter("ledger_webhook_given_up", description="Messages that became dead letters")
_messages = _meter.create_gauge("ledger_webhook_messages", description="Messages that wait, and dead letters")
_held = _meter.create_gauge(
    "ledger_webhooks_not_sent_to", description="Webhooks that were disabled, or whose circuit breaker is open"
)


class Standings(msgspec.Struct, frozen=True, kw_only=True):
    """How all webhooks of a ledger stand: of those that are ``active`` the breaker of some rests or is half open."""

    waiting: int
    dead: int
    disabled: int
    active: int
    resting: int
    half_open: int


async def standings_of(conn: Connection, ledger_id: int, now: datetime) -> Standings:
    """Count messages and webhooks."""
    row = await conn.fetchrow(STANDING, ledger_id, now)
    if row is None:
        raise Unavailable
    return Standings(
        waiting=row["waiting"],
        dead=row["dead"],
        disabled=row["disabled"],
        active=row["active"],
        resting=row["resting"],
        half_open=row["half_open"],
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
    breaker.measure(
        GUARDS,
        closed=standings.active - standings.resting - standings.half_open,
        half_open=standings.half_open,
        opened=standings.resting,
    )
