"""The shape of every aggregate: decide what a command does, evolve what an event means.

An aggregate is a value, not a base class: two pure functions and where they begin (ADR 0002).
"""

from collections.abc import Callable, Iterable
from functools import reduce
from typing import Generic, TypeVar

import msgspec

from ledger.domain.event import Event

C = TypeVar("C")
S = TypeVar("S")
E = TypeVar("E", bound=Event)


class Decider(msgspec.Struct, Generic[C, S, E], frozen=True, kw_only=True):
    """One aggregate; ``state_type`` is the union of its states, by which a snapshot is read.

    ``decide`` returns the events a command causes (none: a legal answer, nothing to do) or raises a
    ``RuleViolation`` or ``Refused``; ``evolve`` never refuses: history is true even where rules have
    changed since. ``version`` is bumped with any change of ``evolve``, so that snapshots made by an
    older one are ignored.
    """

    category: str
    event_types: tuple[type[E], ...]
    state_type: object
    initial: S
    decide: Callable[[C, S], tuple[E, ...]]
    evolve: Callable[[S, E], S]
    version: int = 1


def fold(decider: Decider[C, S, E], events: Iterable[E], state: S | None = None) -> S:
    """Replay ``events`` in order, from ``state`` or from the beginning (``None``)."""
    return reduce(decider.evolve, events, decider.initial if state is None else state)
