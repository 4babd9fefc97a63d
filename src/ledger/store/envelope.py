"""What is hashed: one line of JSON that ties an event to its stream, its cause and its bytes (ADR 0009).

STORAGE FORMAT. Key order, spelling and the absence of personal data are part of it.
"""

import hashlib
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

import msgspec

from ledger.domain.ids import CommandId, EventId, StreamName, Version

ENVELOPE_FORMAT: Final = 1
LEAF_PREFIX: Final = b"\x00"
NO_LEAF: Final = b""


class Provenance(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Where a command came from.

    ``actor`` is an opaque person id, or ``operator``, ``system`` or ``imported``; ``correlation_id`` a W3C trace id
    (32 hexadecimal digits) or empty; ``request`` the digest by which a repeated request is recognised,
    empty when the caller sent no key. ``is_keyed``: the command's id comes from its caller or its cause,
    so that its events get the same ids when it is sent again.
    """

    actor: str
    command_id: CommandId
    is_keyed: bool = False
    causation_id: EventId | None = None
    correlation_id: str = ""
    request: str = ""


class Envelope(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The keys in their order; every value a string or an integer."""

    v: int
    event_id: str
    ledger: int
    stream: str
    version: int
    type: str
    schema_version: int
    recorded_at: str
    actor: str
    command_id: str
    causation_id: str
    correlation_id: str
    request: str
    data: str
    prev: str


class _Writing(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An envelope on its way: the same keys in the same order; the encoder writes ids and moments by itself."""

    v: int
    event_id: UUID
    ledger: int
    stream: str
    version: int
    type: str
    schema_version: int
    recorded_at: datetime | str
    actor: str
    command_id: UUID
    causation_id: UUID | str
    correlation_id: str
    request: str
    data: str
    prev: str


def seal(
    *,
    provenance: Provenance,
    event_id: EventId,
    ledger_id: int,
    stream: StreamName,
    version: Version,
    event_type: str,
    schema_version: int,
    recorded_at: datetime,
    salt: bytes,
    payload: bytes,
    prev: bytes,
) -> bytes:
    """Write the envelope of one event; ``prev`` is the leaf hash before it in its stream, empty for the first."""
    return msgspec.json.encode(
        _Writing(
            v=ENVELOPE_FORMAT,
            event_id=event_id,
            ledger=ledger_id,
            stream=stream,
            version=version,
            type=event_type,
            schema_version=schema_version,
            recorded_at=_as_written(recorded_at),
            actor=provenance.actor,
            command_id=provenance.command_id,
            causation_id=provenance.causation_id or "",
            correlation_id=provenance.correlation_id,
            request=provenance.request,
            data=hashlib.sha256(salt + payload).hexdigest(),
            prev=prev.hex(),
        )
    )


def _as_written(moment: datetime) -> datetime | str:
    """Leave a moment to the encoder, which writes it as ``timestamp`` does unless its digits would be zeros."""
    return moment if moment.microsecond and moment.tzinfo is UTC else timestamp(moment)


def open_envelope(envelope: bytes) -> Envelope:
    """Read a stored envelope."""
    return msgspec.json.decode(envelope, type=Envelope)


def leaf_hash(envelope: bytes) -> bytes:
    """Hash an envelope as a leaf of the log's tree (RFC 6962, section 2.1)."""
    return hashlib.sha256(LEAF_PREFIX + envelope).digest()


def timestamp(moment: datetime) -> str:
    """Write a moment in UTC with exactly six digits of a second's fraction."""
    in_utc = moment if moment.tzinfo is UTC else moment.astimezone(UTC)
    return in_utc.isoformat(timespec="microseconds").removesuffix("+00:00") + "Z"
