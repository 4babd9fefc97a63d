"""What a webhook is at a moment, and what each event makes of it.

The legal moves, by state and command. ``-`` is nothing to do; ``or`` separates what the same command may
cause, depending on what was asked; ``refused`` says that no one may, ever. The guards in ``decide`` may still
refuse. ``tests/domain/test_legal_moves.py`` walks it.

    NotRegistered  RegisterWebhook      WebhookRegistered
    NotRegistered  ChangeWebhook        refused WebhookNotFound
    NotRegistered  PauseWebhook         refused WebhookNotFound
    NotRegistered  DisableWebhook       -
    NotRegistered  ResumeWebhook        refused WebhookNotFound
    NotRegistered  RotateWebhookSecret  refused WebhookNotFound
    NotRegistered  PingWebhook          refused WebhookNotFound
    NotRegistered  ReplayDeadLetters    refused WebhookNotFound
    NotRegistered  RemoveWebhook        refused WebhookNotFound
    Active         RegisterWebhook      refused WebhookExists
    Active         ChangeWebhook        - or WebhookChanged
    Active         PauseWebhook         WebhookPaused
    Active         DisableWebhook       WebhookDisabled
    Active         ResumeWebhook        refused WebhookNotHeld
    Active         RotateWebhookSecret  WebhookSecretRotated
    Active         PingWebhook          WebhookPinged
    Active         ReplayDeadLetters    DeadLettersReplayed
    Active         RemoveWebhook        WebhookRemoved
    Held           RegisterWebhook      refused WebhookExists
    Held           ChangeWebhook        - or WebhookChanged
    Held           PauseWebhook         refused WebhookHeld
    Held           DisableWebhook       -
    Held           ResumeWebhook        WebhookResumed
    Held           RotateWebhookSecret  WebhookSecretRotated
    Held           PingWebhook          refused WebhookHeld
    Held           ReplayDeadLetters    DeadLettersReplayed
    Held           RemoveWebhook        WebhookRemoved
    Removed        RegisterWebhook      refused WebhookExists
    Removed        ChangeWebhook        refused WebhookNotFound
    Removed        PauseWebhook         refused WebhookNotFound
    Removed        DisableWebhook       -
    Removed        ResumeWebhook        refused WebhookNotFound
    Removed        RotateWebhookSecret  refused WebhookNotFound
    Removed        PingWebhook          refused WebhookNotFound
    Removed        ReplayDeadLetters    refused WebhookNotFound
    Removed        RemoveWebhook        refused WebhookNotFound
"""

from typing import TypeAlias, assert_never

import msgspec

from ledger.domain.webhook.events import (
    DeadLettersReplayed,
    Terms,
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


class NotRegistered(msgspec.Struct, frozen=True, tag="not-registered"):
    """Nobody has asked for it."""


class Active(msgspec.Struct, frozen=True, tag="active"):
    """Notices are sent."""

    terms: Terms


class Held(msgspec.Struct, frozen=True, tag="held"):
    """Somebody paused it, or its receiver said that it is gone: nothing is sent."""

    terms: Terms


class Removed(msgspec.Struct, frozen=True, tag="removed"):
    """It is over; its id never comes again."""


Kept: TypeAlias = Active | Held
WebhookState: TypeAlias = NotRegistered | Active | Held | Removed


def evolve(state: WebhookState, event: WebhookEvent) -> WebhookState:
    """Apply what happened; an event that does not fit the stage leaves it as it is."""
    match state:
        case NotRegistered():
            return Active(event.terms) if isinstance(event, WebhookRegistered) else state
        case Active() | Held():
            return _evolve_kept(state, event)
        case Removed():
            return state
        case _:
            assert_never(state)


def _evolve_kept(state: Kept, event: WebhookEvent) -> WebhookState:
    match event:
        case WebhookRegistered() | WebhookSecretRotated() | WebhookPinged() | DeadLettersReplayed():
            return state
        case WebhookChanged():
            return type(state)(event.terms)
        case WebhookPaused() | WebhookDisabled():
            return Held(state.terms)
        case WebhookResumed():
            return Active(state.terms)
        case WebhookRemoved():
            return Removed()
        case _:
            assert_never(event)
