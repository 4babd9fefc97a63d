"""The bodies of the calls about webhooks, in and out."""

from typing import Annotated
from uuid import UUID

import msgspec

from ledger.domain.event import Utc
from ledger.webhooks.administering import OVERLAP_HOURS
from ledger.webhooks.deliveries import Delivery
from ledger.webhooks.queue import State
from ledger.webhooks.rows import Standing, Webhook

Why = Annotated[str, msgspec.Meta(max_length=2_000)]
Url = Annotated[str, msgspec.Meta(min_length=1, max_length=2_000)]
Described = Annotated[str, msgspec.Meta(max_length=2_000)]
Topics = Annotated[tuple[Annotated[str, msgspec.Meta(max_length=100)], ...], msgspec.Meta(max_length=100)]
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=100)]
Hours = Annotated[int, msgspec.Meta(ge=0, le=168)]


class WebhookTerms(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where to send what: of ``topics`` none is all; ``submitter``: only of what this user has submitted."""

    url: Url
    topics: Topics = ()
    submitter: Name | None = None
    description: Described = ""
    reason: Why = ""


class WebhookReason(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Why it is done."""

    reason: Why = ""


class WebhookResumption(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whether what happened meanwhile is sent too."""

    skip_missed: bool = False
    reason: Why = ""


class WebhookRotation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How long the present secret signs beside the new one."""

    overlap_hours: Hours = OVERLAP_HOURS
    reason: Why = ""


class WebhookReplay(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which dead letter to send again; none: all of them."""

    message_id: UUID | None = None
    reason: Why = ""


class WebhookIssued(msgspec.Struct, frozen=True, kw_only=True):
    """A webhook and its new secret, which is told this once; ``null`` when the same was asked again."""

    webhook_id: UUID
    secret: str | None


class WebhookShown(msgspec.Struct, frozen=True, kw_only=True):
    """A webhook; ``url`` is told to administrators only, its path may hold a secret.

    ``position`` is how far the log has been followed for it, ``failures`` how many attempts have failed in a row, and
    nothing is sent before ``resting_until``.
    """

    webhook_id: UUID
    origin: str
    url: str | None
    description: str
    topics: tuple[str, ...]
    submitter: str | None
    state: Standing
    created_at: Utc
    position: int
    messages_waiting: int
    dead_letters: int
    failures: int
    resting_until: Utc | None
    previous_secret_until: Utc | None


class TryShown(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt; ``error`` is ``null`` if it arrived."""

    number: int
    at: Utc
    milliseconds: int
    status: int | None
    error: str | None


class DeliveryShown(msgspec.Struct, frozen=True, kw_only=True):
    """A message; ``position`` is that of the event it tells of, ``null`` for a ping."""

    message_id: UUID
    type: str
    position: int | None
    state: State
    created_at: Utc
    next_attempt_at: Utc | None
    ended_at: Utc | None
    last_status: int | None
    last_error: str | None
    attempts: tuple[TryShown, ...]


class WebhookPinged(msgspec.Struct, frozen=True, kw_only=True):
    """A test message is on its way; its delivery is found by this id."""

    message_id: UUID


class WebhookReplayed(msgspec.Struct, frozen=True, kw_only=True):
    """So many dead letters are sent again."""

    count: int


def shown(webhook: Webhook, *, origin: str, has_url: bool, submitter: str | None, now: Utc) -> WebhookShown:
    """Tell of a webhook."""
    overlaps = webhook.previous_until is not None and webhook.previous_until > now
    return WebhookShown(
        webhook_id=webhook.webhook,
        origin=origin,
        url=webhook.url if has_url else None,
        description=webhook.description,
        topics=webhook.topics,
        submitter=submitter,
        state=webhook.standing,
        created_at=webhook.created_at,
        position=webhook.position,
        messages_waiting=webhook.waiting,
        dead_letters=webhook.dead,
        failures=webhook.failures,
        resting_until=webhook.resting_until(now),
        previous_secret_until=webhook.previous_until if overlaps else None,
    )


def delivery_shown(one: Delivery) -> DeliveryShown:
    """Tell what has come of a message."""
    return DeliveryShown(
        message_id=one.message,
        type=one.topic,
        position=one.position,
        state=one.state,
        created_at=one.created_at,
        next_attempt_at=one.due_at if one.state is State.WAITING else None,
        ended_at=one.ended_at,
        last_status=one.last_status,
        last_error=one.last_error,
        attempts=tuple(
            TryShown(
                number=each.number,
                at=each.began_at,
                milliseconds=each.milliseconds,
                status=each.status,
                error=each.error,
            )
            for each in one.tries
        ),
    )
