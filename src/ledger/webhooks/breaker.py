"""The circuit breaker of a webhook: two columns of its row, which all processes share and which outlive them.

Closed: fewer failures in a row than open it. Open: until its moment nothing is leased. Half open: that moment is over,
and one message is leased to see, by whichever process comes first (``queue.LEASE``).
"""

from datetime import datetime
from typing import Final

import msgspec

from ledger.domain.ids import WebhookId
from ledger.limiting.breaker import BreakerState
from ledger.store.pool import Connection
from ledger.webhooks.schedule import FIRST_REST, LONGEST_REST, OPENING_FAILURES

# Joined with itself: the row as it was tells whether a breaker was closed by this.
# $1 ledger, $2 webhook
CLOSE: Final = """
update work.webhooks w set failures = 0, open_until = null
from work.webhooks before
where w.ledger_id = $1 and w.webhook_id = $2 and (w.failures > 0 or w.open_until is not null)
  and before.ledger_id = $1 and before.webhook_id = w.webhook_id
returning before.open_until is not null as was_open
"""
# What fails while the breaker is open was on its way before: it says nothing new.
# $1 ledger, $2 webhook, $3 now, $4 failures that open, $5 first rest, $6 longest rest
COUNT_FAILURE: Final = """
update work.webhooks
set failures = failures + 1,
    open_until = case when failures + 1 >= $4
        then $3::timestamptz + make_interval(secs => least($6, $5 * power(2, least(failures + 1 - $4, 20)))) end
where ledger_id = $1 and webhook_id = $2 and (open_until is null or open_until <= $3)
returning failures, open_until
"""


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a breaker; ``until`` when it rests, ``failures`` in a row so far."""

    state: BreakerState
    failures: int = 0
    until: datetime | None = None

    def is_first(self) -> bool:
        """Tell whether it was closed before: what is said once."""
        return self.failures <= OPENING_FAILURES


async def tell(
    conn: Connection, ledger_id: int, webhook: WebhookId, *, is_delivered: bool, now: datetime
) -> Change | None:
    """Tell a breaker what came of an attempt, in the caller's transaction; ``None``: it stands as before."""
    if is_delivered:
        was_open = await conn.fetchval(CLOSE, ledger_id, webhook)
        return Change(state=BreakerState.CLOSED) if was_open else None
    row = await conn.fetchrow(
        COUNT_FAILURE, ledger_id, webhook, now, OPENING_FAILURES, FIRST_REST, LONGEST_REST
    )
    if row is None or row["open_until"] is None:
        return None
    return Change(state=BreakerState.OPEN, failures=row["failures"], until=row["open_until"])
