"""What a command does to a webhook: the events it causes, or the reason why not."""

from typing import Final, assert_never, get_args

from ledger.domain.authority import ADMINS, require_fresh_factor_if_any, require_or_operator
from ledger.domain.decider import Decider
from ledger.domain.errors import NotFound, ReasonMissing, RuleViolation
from ledger.domain.ids import PersonId
from ledger.domain.webhook.commands import (
    ChangeWebhook,
    DisableWebhook,
    PauseWebhook,
    PingWebhook,
    RegisterWebhook,
    RemoveWebhook,
    ReplayDeadLetters,
    ResumeWebhook,
    RotateWebhookSecret,
    WebhookCommand,
)
from ledger.domain.webhook.events import (
    DeadLettersReplayed,
    WebhookChanged,
    WebhookDisabled,
    WebhookEvent,
    WebhookPaused,
    WebhookPinged,
    WebhookRegistered,
    WebhookRemoved,
    WebhookResumed,
    WebhookSecretRotated,
)
from ledger.domain.webhook.state import Active, Held, Kept, NotRegistered, WebhookState, evolve


class WebhookNotFound(NotFound):
    """Webhook not found."""

    code = "webhook-not-found"


class WebhookRule(RuleViolation):
    """The state of the webhook forbids it."""

    code = "webhook-state"


class WebhookExists(WebhookRule):
    """There is, or was, a webhook with this id."""

    code = "webhook-exists"


class WebhookHeld(WebhookRule):
    """The webhook is paused, or its receiver said that it is gone."""

    code = "webhook-held"
    advice = "Resume it first."


class WebhookNotHeld(WebhookRule):
    """The webhook is neither paused nor disabled."""

    code = "webhook-not-held"


class NoDeadLetters(WebhookRule):
    """There is no dead letter to replay."""

    code = "no-dead-letters"
    advice = "List them first; one that was replayed, or is too old, is no longer there."


def decide(command: WebhookCommand, state: WebhookState) -> tuple[WebhookEvent, ...]:
    """Say what ``command`` causes; no events: it is so already.

    Raises:
        WebhookNotFound: there is none, or it was removed.
        WebhookRule: what was done before forbids it.
        ReasonMissing: the reason is white space; none need be given.
        Refused: only an administrator may, or the operator of the machine.
        Unauthenticated: the session has ended, or the second factor must be proven again: for whatever changes
            where notices go, or what signs them.
    """
    if not isinstance(command, DisableWebhook | PingWebhook) and command.reason.isspace():
        raise ReasonMissing
    match command:
        case DisableWebhook():
            return (
                (WebhookDisabled(at=command.now, status=command.status),) if isinstance(state, Active) else ()
            )
        case RegisterWebhook():
            return _register(command, state)
        case ChangeWebhook():
            return _change(command, state)
        case RotateWebhookSecret():
            return _rotate(command, state)
        case PauseWebhook() | ResumeWebhook() | RemoveWebhook():
            return _hold(command, state)
        case PingWebhook() | ReplayDeadLetters():
            return _send(command, state)
        case _:
            assert_never(command)


def _register(command: RegisterWebhook, state: WebhookState) -> tuple[WebhookEvent]:
    by = _proven_administrator(command)
    if not isinstance(state, NotRegistered):
        raise WebhookExists(webhook=command.webhook)
    registered = WebhookRegistered(
        at=command.now,
        webhook=command.webhook,
        terms=command.terms,
        secret=command.secret,
        by=by,
        reason=command.reason,
    )
    return (registered,)


def _change(command: ChangeWebhook, state: WebhookState) -> tuple[WebhookEvent, ...]:
    by = _proven_administrator(command)
    if _kept(state).terms == command.terms:
        return ()
    return (WebhookChanged(at=command.now, terms=command.terms, by=by, reason=command.reason),)


def _rotate(command: RotateWebhookSecret, state: WebhookState) -> tuple[WebhookEvent]:
    by = _proven_administrator(command)
    _kept(state)
    rotated = WebhookSecretRotated(
        at=command.now,
        secret=command.secret,
        overlap_until=command.overlap_until,
        by=by,
        reason=command.reason,
    )
    return (rotated,)


def _hold(command: PauseWebhook | ResumeWebhook | RemoveWebhook, state: WebhookState) -> tuple[WebhookEvent]:
    by = require_or_operator(command.by, ADMINS)
    kept = _kept(state)
    if isinstance(command, RemoveWebhook):
        return (WebhookRemoved(at=command.now, by=by, reason=command.reason),)
    if isinstance(command, PauseWebhook):
        if isinstance(kept, Held):
            raise WebhookHeld
        return (WebhookPaused(at=command.now, by=by, reason=command.reason),)
    if isinstance(kept, Active):
        raise WebhookNotHeld
    resumed = WebhookResumed(at=command.now, skips_missed=command.skips_missed, by=by, reason=command.reason)
    return (resumed,)


def _send(command: PingWebhook | ReplayDeadLetters, state: WebhookState) -> tuple[WebhookEvent]:
    by = require_or_operator(command.by, ADMINS)
    kept = _kept(state)
    if isinstance(command, PingWebhook):
        if isinstance(kept, Held):
            raise WebhookHeld
        return (WebhookPinged(at=command.now, by=by),)
    if not command.count:
        raise NoDeadLetters
    replayed = DeadLettersReplayed(
        at=command.now, message=command.message, count=command.count, by=by, reason=command.reason
    )
    return (replayed,)


def _kept(state: WebhookState) -> Kept:
    if not isinstance(state, Active | Held):
        raise WebhookNotFound
    return state


def _proven_administrator(command: RegisterWebhook | ChangeWebhook | RotateWebhookSecret) -> PersonId | None:
    """Ask for a fresh second factor too: whoever stole a session must not have decisions told elsewhere."""
    by = require_or_operator(command.by, ADMINS)
    require_fresh_factor_if_any(command.by, command.now)
    return by


WEBHOOK: Final = Decider[WebhookCommand, WebhookState, WebhookEvent](
    category="webhook",
    event_types=get_args(WebhookEvent),
    state_type=WebhookState,
    initial=NotRegistered(),
    decide=decide,
    evolve=evolve,
)
"""The Webhook aggregate, as a value."""
