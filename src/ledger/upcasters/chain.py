"""Lift stored payloads to today's shape, one version at a time (ADR 0004).

A step is a pure function from one version's JSON to the next one's. No event of this release has a past
yet: types that the prototype's records become start at version 2, and version 1 is reserved for its import.
"""

from collections.abc import Callable, Mapping
from typing import Final, TypeAlias

Json: TypeAlias = dict[str, object]
Step: TypeAlias = Callable[[Json], Json]
Chain: TypeAlias = Mapping[tuple[str, int], Step]

CHAIN: Final[Chain] = {}
"""(type, version) → the step from that version to the next."""


class BrokenChain(Exception):  # a fault of the release, met at start, never by a caller
    """A stored version cannot reach today's shape."""


def first_readable(event_type: str, current: int, chain: Chain = CHAIN) -> int:
    """Tell the oldest version that can be lifted to ``current``."""
    version = current
    while (event_type, version - 1) in chain:
        version -= 1
    return version


def upcast(event_type: str, version: int, current: int, payload: Json, chain: Chain = CHAIN) -> Json:
    """Lift ``payload`` from ``version`` to ``current``.

    Raises:
        KeyError: there is no way from that version; ``first_readable`` tells beforehand.
    """
    for step in range(version, current):
        payload = chain[event_type, step](payload)
    return payload


def validate(current_versions: Mapping[str, int], chain: Chain = CHAIN) -> None:
    """Check at start that every step leads to a current version.

    Raises:
        BrokenChain: a step belongs to no known type, or leads beyond or not up to its current version.
    """
    for event_type, version in chain:
        current = current_versions.get(event_type)
        if current is None:
            raise BrokenChain(f"{event_type} is no event of this release")
        if not first_readable(event_type, current, chain) <= version < current:
            raise BrokenChain(f"{event_type} version {version} does not lead to version {current}")
