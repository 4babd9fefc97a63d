"""What the rules of coming in are at a moment, and what each event makes of them.

The legal moves, by state and command. ``-`` is nothing to do; ``or`` separates what the same command may
cause, depending on the rules; the guards in ``decide`` may still refuse.
``tests/domain/test_legal_moves.py`` walks it.

    Rules  DemandSecondFactor  - or SecondFactorDemanded
    Rules  WaiveSecondFactor   - or SecondFactorWaived
"""

from typing import TypeAlias, assert_never

import msgspec

from ledger.domain.access.events import AccessEvent, SecondFactorDemanded, SecondFactorWaived
from ledger.domain.authority import Role


class Rules(msgspec.Struct, frozen=True, kw_only=True, tag="rules"):
    """Which roles may not do without a second factor, in the order in which that was said."""

    second_factor: tuple[Role, ...] = ()


AccessState: TypeAlias = Rules


def evolve(state: AccessState, event: AccessEvent) -> AccessState:
    """Apply what happened."""
    others = tuple(role for role in state.second_factor if role is not event.role)
    match event:
        case SecondFactorDemanded():
            return Rules(second_factor=(*others, event.role))
        case SecondFactorWaived():
            return Rules(second_factor=others)
        case _:
            assert_never(event)
