"""Bytes to events and back; the one place where stored payloads are decoded and lifted."""

from typing import TypeVar

import msgspec

from ledger.domain.errors import Corrupt
from ledger.domain.event import Event, type_name
from ledger.upcasters import chain

E = TypeVar("E", bound=Event)


class UnreadableEvent(Corrupt):
    """A stored event does not have the shape its type and version say."""

    code = "unreadable-event"


class UnknownType(Corrupt):
    """A stored event is of a type that this release does not know here."""

    code = "unknown-event-type"
    advice = "It was written by a newer release, or belongs to another kind of stream: upgrade this one."


class UnknownSchemaVersion(Corrupt):
    """A stored event has a schema version that this release does not know."""

    code = "unknown-schema-version"
    advice = "It was written by a newer release: upgrade this one."


def encode(event: Event) -> bytes:
    """Write an event as the bytes that are stored and hashed."""
    return msgspec.json.encode(event)


def decode(event_types: tuple[type[E], ...], name: str, schema_version: int, payload: bytes) -> E:
    """Read an event of one of ``event_types``, lifted to today's shape.

    Raises:
        UnknownType: ``name`` is none of ``event_types``.
        UnknownSchemaVersion: the version is newer than this release, or older than it can lift.
        UnreadableEvent: the bytes are not what type and version say.
    """
    event_type = _named(event_types, name)
    current = event_type.schema_version
    try:
        if schema_version == current:
            return msgspec.json.decode(payload, type=event_type)
        if not chain.first_readable(name, current) <= schema_version < current:
            raise UnknownSchemaVersion(type=name, schema_version=schema_version, newest=current)
        past = msgspec.json.decode(payload, type=dict[str, object])
        return msgspec.convert(chain.upcast(name, schema_version, current, past), type=event_type)
    except (msgspec.MsgspecError, ValueError) as broken:
        raise UnreadableEvent(type=name, schema_version=schema_version, reason=str(broken)) from broken


def _named(event_types: tuple[type[E], ...], name: str) -> type[E]:
    for event_type in event_types:
        if type_name(event_type) == name:
            return event_type
    raise UnknownType(type=name)
