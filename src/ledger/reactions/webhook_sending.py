"""Messages that are due are sent, side by side, each by one process at a time (``webhooks/queue.py``)."""

import asyncio
import time
from collections.abc import Sequence
from datetime import datetime
from typing import Final

import msgspec
import structlog
from opentelemetry.trace import SpanKind
from uuid_utils.compat import uuid7

from ledger.command_handler import handle
from ledger.domain.errors import LedgerError, Unavailable
from ledger.domain.ids import MessageId, WebhookId
from ledger.domain.webhook.commands import DisableWebhook
from ledger.domain.webhook.decide import WEBHOOK
from ledger.identity.identity import SYSTEM, writing
from ledger.limiting.breaker import BreakerState
from ledger.personal.opening import opened_json
from ledger.store.envelope import Provenance
from ledger.store.ledger import webhook_stream
from ledger.store.pool import Connection
from ledger.store.streams import new_command_id
from ledger.webhooks import gauges, queue, rows, secrets
from ledger.webhooks.breaker import Change
from ledger.webhooks.queue import Attempt, Leased, State
from ledger.webhooks.rows import Standing
from ledger.webhooks.secrets import UnreadableSigningSecret
from ledger.webhooks.sending import GONE, Outcome, Sender
from ledger.webhooks.signing import signed
from ledger.webhooks.webhooks import Webhooks

log = structlog.get_logger()

LOOK_EVERY: Final = 0.5
"""Seconds: how long it waits before it looks for itself, whatever it has heard."""
GIVE_BACK_SECONDS: Final = 3.0
IN_FLIGHT: Final = 32
"""How many messages one process sends side by side, not counting those that take long."""
SLOW_SECONDS: Final = 1.0
"""An attempt that takes longer gives its place to others: a receiver that hangs holds up nobody but itself."""
MOST_IN_FLIGHT: Final = 256
"""How many there may be in all: 64 webhooks that hang."""
WRITING_AT_ONCE: Final = 2
"""How many outcomes one process writes down side by side: many may end at one moment, and requests use that pool too."""


class _Sending(msgspec.Struct, frozen=True):
    task: asyncio.Task[None]
    began: float


