"""What somebody wants of a webhook; ``by`` is ``None`` for the operator of the machine."""

from typing import TypeAlias

import msgspec

from ledger.domain.authority import Authority
from ledger.domain.event import Utc
from ledger.domain.ids import Digest, MessageId, WebhookId
from ledger.domain.webhook.events import Terms


class RegisterWebhook(msgspec.Struct, frozen=True, kw_only=True):
    """Send notices there."""

    now: Utc
    by: Authority | None
    webhook: WebhookId
    terms: Terms
    secret: Digest
    reason: str


class ChangeWebhook(msgspec.Struct, frozen=True, kw_only=True):
    """Send others, or elsewhere."""

    now: Utc
    by: Authority | None
    terms: Terms
    reason: str


class PauseWebhook(msgspec.Struct, frozen=True, kw_only=True):
    """Send nothing for a while."""

    now: Utc
    by: Authority | None
    reason: str


class DisableWebhook(msgspec.Struct, frozen=True, kw_only=True):
    """Send nothing, because the receiver says that it is gone for good. The service does this."""

    now: Utc
    status: int


class ResumeWebhook(msgspec.Struct, frozen=True, kw_only=True):
    """Send again."""

    now: Utc
    by: Authority | None
    skips_missed: bool
    reason: str


class RotateWebhookSecret(msgspec.Struct, frozen=True, kw_only=True):
    """Sign with another secret, and with the present one until ``overlap_until``."""

    now: Utc
    by: Authority | None
    secret: Digest
    overlap_until: Utc
    reason: str


class PingWebhook(msgspec.Struct, frozen=True, kw_only=True):
    """Send a test message."""

    now: Utc
    by: Authority | None


class ReplayDeadLetters(msgspec.Struct, frozen=True, kw_only=True):
    """Send again what was given up: ``count`` of them, as was done in the transaction that records it."""

    now: Utc
    by: Authority | None
    message: MessageId | None
    count: int
    reason: str


class RemoveWebhook(msgspec.Struct, frozen=True, kw_only=True):
    """Send nothing there any more."""

    now: Utc
    by: Authority | None
    reason: str


WebhookCommand: TypeAlias = (
    RegisterWebhook
    | ChangeWebhook
    | PauseWebhook
    | DisableWebhook
    | ResumeWebhook
    | RotateWebhookSecret
    | PingWebhook
    | ReplayDeadLetters
    | RemoveWebhook
)
