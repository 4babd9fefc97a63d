"""Messages that are due are sent, side by side, each by one process at a time (``webhooks/queue.py``)."""

import asyncio
import time
from collections.abc import Sequence
from datetime import datetime
from functools import partial
from typing import Final

import structlog
from opentelemetry.trace import SpanKind
from uuid_utils.compat import uuid7

from ledger.command_handling.context import CommandContext
from ledger.command_handling.handler import handle
from ledger.domain.errors import LedgerError
from ledger.domain.ids import WebhookId
from ledger.domain.webhook.commands import DisableWebhook
from ledger.domain.webhook.decide import WEBHOOK
from ledger.identity.identity import SYSTEM, writing
from ledger.limiting.breaker import BreakerState
from ledger.personal.opening import opened_json
from ledger.store.envelope import Provenance
from ledger.store.ledger import webhook_stream
from ledger.store.pool import Connection, reading
from ledger.store.streams import new_command_id
from ledger.webhooks import gauges, queue, rows, secrets
from ledger.webhooks.breaker import Change, say_closed
from ledger.webhooks.outcomes import Attempt, Written, write_down
from ledger.webhooks.queue import Leased, State
from ledger.webhooks.rows import Standing
from ledger.webhooks.satchel import Batch, Satchel, Wish
from ledger.webhooks.secrets import UnreadableSigningSecret
from ledger.webhooks.sending import GONE, Outcome, Sender
from ledger.webhooks.signing import signed
from ledger.webhooks.webhooks import Webhooks

log = structlog.get_logger()

NOTHING_MORE: Final = Wish(limit=0, ahead=queue.NONE_AHEAD)
LOOK_EVERY: Final = 0.5
"""Seconds: how long it waits before it looks for itself, whatever it has heard."""
GATHER_SECONDS: Final = 0.1
"""From one look to the next at least: what arrives or falls due meanwhile costs one transaction, not one each."""
GIVE_BACK_SECONDS: Final = 3.0