class Courier:
    """One process's part in sending."""

    def __init__(
        self,
        hooks: Webhooks,
        sender: Sender | None = None,
        *,
        in_flight: int = IN_FLIGHT,
        slow_seconds: float = SLOW_SECONDS,
        lease_seconds: float = queue.LEASE_SECONDS,
    ) -> None:
        """Prepare to send through ``sender``, or by connections of its own."""
        self._hooks, self._ledger = hooks, hooks.ledger
        self._sender = sender or Sender(hooks.allowed)
        self._in_flight, self._slow, self._lease_seconds = in_flight, slow_seconds, lease_seconds
        self._owner = uuid7()
        self._sending: dict[MessageId, _Sending] = {}
        self._writing_turns = asyncio.Semaphore(WRITING_AT_ONCE)

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
                await due.wait_past(rings, LOOK_EVERY)
        finally:
            await self.stop()

    async def start_due(self) -> int:
        """Begin to send what is due, as far as there is room; return how many messages that are.

        Raises:
            DatabaseUnreachable: there is no connection to be had.
        """
        room = self._room()
        if room <= 0:
            return 0
        leased = await queue.lease(
            self._ledger.pool,
            self._ledger.ledger_id,
            self._owner,
            now=self._hooks.clock(),
            limit=room,
            seconds=self._lease_seconds,
        )
        for one in leased:
            if one.message not in self._sending:  # it is, when this process slept through its own lease
                self._start(one)
        return len(leased)

    async def settle(self) -> None:
        """Wait for everything that is on its way."""
        while self._sending:
            await asyncio.wait([one.task for one in self._sending.values()])

    async def stop(self) -> None:
        """Break off what is on its way, and let others have it at once."""
        sending = [one.task for one in self._sending.values()]
        for task in sending:
            task.cancel()
        await asyncio.gather(*sending, return_exceptions=True)
        await self._sender.close()
        try:
            async with asyncio.timeout(GIVE_BACK_SECONDS):
                await queue.give_back(self._ledger.pool, self._ledger.ledger_id, self._owner)
        except (Unavailable, TimeoutError) as lost:  # the leases run out by themselves
            log.warning("webhooks.leases.not_given_back", error=type(lost).__name__)

    def _room(self) -> int:
        """Count the places that are free: an attempt that takes long holds none, as long as there are not too many."""
        young = time.monotonic() - self._slow
        quick = sum(one.began >= young for one in self._sending.values())
        return min(self._in_flight - quick, MOST_IN_FLIGHT - len(self._sending))

    def _start(self, leased: Leased) -> None:
        task = asyncio.create_task(self._deliver(leased), name=f"webhook-{leased.message}")
        self._sending[leased.message] = _Sending(task, time.monotonic())
        task.add_done_callback(lambda done: self._ended(leased, done))

    def _ended(self, leased: Leased, task: asyncio.Task[None]) -> None:
        del self._sending[leased.message]
        self._hooks.due.ring()
        if not task.cancelled() and (fault := task.exception()) is not None:
            log.error("webhook.attempt.broken", message=leased.message, exc_info=fault)

    async def _deliver(self, leased: Leased) -> None:
        """Send once and write down what came of it, in the trace of the event that is told."""
        parent = leased.parent()
        if parent is None:
            await self._attempt(leased, ())
            return
        facts = {"ledger.webhook": str(leased.webhook), "ledger.message": str(leased.message)}
        follow = self._ledger.tracing.following
        with follow(parent, "deliver webhook", kind=SpanKind.CLIENT, facts=facts) as trail:
            outcome = await self._attempt(leased, (("traceparent", trail.traceparent(parent)),))
            trail.note("http.response.status_code", outcome.status or 0)
            if outcome.error is not None:
                trail.note("error.type", outcome.error)
                trail.fail()

    async def _attempt(self, leased: Leased, also: Sequence[tuple[str, str]]) -> Outcome:
        began_at, begun = self._hooks.clock(), time.monotonic()
        outcome = await self._send(leased, began_at, also)
        attempt = Attempt(
            leased=leased,
            outcome=outcome,
            began_at=began_at,
            ended_at=self._hooks.clock(),
            milliseconds=int((time.monotonic() - begun) * 1000),
        )
        try:
            await self._write_down(attempt)
        except LedgerError as failed:  # the lease runs out, and it is sent again
            log.warning("webhook.outcome.not_written", message=leased.message, code=failed.code)
        return outcome

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

    async def _write_down(self, attempt: Attempt) -> None:
        leased, outcome = attempt.leased, attempt.outcome
        async with self._writing_turns, writing(self._ledger.pool) as conn:
            finished = await queue.finish(conn, self._ledger.ledger_id, attempt)
        gauges.count_attempt(outcome)
        if finished is not None and finished.change is not None:
            _say_change(leased.webhook, finished.change)
        if finished is not None and finished.state is State.DEAD:
            gauges.count_given_up(1)
            log.warning(
                "webhook.message.given_up",
                webhook=leased.webhook,
                message=leased.message,
                error=outcome.error,
            )
        if outcome.status == GONE:
            await self._disable(leased.webhook)

    async def _disable(self, webhook: WebhookId) -> None:
        """Record that the receiver says it is gone; the message waits until somebody resumes the webhook."""

        async def hold_row(conn: Connection) -> None:
            await rows.hold(conn, self._ledger.ledger_id, webhook, Standing.DISABLED)

        await handle(
            self._ledger,
            WEBHOOK,
            webhook_stream(webhook),
            lambda facts: DisableWebhook(now=facts.now, status=GONE),
            clock=self._hooks.clock,
            provenance=Provenance(actor=SYSTEM, command_id=new_command_id()),
            alongside=hold_row,
        )
        log.warning("webhook.disabled", webhook=webhook, status=GONE)


def _say_change(webhook: WebhookId, change: Change) -> None:
    """Tell that a breaker has opened or closed, once each; by how much longer it rests after every probe is in its row."""
    if change.state is BreakerState.CLOSED:
        log.info("breaker.closed", breaker=gauges.GUARDS, webhook=webhook)
    elif change.is_first():
        log.warning(
            "breaker.opened",
            breaker=gauges.GUARDS,
            webhook=webhook,
            failures=change.failures,
            until=change.until,
        )
