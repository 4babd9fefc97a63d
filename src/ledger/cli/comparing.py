"""A line of a file beside the item of its id that the ledger holds."""

from datetime import UTC, datetime
from typing import Final

import msgspec

from ledger.api import wire

OF_THE_BUILT_IN_KIND: Final = frozenset(wire.Submission.__struct_fields__)
OF_ANY_KIND: Final = frozenset(wire.KindSubmission.__struct_fields__)
MOMENTS: Final = frozenset({"created_at"})


def id_in(line: bytes) -> str:
    """Read the id of a line that the service has understood."""
    return str(_fields(line)["analysis_id"])


def differing(line: bytes, there: bytes) -> tuple[str, ...]:
    """Name the fields in which a line differs from the item that the service shows; both are JSON.

    A field that is left out counts as null, and fields that the service does not know are no difference.
    """
    sent, kept = _fields(line), _fields(there)
    submitted = OF_ANY_KIND if {"kind", "payload"} <= sent.keys() else OF_THE_BUILT_IN_KIND
    names = sorted(kept.keys() & submitted)
    return tuple(name for name in names if _meant(name, sent.get(name)) != _meant(name, kept[name]))


def _fields(text: bytes) -> dict[str, object]:
    return msgspec.json.decode(text, type=dict[str, object])


def _meant(name: str, value: object) -> object:
    """Read moments as the service does: without an offset they are UTC."""
    if name not in MOMENTS:
        return value
    try:
        moment = msgspec.convert(value, datetime)
    except msgspec.ValidationError:
        return value
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
