"""Bytes to events and back; the one place where stored payloads are decoded and lifted."""

from functools import cache
from typing import Final, Generic, TypeVar

import msgspec

from ledger.domain.errors import Corrupt
from ledger.domain.event import Event, type_name
from ledger.upcasters import chain
from ledger.upcasters.step import Step

E = TypeVar("E", bound=Event)

PAST: Final = msgspec.json.Decoder(dict[str, object])


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


class Reading(msgspec.Struct, Generic[E], frozen=True, kw_only=True):
    """An event as it was ``stored``, byte for byte, and as it reads today.

    ``upcasters`` names the steps between the two, in their order; none for an event of today's version.
    """

    stored: bytes
    event: E
    upcasters: tuple[str, ...]


def encode(event: Event) -> bytes:
    """Write an event as the bytes that are stored and hashed."""
    return msgspec.json.encode(event)


def check_version(event_types: tuple[type[E], ...], name: str, schema_version: int) -> None:
    """Check that this release can read ``schema_version`` of an event of one of ``event_types``.

    Raises:
        UnknownType: ``name`` is none of ``event_types``.
        UnknownSchemaVersion: the version is newer than this release, or older than it can lift.
    """
    _way(_named(event_types, name), name, schema_version)


def decode(event_types: tuple[type[E], ...], name: str, schema_version: int, payload: bytes) -> E:
    """Read an event of one of ``event_types``, lifted to today's shape.

    Raises:
        UnknownType: ``name`` is none of ``event_types``.
        UnknownSchemaVersion: the version is newer than this release, or older than it can lift.
        UnreadableEvent: the bytes are not what type and version say.
    """
    event_type = _named(event_types, name)
    try:
        if schema_version == event_type.schema_version:
            event: E = _decoder(event_type).decode(payload)
            return event
        steps = _way(event_type, name, schema_version)
        return msgspec.convert(chain.lifted(PAST.decode(payload), steps), type=event_type)
    except (msgspec.MsgspecError, ArithmeticError, LookupError, ValueError) as broken:
        raise UnreadableEvent(type=name, schema_version=schema_version, reason=str(broken)) from broken


def read(event_types: tuple[type[E], ...], name: str, schema_version: int, payload: bytes) -> Reading[E]:
    """Read an event as ``decode`` does, and say how: for whoever wants to see what was stored, and what was made of it.

    Raises:
        Corrupt: as ``decode``.
    """
    event = decode(event_types, name, schema_version, payload)
    steps = _way(type(event), name, schema_version)
    return Reading(stored=payload, event=event, upcasters=tuple(step.name() for step in steps))


def _way(event_type: type[Event], name: str, schema_version: int) -> tuple[Step, ...]:
    steps = chain.way(name, schema_version, event_type.schema_version)
    if steps is None:
        newest = event_type.schema_version
        raise UnknownSchemaVersion(type=name, schema_version=schema_version, newest=newest)
    return steps


def _named(event_types: tuple[type[E], ...], name: str) -> type[E]:
    event_type = _by_name(event_types).get(name)
    if event_type is None:
        raise UnknownType(type=name)
    return event_type


@cache
def _by_name(event_types: tuple[type[E], ...]) -> dict[str, type[E]]:
    return {type_name(event_type): event_type for event_type in event_types}


@cache
def _decoder(event_type: type[E]) -> msgspec.json.Decoder[E]:
    return msgspec.json.Decoder(event_type)
