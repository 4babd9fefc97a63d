"""Webhooks for tests: ``await registered(hooks, receiver.url)``, ``await submitted(hooks, "CASE-1")``."""

import msgspec

from ledger.command_handling.context import CommandContext
from ledger.command_handling.handler import handle
from ledger.domain.decision.decide import DECISION
from ledger.domain.ids import DecisionId, PersonId, WebhookId
from ledger.identity.actor import Actor
from ledger.identity.identity import OPERATOR
from ledger.reactions import webhook_following
from ledger.reactions.webhook_sending import Courier
from ledger.store.envelope import Provenance
from ledger.store.streams import new_command_id
from ledger.webhooks import administering, deliveries, rows
from ledger.webhooks.administering import Issued, Wanted
from ledger.webhooks.deliveries import Delivery
from ledger.webhooks.queue import State
from ledger.webhooks.rows import Webhook
from ledger.webhooks.satchel import Satchel
from ledger.webhooks.sending import Sender
from ledger.webhooks.targets import target_of
from ledger.webhooks.webhooks import Webhooks
from tests.builders import ENGINE, submit

HANG_GUARD = 60.0


def operator() -> Actor:
    return Actor(principal=None, provenance=Provenance(actor=OPERATOR, command_id=new_command_id()))


def wanted(
    hooks: Webhooks, url: str, *, topics: tuple[str, ...] = (), submitter: PersonId | None = None
) -> Wanted:
    return Wanted(
        target=target_of(url, hooks.allowed), description="a test", topics=topics, submitter=submitter
    )


async def registered(
    hooks: Webhooks, url: str, *, topics: tuple[str, ...] = (), submitter: PersonId | None = None
) -> Issued:
    return await administering.register(
        hooks, wanted(hooks, url, topics=topics, submitter=submitter), operator()
    )


async def submitted(hooks: Webhooks, *names: str, by: PersonId = ENGINE) -> None:
    for name in names:
        await handle(
            hooks.ledger,
            CommandContext(
                decider=DECISION,
                target=hooks.ledger.decision_stream(DecisionId(name)),
                clock=hooks.clock,
                provenance=Provenance(actor=str(by), command_id=new_command_id()),
            ),
            lambda facts, name=name: msgspec.structs.replace(
                submit(by=by), decision_id=DecisionId(name), now=facts.now
            ),
        )


async def followed(hooks: Webhooks) -> None:
    """Queue whatever there is to be told."""
    while await webhook_following.follow(hooks):
        pass


def courier(hooks: Webhooks, *, sender: Sender | None = None, lease_seconds: float = 60.0) -> Courier:
    """Somebody who gives a receiver three seconds: one that hangs is soon known, and one that is well has time."""
    sender = sender or Sender(hooks.allowed, step_seconds=3.0, attempt_seconds=4.0)
    return Courier(hooks, sender, lease_seconds=lease_seconds)


def patient_courier(hooks: Webhooks, taken: Satchel) -> Courier:
    """Somebody who gives up no receiver as long as a test may last."""
    sender = Sender(hooks.allowed, step_seconds=2 * HANG_GUARD, attempt_seconds=2 * HANG_GUARD)
    return Courier(hooks, sender, lease_seconds=3 * HANG_GUARD, satchel=taken)


async def sent(hooks: Webhooks) -> int:
    """Send whatever is due, and wait for what comes of it; the number of attempts."""
    attempts, sender = 0, courier(hooks)
    while started := await sender.start_due():
        attempts += started
        await sender.settle()
    await sender.stop()
    return attempts


async def told(hooks: Webhooks) -> int:
    await followed(hooks)
    return await sent(hooks)


async def delivery(hooks: Webhooks, webhook: WebhookId) -> Delivery:
    """The one message there is."""
    (only,) = await listed(hooks, webhook)
    return only


async def listed(hooks: Webhooks, webhook: WebhookId, *states: State) -> tuple[Delivery, ...]:
    ledger = hooks.ledger
    return await deliveries.list_of(
        ledger.pool, ledger.ledger_id, webhook, states or tuple(State), limit=1_000
    )


async def row(hooks: Webhooks, webhook: WebhookId) -> Webhook:
    found = await rows.find(hooks.ledger.pool, hooks.ledger.ledger_id, webhook)
    assert found is not None
    return found
