"""What is said over the WebSocket of alerts, in both directions."""

from collections.abc import Iterator, Mapping
from typing import Final, TypeAlias

import msgspec

from ledger.delivery.notices import AlertType, Notice, Told
from ledger.domain.decision.events import Priority
from ledger.domain.errors import Invalid
from ledger.domain.event import Utc
from ledger.domain.ids import Position
from ledger.sealing.standing import Halt

TITLES: Final[Mapping[AlertType, str]] = {
    AlertType.NEW_DECISION: "New decision",
    AlertType.CRITICAL_THREAT: "Critical threat",
    AlertType.APT_DETECTED: "Advanced persistent threat",
    AlertType.HONEYTOKEN_TRIGGERED: "Honeytoken triggered",
    AlertType.DECISION_REQUIRED: "Half of the time for a decision is over",
    AlertType.INCIDENT_ESCALATED: "Escalated",
    AlertType.SYSTEM_ALERT: "System",
}


class Subscribe(msgspec.Struct, frozen=True, tag_field="type", tag="subscribe"):
    """The client wants alerts of these types too."""

    alert_types: tuple[AlertType, ...]


class Unsubscribe(msgspec.Struct, frozen=True, tag_field="type", tag="unsubscribe"):
    """The client wants no alerts of these types any more."""

    alert_types: tuple[AlertType, ...]


class Ping(msgspec.Struct, frozen=True, tag_field="type", tag="ping"):
    """The client wants to know whether anybody is there."""


Heard: TypeAlias = Subscribe | Unsubscribe | Ping

_HEARD: Final[msgspec.json.Decoder[Heard]] = msgspec.json.Decoder(Heard)


class Connected(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="connection"):
    """The first message; alerts come from behind ``position``."""

    status: str
    username: str
    alert_types: tuple[AlertType, ...]
    position: Position
    timestamp: Utc


class Heartbeat(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="heartbeat"):
    """Somebody is there, and everything up to ``position`` has been sent."""

    position: Position
    timestamp: Utc


class Pong(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="pong"):
    """The answer to a ping."""

    timestamp: Utc


class Subscribed(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="subscribed"):
    """What was added, and everything that is wanted now."""

    alert_types: tuple[AlertType, ...]
    subscriptions: tuple[AlertType, ...]


class Unsubscribed(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="unsubscribed"):
    """What was taken away, and everything that is wanted now."""

    alert_types: tuple[AlertType, ...]
    subscriptions: tuple[AlertType, ...]


class Misunderstood(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="error"):
    """A message made no sense; nothing came of it."""

    code: str
    message: str


class Alert(msgspec.Struct, frozen=True, kw_only=True):
    """Something to look at.

    ``position`` is where it comes from in the ledger. One event may be several alerts: whoever reconnects after
    having seen this one goes on after ``resume_after``. The same alert has the same ``alert_id`` every time.
    """

    alert_id: str
    alert_type: AlertType
    priority: Priority
    title: str
    message: str
    data: Told | Mapping[str, tuple[str, ...]]
    timestamp: Utc
    requires_action: bool
    position: Position
    resume_after: Position


class Alerted(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="alert"):
    """An alert as a message."""

    alert: Alert


Said: TypeAlias = Connected | Heartbeat | Pong | Subscribed | Unsubscribed | Misunderstood | Alerted


class MalformedMessage(Invalid):
    """The message is none that this service understands."""

    code = "malformed-message"
    advice = "Send JSON text with a 'type' of subscribe, unsubscribe (both with 'alert_types') or ping."


def heard_in(text: str | bytes) -> Heard:
    """Read what a client said; fields that are not known are passed over.

    Raises:
        MalformedMessage: it makes no sense.
    """
    try:
        return _HEARD.decode(text)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as broken:
        raise MalformedMessage from broken


def alerts_of(notice: Notice) -> Iterator[Alerted]:
    """Write the alerts that an event is."""
    told = notice.told
    for number, alert_type in enumerate(notice.alerts, 1):
        is_last = number == len(notice.alerts)
        yield Alerted(
            alert=Alert(
                alert_id=f"{told.position}-{alert_type.value}",
                alert_type=alert_type,
                priority=told.priority,
                title=f"{TITLES[alert_type]}: {told.analysis_id}",
                message=f"{told.analysis_id} has priority {told.priority.value}.",
                data=told,
                timestamp=told.at,
                requires_action=True,
                position=told.position,
                resume_after=told.position if is_last else Position(told.position - 1),
            )
        )


def alert_of_views(degraded: tuple[str, ...], *, now: Utc, position: Position) -> Alerted:
    """Write what administrators are told when read models begin to lack events, or lack none any more."""
    return _system_alert(
        f"Read models: {'degraded' if degraded else 'well again'}",
        f"{', '.join(degraded)}: events are parked." if degraded else "No event is parked any more.",
        {"degraded": degraded},
        now=now,
        position=position,
    )


def alert_of_sealing(halt: Halt | None, *, now: Utc, position: Position) -> Alerted:
    """Write what administrators are told when sealing halts, or goes on."""
    return _system_alert(
        f"Sealing: {'goes on' if halt is None else 'halted'}",
        "Events are sealed again." if halt is None else halt.because,
        {"halted": () if halt is None else (halt.code,)},
        now=now,
        position=position,
    )


def alert_of_witnesses(forked: tuple[str, ...], *, now: Utc, position: Position) -> Alerted:
    """Write what administrators are told when witnesses report another history, or none does any more."""
    names = ", ".join(forked)
    return _system_alert(
        f"Witnesses: {'a fork is reported' if forked else 'no fork is reported any more'}",
        f"{names}: seen a history that is not this one." if forked else "All cosign what is sealed here.",
        {"forked": forked},
        now=now,
        position=position,
    )


def _system_alert(
    title: str, message: str, trouble: Mapping[str, tuple[str, ...]], *, now: Utc, position: Position
) -> Alerted:
    is_trouble = any(trouble.values())
    return Alerted(
        alert=Alert(
            alert_id=f"{now.isoformat()}-{AlertType.SYSTEM_ALERT.value}-{'-'.join(trouble)}",
            alert_type=AlertType.SYSTEM_ALERT,
            priority=Priority.HIGH if is_trouble else Priority.LOW,
            title=title,
            message=message,
            data=trouble,
            timestamp=now,
            requires_action=is_trouble,
            position=position,
            resume_after=position,
        )
    )