class Courier:
    """One process's part in sending."""

    def __init__(
        self,
        hooks: Webhooks,
        sender: Sender | None = None,
        *,
        satchel: Satchel | None = None,
        lease_seconds: float = queue.LEASE_SECONDS,
    ) -> None:
        """Prepare to send through ``sender``, or by connections of its own."""
        self._hooks, self._ledger = hooks, hooks.ledger
        self._sender = sender or Sender(hooks.allowed)
        self._satchel, self._lease_seconds = satchel or Satchel(), lease_seconds
        self._owner = uuid7()
        self._tasks = set[asyncio.Task[Attempt]]()

    async def run_forever(self) -> None:
        """Send what is due, until cancelled; what is on its way then is sent again by whoever comes next."""
        due = self._hooks.due
        try:
            while True:
                rings = due.rings()
                try:
                    await self.start_due()
                except LedgerError as failed:
                    log.warning("webhooks.not_leased", code=failed.code)
                await asyncio.sleep(GATHER_SECONDS)
                await due.wait_past(rings, LOOK_EVERY)
        finally:
            await self.stop()

    async def start_due(self) -> int:
        """Write down what has ended and begin to send what is due, as far as there is room; return how many were taken.

        Raises:
            Unavailable: the database cannot be reached; what has ended is written down the next time.
        """
        batch = self._satchel.unwritten()
        wish = self._satchel.wish(batch)
        leased = await self._turn(batch, wish)
        return len(leased)

    async def rest(self) -> None:
        """Wait until everything that was taken has ended."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def settle(self) -> None:
        """Wait until everything that was taken has ended, and write down what came of it."""
        await self.rest()
        await self._turn(self._satchel.unwritten(), NOTHING_MORE)

    async def stop(self) -> None:
        """Break off what is on its way, write down what is not, and let others have the rest at once."""
        self._satchel.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._sender.close()
        try:
            async with asyncio.timeout(GIVE_BACK_SECONDS):
                await self._turn(self._satchel.unwritten(), NOTHING_MORE)
                async with reading(self._ledger.pool) as conn:
                    await queue.give_back(conn, self._ledger.ledger_id, self._owner)
        except (LedgerError, TimeoutError) as lost:  # the leases run out by themselves
            log.warning("webhooks.leases.not_given_back", error=type(lost).__name__)

    async def _turn(self, batch: Batch, wish: Wish) -> Sequence[Leased]:
        """Write down and lease, in one transaction, and begin to send; return what was leased."""
        if not (batch.ended or batch.returned or wish.limit):
            return ()
        since, now, ledger_id = time.monotonic(), self._hooks.clock(), self._ledger.ledger_id
        leased: Sequence[Leased] = ()
        async with writing(self._ledger.pool) as conn:
            await queue.plan_anew(conn)
            written = await write_down(conn, ledger_id, self._owner, batch.ended, now)
            if batch.returned:
                await queue.give_back(conn, ledger_id, self._owner, batch.returned)
            if wish.limit:
                leased = await queue.lease(
                    conn,
                    ledger_id,
                    self._owner,
                    now=now,
                    limit=wish.limit,
                    ahead=wish.ahead,
                    without=batch.gone(),
                    seconds=self._lease_seconds,
                )
        self._satchel.written(batch)
        self._satchel.put(leased, since=since)
        self._begin()
        await self._tell(batch, written)
        return leased

    def _begin(self) -> None:
        """Send what there is room for."""
        while (leased := self._satchel.begin()) is not None:
            task = asyncio.create_task(self._deliver(leased), name=f"webhook-{leased.message}")
            self._tasks.add(task)
            task.add_done_callback(partial(self._ended, leased))

    def _ended(self, leased: Leased, task: asyncio.Task[Attempt]) -> None:
        self._tasks.discard(task)
        if task.cancelled():
            self._satchel.end(leased, None)
            return
        fault = task.exception()
        self._satchel.end(leased, task.result() if fault is None else None)
        self._hooks.due.ring()
        if fault is not None:
            log.error("webhook.attempt.broken", message=leased.message, exc_info=fault)
        self._begin()

    async def _deliver(self, leased: Leased) -> Attempt:
        """Send once, in the trace of the event that is told."""
        parent = leased.parent()
        if parent is None:
            return await self._attempt(leased, ())
        facts = {"ledger.webhook": str(leased.webhook), "ledger.message": str(leased.message)}
        follow = self._ledger.tracing.following
        with follow(parent, "deliver webhook", kind=SpanKind.CLIENT, facts=facts) as trail:
            attempt = await self._attempt(leased, (("traceparent", trail.traceparent(parent)),))
            trail.note("http.response.status_code", attempt.outcome.status or 0)
            if attempt.outcome.error is not None:
                trail.note("error.type", attempt.outcome.error)
                trail.fail()
        return attempt

    async def _attempt(self, leased: Leased, also: Sequence[tuple[str, str]]) -> Attempt:
        began_at, begun = self._hooks.clock(), time.monotonic()
        outcome = await self._send(leased, began_at, also)
        return Attempt(
            leased=leased,
            outcome=outcome,
            began_at=began_at,
            ended_at=self._hooks.clock(),
            milliseconds=int((time.monotonic() - begun) * 1000),
        )

    async def _send(self, leased: Leased, now: datetime, also: Sequence[tuple[str, str]]) -> Outcome:
        try:
            signing = secrets.signing(self._hooks, leased, now)
        except UnreadableSigningSecret as unreadable:
            log.warning("webhook.secret.unreadable", webhook=leased.webhook)
            return Outcome(status=None, error=unreadable.code)
        body = await opened_json(
            self._hooks, leased.body
        )  # not where it was queued: an erasure counts at once
        headers = (*signed(signing, leased.message, at=now, body=body), *also)
        return await self._sender.post(leased.url, headers, body, now=now)

    async def _tell(self, batch: Batch, written: Written) -> None:
        """Count and log what was written down, and disable whoever is gone."""
        for one in batch.ended:
            gauges.count_attempt(one.outcome)
            if written.states.get(one.leased.message) is State.DEAD:
                _say_given_up(one)
        for change in written.changes:
            _say_change(change)
        for webhook in batch.gone():
            try:
                await self._disable(webhook)
            except LedgerError as failed:  # its messages are tried again, and it says so again
                log.warning("webhook.not_disabled", webhook=webhook, code=failed.code)

    async def _disable(self, webhook: WebhookId) -> None:
        """Record that the receiver says it is gone; the message waits until somebody resumes the webhook."""

        async def hold_row(conn: Connection) -> None:
            await rows.hold(conn, self._ledger.ledger_id, webhook, Standing.DISABLED)

        await handle(
            self._ledger,
            CommandContext(
                decider=WEBHOOK,
                target=webhook_stream(webhook),
                clock=self._hooks.clock,
                provenance=Provenance(actor=SYSTEM, command_id=new_command_id()),
            ),
            lambda facts: DisableWebhook(now=facts.now, status=GONE),
            alongside=hold_row,
        )
        log.warning("webhook.disabled", webhook=webhook, status=GONE)


def _say_given_up(attempt: Attempt) -> None:
    gauges.count_given_up(1)
    log.warning(
        "webhook.message.given_up",
        webhook=attempt.leased.webhook,
        message=attempt.leased.message,
        error=attempt.outcome.error,
    )


def _say_change(change: Change) -> None:
    """Tell that a breaker has opened or closed, once each; by how much longer it rests after every probe is in its row."""
    if change.state is BreakerState.CLOSED:
        say_closed(change.webhook)
    elif change.is_first():
        log.warning(
            "breaker.opened",
            breaker=gauges.GUARDS,
            webhook=change.webhook,
            failures=change.failures,
            until=change.until,
        )
