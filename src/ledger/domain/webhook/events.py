"""What happens to a webhook; each has a stream of its own.

STORAGE FORMAT. Tags, field names and meanings are in every ledger out there. Add a field only with a
default; anything else is a new schema version and owes an upcaster and a golden file (ADR 0004).

No secret is ever in here, and no path of a URL, which may hold one: both live beside the log, under a commitment
inside it. ``by`` is ``None`` for the operator of the machine. That a message was sent, or was not, is no event but
a row (ADR 0019).
"""

from typing import TypeAlias

import msgspec

from ledger.domain.event import Event, Utc
from ledger.domain.ids import Digest, MessageId, PersonId, WebhookId


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """Where to send what.

    ``origin`` is scheme, host and port; ``commitment`` is SHA-256(salt ‖ canonical record of URL and description).
    Of ``topics`` none means all of them, also those of later releases; ``submitter``: only of what this one submitted
    (``None``: of whatever anybody did).
    """

    origin: str
    commitment: Digest
    topics: tuple[str, ...]
    submitter: PersonId | None


class WebhookRegistered(Event, frozen=True, kw_only=True, tag="webhook-registered"):
    """Notices are sent there from now on, signed with what ``secret`` is the SHA-256 of."""

    webhook: WebhookId
    terms: Terms
    secret: Digest
    by: PersonId | None
    reason: str


class WebhookChanged(Event, frozen=True, kw_only=True, tag="webhook-changed"):
    """Other terms hold."""

    terms: Terms
    by: PersonId | None
    reason: str


class WebhookPaused(Event, frozen=True, kw_only=True, tag="webhook-paused"):
    """Nothing is sent until it is resumed."""

    by: PersonId | None
    reason: str


class WebhookDisabled(Event, frozen=True, kw_only=True, tag="webhook-disabled"):
    """The service stopped sending, until it is resumed: its receiver answered that it is gone for good (``status``)."""

    status: int


class WebhookResumed(Event, frozen=True, kw_only=True, tag="webhook-resumed"):
    """It is sent to again; ``skips_missed``: nothing of what happened meanwhile."""

    skips_missed: bool
    by: PersonId | None
    reason: str


class WebhookSecretRotated(Event, frozen=True, kw_only=True, tag="webhook-secret-rotated"):
    """Another secret signs; the one before signs too until ``overlap_until``."""

    secret: Digest
    overlap_until: Utc
    by: PersonId | None
    reason: str


class WebhookPinged(Event, frozen=True, kw_only=True, tag="webhook-pinged"):
    """Somebody had a test message sent."""

    by: PersonId | None


class DeadLettersReplayed(Event, frozen=True, kw_only=True, tag="dead-letters-replayed"):
    """What had been given up is sent again: one ``message``, or all ``count`` of them (``None``)."""

    message: MessageId | None
    count: int
    by: PersonId | None
    reason: str


class WebhookRemoved(Event, frozen=True, kw_only=True, tag="webhook-removed"):
    """Nothing is sent there any more; its secret and what waited are deleted."""

    by: PersonId | None
    reason: str


WebhookEvent: TypeAlias = (
    WebhookRegistered
    | WebhookChanged
    | WebhookPaused
    | WebhookDisabled
    | WebhookResumed
    | WebhookSecretRotated
    | WebhookPinged
    | DeadLettersReplayed
    | WebhookRemoved
)
