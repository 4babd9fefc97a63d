"""What happened: the base of every event.

An event is a fact in the past tense. Its tag, its field names and its schema version are storage
format: they are written once and read for good.
"""

from datetime import datetime
from typing import Annotated, ClassVar

import msgspec

Utc = Annotated[datetime, msgspec.Meta(tz=True)]
"""A moment with its offset; everything the ledger makes is in UTC."""


class Event(msgspec.Struct, frozen=True, kw_only=True, tag_field="type"):
    """A fact; ``at`` is the moment of the command that caused it."""

    schema_version: ClassVar[int] = 1

    at: Utc


def type_name(event_type: type[Event]) -> str:
    """Name an event type as it is stored, for example ``decision-submitted``."""
    return str(event_type.__struct_config__.tag)
