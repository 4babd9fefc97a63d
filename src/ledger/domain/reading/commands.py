"""What is to be told of who reads the history."""

from typing import TypeAlias

import msgspec

from ledger.domain.authority import Authority
from ledger.domain.event import Utc
from ledger.domain.ids import PersonId, SessionId
from ledger.domain.reading.events import Extent, Query


class ReadHistory(msgspec.Struct, frozen=True, kw_only=True):
    """Read something of the history, for the first time or for the first time after a while."""

    now: Utc
    by: Authority
    query: Query
    extent: Extent


class SumUpReading(msgspec.Struct, frozen=True, kw_only=True):
    """Tell what more of the same was read, from ``since`` to ``until``."""

    now: Utc
    person: PersonId
    session: SessionId
    query: Query
    extent: Extent
    since: Utc
    until: Utc


ReadingCommand: TypeAlias = ReadHistory | SumUpReading
