"""What of a command stays the same, however often and by whichever way it is tried."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Generic, TypeAlias, TypeVar

import msgspec

from ledger.domain.decider import Decider
from ledger.domain.event import Event
from ledger.domain.ids import StreamName, Version
from ledger.store.envelope import Provenance

C = TypeVar("C")
S = TypeVar("S")
E = TypeVar("E", bound=Event)

Cover: TypeAlias = Callable[[S, C, Provenance], Awaitable[tuple[C, Provenance]]]
"""Makes of a command on a state, and of where it comes from, what is to be stored; may refuse, once an attempt."""
Recognise: TypeAlias = Callable[[str, str], Awaitable[bool]]
"""Says whether the digest that a stored command carries may be that of this request, though it is not the same."""


class CommandContext(msgspec.Struct, Generic[C, S, E], frozen=True, kw_only=True):
    """By which rules a command is decided, on which stream, for whom, and what it relies on.

    ``clock`` is read once an attempt; ``reads`` are the streams that have to be, when the events are appended, as they
    were when it was decided; ``if_match`` is the version of ``target`` that the caller has seen.
    """

    decider: Decider[C, S, E]
    target: StreamName
    clock: Callable[[], datetime]
    provenance: Provenance
    reads: Sequence[StreamName] = ()
    if_match: Version | None = None
    cover: Cover[S, C] | None = None
    recognise: Recognise | None = None
