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


class Imported(msgspec.Struct, frozen=True, kw_only=True):
    """Says of an event that another system kept it first, and had local times without an offset.

    They were read as times of ``time_zone``; ``is_assumed``: nobody said that it was this one.
    """

    time_zone: str
    is_assumed: bool


def type_name(event_type: type[Event]) -> str:
    """Name an event type as it is stored, for example ``decision-submitted``."""
    return str(event_type.__struct_config__.tag)
