"""What the notary was last told.

The legal moves, by state and command. The guards in ``decide`` may still refuse. ``tests/domain/test_legal_moves.py``
walks it.

    Unsigned  RotateNotaryKey  NotaryKeyRotated
    Unsigned  AdoptLog         NotaryAdopted
    Signing   RotateNotaryKey  NotaryKeyRotated
    Signing   AdoptLog         NotaryAdopted
"""

from typing import TypeAlias

import msgspec

from ledger.domain.notary.events import NotaryEvent


class Unsigned(msgspec.Struct, frozen=True, tag="unsigned"):
    """Nobody has done anything to it: it signs with its first key."""


class Signing(msgspec.Struct, frozen=True, tag="signing"):
    """It signs with this key, as far as was written down."""

    vkey: str


NotaryState: TypeAlias = Unsigned | Signing


def evolve(state: NotaryState, event: NotaryEvent) -> NotaryState:
    """Apply what happened."""
    del state
    return Signing(event.vkey)
