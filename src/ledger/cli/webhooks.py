"""``ledger webhooks``: looking at webhooks and sending dead letters again, also beside a running service."""

import asyncio
from datetime import datetime
from typing import Annotated, Final, TypeAlias
from uuid import UUID

import msgspec
from cyclopts import Parameter

from ledger.api.webhook_wire import DeliveryShown, delivery_shown
from ledger.cli.operating import operating, operator, overseeing
from ledger.cli.reasons import PerhapsWhy
from ledger.cli.tables import print_json, print_table
from ledger.domain.ids import MessageId, WebhookId
from ledger.domain.webhook.decide import WebhookNotFound
from ledger.domain.webhook.events import DeadLettersReplayed
from ledger.identity.identity import utc_now
from ledger.store.ledger import Ledger
from ledger.webhooks import administering, deliveries, rows
from ledger.webhooks.queue import State
from ledger.webhooks.rows import Standing, Webhook
from ledger.webhooks.targets import origin_of

Json: TypeAlias = Annotated[bool, Parameter(negative="", help="As JSON, for programs.")]

NONE, SOME = 0, 2
MOST: Final = 1_000


class Listed(msgspec.Struct, frozen=True, kw_only=True):
    """A webhook, as ``webhooks list`` shows it."""

    webhook_id: str
    origin: str
    description: str
    topics: tuple[str, ...]
    state: str
    position: int
    failures: int
    resting_until: datetime | None
    messages_waiting: int
    dead_letters: int


class DeadLetter(msgspec.Struct, frozen=True, kw_only=True):
    """A message that was given up, as ``webhooks dead`` shows it."""

    webhook_id: str
    letter: DeliveryShown


def show(*, json: Json = False) -> int:
    """Show the webhooks and how they are doing; the path of a URL, which may hold a secret, is not shown."""
    found = asyncio.run(_webhooks())
    if json:
        print_json(found)
    else:
        columns = ("Id", "Where to", "State", "Waiting", "Dead", "Failures", "Description")
        print_table(columns, [_cells_of(one) for one in found])
    return 0


def dead(webhook_id: str | None = None, *, json: Json = False) -> int:
    """List messages that were given up, of WEBHOOK_ID or of all, the newest thousand of each.

    Exit codes: 0 there are none, 2 there are some.
    """
    found = asyncio.run(_dead(None if webhook_id is None else _id(webhook_id)))
    if json:
        print_json(found)
    else:
        columns = ("Message", "Webhook", "Type", "Position", "Given up", "Attempts", "Last error")
        print_table(columns, [_cells(one) for one in found])
    return SOME if found else NONE


def replay(
    webhook_id: str,
    *,
    message: Annotated[UUID | None, Parameter(help="One of them; all by default.")] = None,
    reason: PerhapsWhy = None,
) -> int:
    """Have dead letters of WEBHOOK_ID sent again; the service sends them, when it runs."""
    count = asyncio.run(_replay(_id(webhook_id), message, reason or ""))
    print(f"{count} sent again." if count != 1 else "1 is sent again.")
    return 0


async def _webhooks() -> list[Listed]:
    async with overseeing() as ledger:
        found = await rows.every(ledger.pool, ledger.ledger_id)
    now = utc_now()
    return [
        Listed(
            webhook_id=str(one.webhook),
            origin=origin_of(one.url),
            description=one.description,
            topics=one.topics,
            state=one.standing.value,
            position=one.position,
            failures=one.failures,
            resting_until=one.resting_until(now),
            messages_waiting=one.waiting,
            dead_letters=one.dead,
        )
        for one in found
    ]


async def _dead(webhook: WebhookId | None) -> list[DeadLetter]:
    async with overseeing() as ledger:
        return [
            DeadLetter(webhook_id=str(each.webhook), letter=delivery_shown(letter))
            for each in await _asked(ledger, webhook)
            for letter in await deliveries.list_of(
                ledger.pool, ledger.ledger_id, each.webhook, [State.DEAD], limit=MOST
            )
        ]


async def _asked(ledger: Ledger, webhook: WebhookId | None) -> tuple[Webhook, ...]:
    if webhook is None:
        return await rows.every(ledger.pool, ledger.ledger_id)
    found = await rows.find(ledger.pool, ledger.ledger_id, webhook)
    if found is None:
        raise WebhookNotFound
    return (found,)


async def _replay(webhook: WebhookId, message: UUID | None, reason: str) -> int:
    named = None if message is None else MessageId(message)
    async with operating(only="api") as services:
        handled = await administering.replay(
            services.webhooks, webhook, operator(), message=named, reason=reason
        )
    return sum(one.event.count for one in handled.events if isinstance(one.event, DeadLettersReplayed))


def _cells_of(one: Listed) -> tuple[object, ...]:
    rests = one.resting_until is not None and one.state == Standing.ACTIVE
    state = f"resting until {one.resting_until:%Y-%m-%d %H:%M:%S} UTC" if rests else one.state
    return (
        *(one.webhook_id, one.origin, state, one.messages_waiting, one.dead_letters),
        *(one.failures, one.description),
    )


def _cells(one: DeadLetter) -> tuple[object, ...]:
    letter = one.letter
    ended = "-" if letter.ended_at is None else f"{letter.ended_at:%Y-%m-%d %H:%M}"
    position = "-" if letter.position is None else letter.position
    return (
        *(letter.message_id, one.webhook_id, letter.type, position, ended),
        *(len(letter.attempts), letter.last_error or "-"),
    )


def _id(text: str) -> WebhookId:
    try:
        return WebhookId(UUID(text))
    except ValueError as odd:
        raise WebhookNotFound from odd
