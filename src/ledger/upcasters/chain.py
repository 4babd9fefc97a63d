"""Lift stored payloads to today's shape, one version at a time (ADR 0004)."""

from collections.abc import Iterable, Mapping
from typing import Final, TypeAlias

from ledger.upcasters import account, decision
from ledger.upcasters.step import Json, Step

Chain: TypeAlias = Mapping[tuple[str, int], Step]


class BrokenChain(Exception):  # a fault of the release, met at start, never by a caller
    """A stored version cannot reach today's shape."""


def linked(steps: Iterable[Step]) -> Chain:
    """Put steps together, by the type and version that each begins at.

    Raises:
        BrokenChain: two begin at the same version, or one is not named after the versions it leads between.
    """
    chain: dict[tuple[str, int], Step] = {}
    for step in steps:
        start = (step.type, step.version)
        if start in chain:
            raise BrokenChain(f"{step.type} version {step.version} has two ways on")
        if not step.name().endswith(f"_v{step.version}_to_v{step.version + 1}"):
            raise BrokenChain(
                f"{step.name()} is listed as the way from version {step.version} of {step.type}"
            )
        chain[start] = step
    return chain


ALL: Final[tuple[Step, ...]] = (*decision.STEPS, *account.STEPS)
CHAIN: Final[Chain] = linked(ALL)
"""(type, version) → the step from that version to the next."""


def way(event_type: str, version: int, current: int, chain: Chain = CHAIN) -> tuple[Step, ...] | None:
    """Find the steps from ``version`` to ``current``; ``None``: there is no way between them."""
    steps = []
    for at in range(version, current):
        step = chain.get((event_type, at))
        if step is None:
            return None
        steps.append(step)
    return tuple(steps) if version <= current else None


def lifted(payload: Json, steps: Iterable[Step]) -> Json:
    """Take a payload through ``steps``."""
    for step in steps:
        payload = step.lift(payload)
    return payload


def validate(current_versions: Mapping[str, int], chain: Chain = CHAIN) -> None:
    """Check at start that every version before today's can be read, and that no step leads elsewhere.

    Raises:
        BrokenChain: a version has no step, or a step belongs to no known type or no past version of it.
    """
    needed = {(name, version) for name, current in current_versions.items() for version in range(1, current)}
    for event_type, version in sorted(needed - chain.keys()):
        raise BrokenChain(f"{event_type} version {version} cannot be read: there is no step from it")
    for event_type, version in sorted(chain.keys() - needed):
        current = current_versions.get(event_type)
        if current is None:
            raise BrokenChain(f"{event_type} is no event of this release")
        raise BrokenChain(f"{event_type} version {version} is not a past one: today's is {current}")
