"""What administrators do to webhooks: each act is an event, and its rows commit with it."""

from collections.abc import Callable
from datetime import timedelta
from typing import Final

import msgspec
from uuid_utils.compat import uuid7

from ledger.command_handling.answering import Handled
from ledger.command_handling.context import CommandContext
from ledger.command_handling.facts import Facts
from ledger.command_handling.handler import Alongside, handle, handle_after
from ledger.domain.authority import Authority
from ledger.domain.event import Utc
from ledger.domain.ids import MessageId, PersonId, WebhookId
from ledger.domain.webhook.commands import (
    ChangeWebhook,
    PauseWebhook,
    PingWebhook,
    RegisterWebhook,
    RemoveWebhook,
    ReplayDeadLetters,
    ResumeWebhook,
    RotateWebhookSecret,
    WebhookCommand,
)
from ledger.domain.webhook.decide import WEBHOOK, WebhookNotFound
from ledger.domain.webhook.events import Terms, WebhookEvent, WebhookRegistered, WebhookSecretRotated
from ledger.domain.webhook.state import WebhookState
from ledger.identity.actor import Actor
from ledger.identity.people import commitment, new_salt
from ledger.store.ledger import webhook_stream
from ledger.store.pool import Connection
from ledger.store.streams import event_ids
from ledger.webhooks import deliveries, rows, secrets
from ledger.webhooks.breaker import say_closed
from ledger.webhooks.messages import PING, ping_body
from ledger.webhooks.queue import NewMessage, message_id, queue
from ledger.webhooks.rows import NewWebhook, Standing, Webhook
from ledger.webhooks.signing import digest_of, new_secret
from ledger.webhooks.targets import Target
from ledger.webhooks.webhooks import Webhooks

