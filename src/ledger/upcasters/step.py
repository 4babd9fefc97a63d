"""One step of the chain: a pure function from one version of an event's JSON to the next one's."""

from collections.abc import Callable
from typing import TypeAlias

import msgspec

Json: TypeAlias = dict[str, object]
Lift: TypeAlias = Callable[[Json], Json]


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """``lift`` makes a payload of ``version + 1`` of one of ``version``; it changes nothing in what it is given."""

    type: str
    version: int
    lift: Lift

    def name(self) -> str:
        """Name it, as the history over HTTP shows it."""
        return self.lift.__name__
