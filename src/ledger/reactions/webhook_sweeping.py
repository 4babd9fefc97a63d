"""What becomes of webhooks by the clock alone: messages are given up and forgotten, secrets sealed anew."""

from collections import Counter
from datetime import datetime
from typing import Final

import structlog

from ledger.reactions.sweeping import sweep_forever
from ledger.store.clocks import slower
from ledger.webhooks import deliveries, gauges
from ledger.webhooks.deliveries import SWEPT_AT_ONCE
from ledger.webhooks.secrets import reseal
from ledger.webhooks.webhooks import Webhooks

log = structlog.get_logger()

SWEEP_SECONDS: Final = 30.0


async def run_forever(hooks: Webhooks, *, every: float = SWEEP_SECONDS) -> None:
    """Sweep every so many seconds until cancelled.

    Messages are given up by two clocks: one that leaps ahead must not give up all there are.
    """

    async def once() -> None:
        await sweep(hooks, await slower(hooks.ledger, hooks.clock))

    await sweep_forever(once, every=every, failed="webhooks.sweep.failed")


async def sweep(hooks: Webhooks, now: datetime | None = None) -> None:
    """Give up what could not be sent in time by ``now``, forget what is long over, seal anew what earlier keys have sealed.

    Raises:
        Unavailable: the database cannot be reached.
    """
    ledger, now = hooks.ledger, now or hooks.clock()
    while await _give_up(hooks, now) >= SWEPT_AT_ONCE:
        pass
    while await deliveries.forget(ledger.pool, ledger.ledger_id, now) >= SWEPT_AT_ONCE:
        pass
    await reseal(hooks)


async def _give_up(hooks: Webhooks, now: datetime) -> int:
    given_up = await deliveries.give_up(hooks.ledger.pool, hooks.ledger.ledger_id, now)
    gauges.count_given_up(len(given_up))
    for webhook, count in Counter(one.webhook for one in given_up).items():
        log.warning("webhook.messages.given_up", webhook=webhook, count=count, error="postponed")
    return len(given_up)