OVERLAP_HOURS: Final = 24
"""How long the secret of before signs too, unless somebody says otherwise."""


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What a webhook is to be; see ``Terms``."""

    target: Target
    description: str
    topics: tuple[str, ...]
    submitter: PersonId | None


class Issued(msgspec.Struct, frozen=True, kw_only=True):
    """A webhook and its new secret; ``secret`` is there this once, and ``None`` when the command was sent again."""

    handled: Handled[WebhookEvent]
    webhook: WebhookId
    secret: str | None


class _Record(msgspec.Struct, frozen=True, kw_only=True):
    """What the log commits to."""

    url: str
    description: str


class _Asked(msgspec.Struct, frozen=True, kw_only=True):
    now: Utc
    by: Authority | None


async def register(hooks: Webhooks, wanted: Wanted, actor: Actor, *, reason: str = "") -> Issued:
    """Have notices sent there from now on.

    Raises:
        LedgerError: as ``decide`` of webhooks, and as ``handle``.
    """
    webhook, secret, salt = WebhookId(uuid7()), new_secret(), new_salt()
    new = NewWebhook(
        webhook=webhook,
        url=wanted.target.url,
        description=wanted.description,
        salt=salt,
        topics=wanted.topics,
        submitter=wanted.submitter,
        secret=secrets.seal(hooks, webhook, secret),
    )

    def order(asked: _Asked) -> RegisterWebhook:
        return RegisterWebhook(
            now=asked.now,
            by=asked.by,
            webhook=webhook,
            terms=_terms(wanted, salt),
            secret=digest_of(secret),
            reason=reason,
        )

    async def write_row(conn: Connection) -> None:
        await rows.insert(conn, hooks.ledger.ledger_id, new, hooks.clock())

    handled = await _handle(hooks, webhook, order, actor, alongside=write_row)
    registered = next(one.event for one in handled.events if isinstance(one.event, WebhookRegistered))
    is_first = registered.webhook == webhook
    return Issued(handled=handled, webhook=registered.webhook, secret=secret if is_first else None)


async def change(
    hooks: Webhooks, webhook: Webhook, wanted: Wanted, actor: Actor, *, reason: str = ""
) -> Handled[WebhookEvent]:
    """Have other notices sent, or elsewhere; no event where nothing changes."""

    def order(asked: _Asked) -> ChangeWebhook:
        return ChangeWebhook(now=asked.now, by=asked.by, terms=_terms(wanted, webhook.salt), reason=reason)

    ended_rest = False

    async def write_row(conn: Connection) -> None:
        nonlocal ended_rest
        ended_rest = await rows.change(
            conn,
            hooks.ledger.ledger_id,
            webhook.webhook,
            url=wanted.target.url,
            description=wanted.description,
            topics=wanted.topics,
            submitter=wanted.submitter,
        )

    handled = await _handle(hooks, webhook.webhook, order, actor, alongside=write_row)
    if ended_rest:
        say_closed(webhook.webhook)
    return handled


async def pause(
    hooks: Webhooks, webhook: WebhookId, actor: Actor, *, reason: str = ""
) -> Handled[WebhookEvent]:
    """Have nothing sent; what happens meanwhile waits."""

    def order(asked: _Asked) -> PauseWebhook:
        return PauseWebhook(now=asked.now, by=asked.by, reason=reason)

    async def write_row(conn: Connection) -> None:
        await rows.hold(conn, hooks.ledger.ledger_id, webhook, Standing.PAUSED)

    return await _handle(hooks, webhook, order, actor, alongside=write_row)


async def resume(
    hooks: Webhooks, webhook: WebhookId, actor: Actor, *, skips_missed: bool, reason: str = ""
) -> Handled[WebhookEvent]:
    """Have it sent to again; with ``skips_missed`` what happened meanwhile is not sent, only what waited before."""

    def order(asked: _Asked) -> ResumeWebhook:
        return ResumeWebhook(now=asked.now, by=asked.by, skips_missed=skips_missed, reason=reason)

    ended_rest = False

    async def write_row(conn: Connection) -> None:
        nonlocal ended_rest
        ended_rest = await rows.resume(conn, hooks.ledger.ledger_id, webhook, skips_missed=skips_missed)
        await deliveries.extend(conn, hooks.ledger.ledger_id, webhook, hooks.clock())

    handled = await _handle(hooks, webhook, order, actor, alongside=write_row)
    if ended_rest:
        say_closed(webhook)
    return handled


async def rotate(
    hooks: Webhooks, webhook: WebhookId, actor: Actor, *, overlap_hours: int = OVERLAP_HOURS, reason: str = ""
) -> Issued:
    """Make another secret; the present one signs too for so many hours, and one before it no more."""
    secret = new_secret()
    until = hooks.clock() + timedelta(hours=overlap_hours)

    def order(asked: _Asked) -> RotateWebhookSecret:
        return RotateWebhookSecret(
            now=asked.now, by=asked.by, secret=digest_of(secret), overlap_until=until, reason=reason
        )

    async def write_row(conn: Connection) -> None:
        sealed = secrets.seal(hooks, webhook, secret)
        await rows.rotate(conn, hooks.ledger.ledger_id, webhook, sealed, overlap_until=until)

    handled = await _handle(hooks, webhook, order, actor, alongside=write_row)
    rotated = next(one.event for one in handled.events if isinstance(one.event, WebhookSecretRotated))
    is_first = rotated.secret == digest_of(secret)
    return Issued(handled=handled, webhook=webhook, secret=secret if is_first else None)


async def ping(hooks: Webhooks, webhook: WebhookId, actor: Actor) -> tuple[Handled[WebhookEvent], MessageId]:
    """Have a test message sent; return its id, by which its delivery is found."""
    cause = event_ids(actor.provenance, 1)[0]
    message = message_id(webhook, cause)

    def order(asked: _Asked) -> PingWebhook:
        return PingWebhook(now=asked.now, by=asked.by)

    async def write_row(conn: Connection) -> None:
        now = hooks.clock()
        new = NewMessage(
            message=message, webhook=webhook, position=None, topic=PING, body=ping_body(webhook, now)
        )
        await queue(conn, hooks.ledger.ledger_id, [new], now)

    handled = await _handle(hooks, webhook, order, actor, alongside=write_row)
    hooks.due.ring()
    return handled, message


async def replay(
    hooks: Webhooks, webhook: WebhookId, actor: Actor, *, message: MessageId | None, reason: str = ""
) -> Handled[WebhookEvent]:
    """Have dead letters sent again, one or all of them; their number is in the event.

    Raises:
        NoDeadLetters: there is none, or this one is none.
    """

    async def effect(conn: Connection) -> int:
        return await deliveries.replay(conn, hooks.ledger.ledger_id, webhook, message, hooks.clock())

    def build(facts: Facts, count: int) -> ReplayDeadLetters:
        asked = _asked(facts, actor)
        return ReplayDeadLetters(now=asked.now, by=asked.by, message=message, count=count, reason=reason)

    handled = await handle_after(
        hooks.ledger,
        _context(hooks, webhook, actor),
        effect,
        build,
    )
    hooks.due.ring()
    return handled


async def remove(
    hooks: Webhooks, webhook: WebhookId, actor: Actor, *, reason: str = ""
) -> Handled[WebhookEvent]:
    """Have nothing sent there any more, and delete its secrets and messages."""

    def order(asked: _Asked) -> RemoveWebhook:
        return RemoveWebhook(now=asked.now, by=asked.by, reason=reason)

    async def write_row(conn: Connection) -> None:
        await rows.remove(conn, hooks.ledger.ledger_id, webhook)

    return await _handle(hooks, webhook, order, actor, alongside=write_row)


async def must_find(hooks: Webhooks, webhook: WebhookId) -> Webhook:
    """Read a webhook.

    Raises:
        WebhookNotFound: there is none, or none any more.
    """
    found = await rows.find(hooks.ledger.pool, hooks.ledger.ledger_id, webhook)
    if found is None:
        raise WebhookNotFound
    return found


def _terms(wanted: Wanted, salt: bytes) -> Terms:
    record = _Record(url=wanted.target.url, description=wanted.description)
    return Terms(
        origin=wanted.target.origin,
        commitment=commitment(salt, record),
        topics=wanted.topics,
        submitter=wanted.submitter,
    )


def _context(
    hooks: Webhooks, webhook: WebhookId, actor: Actor
) -> CommandContext[WebhookCommand, WebhookState, WebhookEvent]:
    return CommandContext(
        decider=WEBHOOK,
        target=webhook_stream(webhook),
        clock=hooks.clock,
        provenance=actor.provenance,
        reads=actor.reads(),
    )


def _asked(facts: Facts, actor: Actor) -> _Asked:
    return _Asked(now=facts.now, by=actor.authority(facts))


async def _handle(
    hooks: Webhooks,
    webhook: WebhookId,
    order: Callable[[_Asked], WebhookCommand],
    actor: Actor,
    *,
    alongside: Alongside,
) -> Handled[WebhookEvent]:
    return await handle(
        hooks.ledger,
        _context(hooks, webhook, actor),
        lambda facts: order(_asked(facts, actor)),
        alongside=alongside,
    )
