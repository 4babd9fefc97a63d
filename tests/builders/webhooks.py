"""What was done to a webhook and what somebody wants done: ``registered(by=ADA)``, ``rotate(by=ADA)``."""

from datetime import datetime
from typing import Final
from uuid import UUID

from ledger.domain.authority import Authority
from ledger.domain.ids import Digest, MessageId, PersonId, WebhookId
from ledger.domain.webhook import commands, events
from ledger.domain.webhook.events import Terms
from tests.builders.people import ADA, ENGINE, NOW, acting, later

WEBHOOK_ID: Final = WebhookId(UUID(int=90))
MESSAGE: Final = MessageId(UUID(int=91))
SECRET: Final = Digest("5" * 64)
NEXT_SECRET: Final = Digest("6" * 64)
TERMS: Final = Terms(
    origin="https://hooks.example.org",
    commitment=Digest("c" * 64),
    topics=("decision.resolved", "decision.submitted"),
    submitter=ENGINE,
)
OTHER_TERMS: Final = Terms(
    origin="https://elsewhere.example.org", commitment=Digest("d" * 64), topics=(), submitter=None
)


def registered(
    terms: Terms = TERMS, *, by: PersonId | None = ADA, reason: str = "", at: datetime = NOW
) -> events.WebhookRegistered:
    return events.WebhookRegistered(
        at=at, webhook=WEBHOOK_ID, terms=terms, secret=SECRET, by=by, reason=reason
    )


def changed(
    terms: Terms = OTHER_TERMS, *, by: PersonId | None = ADA, reason: str = "", at: datetime = NOW
) -> events.WebhookChanged:
    return events.WebhookChanged(at=at, terms=terms, by=by, reason=reason)


def paused(*, by: PersonId | None = ADA, reason: str = "", at: datetime = NOW) -> events.WebhookPaused:
    return events.WebhookPaused(at=at, by=by, reason=reason)


def disabled(*, at: datetime = NOW) -> events.WebhookDisabled:
    return events.WebhookDisabled(at=at, status=410)


def resumed(
    *, by: PersonId | None = ADA, skips_missed: bool = False, reason: str = "", at: datetime = NOW
) -> events.WebhookResumed:
    return events.WebhookResumed(at=at, skips_missed=skips_missed, by=by, reason=reason)


def rotated(
    *, by: PersonId | None = ADA, reason: str = "", at: datetime = NOW
) -> events.WebhookSecretRotated:
    return events.WebhookSecretRotated(
        at=at, secret=NEXT_SECRET, overlap_until=later(86_400), by=by, reason=reason
    )


def pinged(*, by: PersonId | None = ADA, at: datetime = NOW) -> events.WebhookPinged:
    return events.WebhookPinged(at=at, by=by)


def letters_replayed(
    count: int = 3,
    *,
    message: MessageId | None = None,
    by: PersonId | None = ADA,
    reason: str = "",
    at: datetime = NOW,
) -> events.DeadLettersReplayed:
    return events.DeadLettersReplayed(at=at, message=message, count=count, by=by, reason=reason)


def removed(*, by: PersonId | None = ADA, reason: str = "", at: datetime = NOW) -> events.WebhookRemoved:
    return events.WebhookRemoved(at=at, by=by, reason=reason)


def register(
    terms: Terms = TERMS, *, by: PersonId | Authority | None = ADA, reason: str = "", now: datetime = NOW
) -> commands.RegisterWebhook:
    return commands.RegisterWebhook(
        now=now, by=_acting(by), webhook=WEBHOOK_ID, terms=terms, secret=SECRET, reason=reason
    )


def change(
    terms: Terms = OTHER_TERMS,
    *,
    by: PersonId | Authority | None = ADA,
    reason: str = "",
    now: datetime = NOW,
) -> commands.ChangeWebhook:
    return commands.ChangeWebhook(now=now, by=_acting(by), terms=terms, reason=reason)


def pause(
    *, by: PersonId | Authority | None = ADA, reason: str = "", now: datetime = NOW
) -> commands.PauseWebhook:
    return commands.PauseWebhook(now=now, by=_acting(by), reason=reason)


def disable(*, now: datetime = NOW) -> commands.DisableWebhook:
    return commands.DisableWebhook(now=now, status=410)


def resume(
    *,
    by: PersonId | Authority | None = ADA,
    skips_missed: bool = False,
    reason: str = "",
    now: datetime = NOW,
) -> commands.ResumeWebhook:
    return commands.ResumeWebhook(now=now, by=_acting(by), skips_missed=skips_missed, reason=reason)


def rotate(
    *, by: PersonId | Authority | None = ADA, reason: str = "", now: datetime = NOW
) -> commands.RotateWebhookSecret:
    return commands.RotateWebhookSecret(
        now=now, by=_acting(by), secret=NEXT_SECRET, overlap_until=later(86_400), reason=reason
    )


def ping(*, by: PersonId | Authority | None = ADA, now: datetime = NOW) -> commands.PingWebhook:
    return commands.PingWebhook(now=now, by=_acting(by))


def replay_letters(
    count: int = 3,
    *,
    message: MessageId | None = None,
    by: PersonId | Authority | None = ADA,
    reason: str = "",
    now: datetime = NOW,
) -> commands.ReplayDeadLetters:
    return commands.ReplayDeadLetters(now=now, by=_acting(by), message=message, count=count, reason=reason)


def remove(
    *, by: PersonId | Authority | None = ADA, reason: str = "", now: datetime = NOW
) -> commands.RemoveWebhook:
    return commands.RemoveWebhook(now=now, by=_acting(by), reason=reason)


def _acting(by: PersonId | Authority | None) -> Authority | None:
    return None if by is None else acting(by)
