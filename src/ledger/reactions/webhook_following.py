"""Webhooks are told of what happens: messages are queued as the log grows.

Any number of processes may do this. A webhook's position moves in the transaction that writes its messages, and
only from where it was when the log was read, so that each event is queued once and none is passed over.
"""

import asyncio
import time
from collections.abc import Sequence
from typing import Final

import structlog

from ledger.delivery.notices import read_notices
from ledger.domain.errors import LedgerError
from ledger.domain.ids import Position, WebhookId
from ledger.identity.identity import writing
from ledger.tracing import span_id_of
from ledger.webhooks import queue
from ledger.webhooks.messages import messages_for
from ledger.webhooks.naming import named_still
from ledger.webhooks.webhooks import Webhooks

log = structlog.get_logger()

LOOK_EVERY: Final = 0.5
"""Seconds: how long it waits before it looks for itself, whatever it has heard."""
GATHER_SECONDS: Final = 0.1
"""From one look to the next at least: a busy log is read in pages, each of them one transaction, not event by event."""


async def run_forever(hooks: Webhooks) -> None:
    """Queue messages until cancelled; what cannot be queued now is queued later."""
    appended = hooks.ledger.appended
    while True:
        rings = appended.rings()
        try:
            while await follow(hooks):
                hooks.due.ring()
        except LedgerError as failed:
            log.warning("webhooks.not_followed", code=failed.code)
        await asyncio.sleep(GATHER_SECONDS)
        await appended.wait_past(rings, LOOK_EVERY)


async def follow(hooks: Webhooks) -> bool:
    """Queue messages of one page of the log for every webhook that is behind; ``False``: none is.

    Raises:
        Unavailable: the database cannot be reached.
    """
    ledger = hooks.ledger
    behind = await queue.followers(ledger.pool, ledger.ledger_id, await ledger.head())
    for after, webhooks in behind:
        await _queue_page(hooks, webhooks, after)
    return bool(behind)


async def _queue_page(hooks: Webhooks, webhooks: Sequence[WebhookId], after: Position) -> None:
    ledger, began = hooks.ledger, time.time_ns()
    page = await read_notices(ledger, after=after)
    async with writing(ledger.pool) as conn:
        moved = await queue.move(conn, ledger.ledger_id, webhooks, after=after, upto=page.after)
        notices = await named_still(conn, ledger.ledger_id, page.notices) if moved else ()
        messages = [one for wanted in moved for one in messages_for(wanted, notices)]
        if messages:
            await queue.queue(conn, ledger.ledger_id, messages, hooks.clock())
    for one in messages:
        if one.parent is not None:
            facts = {"ledger.webhook": str(one.webhook), "ledger.message": str(one.message)}
            span_id = span_id_of(one.message)  # of which whoever sends it makes theirs a part
            ledger.tracing.record("queue webhook", one.parent, span_id=span_id, began=began, facts=facts)
