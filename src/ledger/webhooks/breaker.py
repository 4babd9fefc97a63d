"""The circuit breaker of a webhook: two columns of its row, which all processes share and which outlive them.

Closed: fewer failures in a row than open it. Open: until its moment nothing is leased. Half open: that moment is over,
and one message is leased to see, by whichever process comes first (``queue.LEASE``).
"""

from collections import Counter
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Final

import msgspec
import structlog

from ledger.domain.ids import WebhookId
from ledger.limiting.breaker import BreakerState
from ledger.store.pool import Connection
from ledger.webhooks.gauges import GUARDS
from ledger.webhooks.schedule import FIRST_REST, LONGEST_REST, OPENING_FAILURES

log = structlog.get_logger()

# Joined with itself: the row as it was tells whether a breaker was closed by this.
# $1 ledger, $2 webhooks
CLOSE: Final = """
update work.webhooks w set failures = 0, open_until = null
from work.webhooks before
where w.ledger_id = $1 and w.webhook_id = any($2) and (w.failures > 0 or w.open_until is not null)
  and before.ledger_id = $1 and before.webhook_id = w.webhook_id
returning w.webhook_id, before.open_until is not null as was_open
"""
# What fails while the breaker is open was on its way before, as were those that failed beside the one that opens it:
# they say nothing new.
# $1 ledger, $2 now, $3 failures that open, $4 first rest, $5 longest rest, $6 webhooks, $7 failures of each
COUNT_FAILURES: Final = """
update work.webhooks w
set failures = greatest(w.failures + 1, least(w.failures + f.count, $3)),
    open_until = case when w.failures + f.count >= $3 then $2::timestamptz + make_interval(
        secs => least($5, $4 * power(2, least(greatest(w.failures + 1 - $3, 0), 20)))) end
from unnest($6::uuid[], $7::integer[]) as f(webhook_id, count)
where w.ledger_id = $1 and w.webhook_id = f.webhook_id and (w.open_until is null or w.open_until <= $2)
returning w.webhook_id, w.failures, w.open_until
"""


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a breaker; ``until`` when it rests, ``failures`` in a row so far."""

    webhook: WebhookId
    state: BreakerState
    failures: int = 0
    until: datetime | None = None

    def is_first(self) -> bool:
        """Tell whether it was closed before: what is said once."""
        return self.failures <= OPENING_FAILURES


class Told(msgspec.Struct, frozen=True):
    """What came of one attempt."""

    webhook: WebhookId
    is_delivered: bool


async def tell(
    conn: Connection, ledger_id: int, told: Sequence[Told], *, now: datetime
) -> tuple[Change, ...]:
    """Tell breakers what came of attempts in their order, in the caller's transaction; return what changed by it."""
    return (
        *await _close(conn, ledger_id, {one.webhook for one in told if one.is_delivered}),
        *await _count(conn, ledger_id, failures_in_a_row(told), now),
    )


def say_closed(webhook: WebhookId) -> None:
    """Write to the log that a webhook is sent to again, once that is committed."""
    log.info("breaker.closed", breaker=GUARDS, webhook=webhook)


def failures_in_a_row(told: Sequence[Told]) -> Counter[WebhookId]:
    """Count for each webhook the attempts that failed after the last one that did not."""
    failures = Counter[WebhookId]()
    for one in told:
        if one.is_delivered:
            failures.pop(one.webhook, None)
        else:
            failures[one.webhook] += 1
    return failures


async def _close(conn: Connection, ledger_id: int, webhooks: Collection[WebhookId]) -> list[Change]:
    rows = await conn.fetch(CLOSE, ledger_id, sorted(webhooks)) if webhooks else []
    return [Change(webhook=row["webhook_id"], state=BreakerState.CLOSED) for row in rows if row["was_open"]]


async def _count(
    conn: Connection, ledger_id: int, failures: Counter[WebhookId], now: datetime
) -> list[Change]:
    if not failures:
        return []
    webhooks = sorted(failures)
    rows = await conn.fetch(
        COUNT_FAILURES,
        ledger_id,
        now,
        OPENING_FAILURES,
        FIRST_REST,
        LONGEST_REST,
        webhooks,
        [failures[one] for one in webhooks],
    )
    return [
        Change(
            webhook=row["webhook_id"],
            state=BreakerState.OPEN,
            failures=row["failures"],
            until=row["open_until"],
        )
        for row in rows
        if row["open_until"] is not None
    ]
