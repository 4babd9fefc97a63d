"""What a command does to the notary: the event it causes, or the reason why not."""

from typing import Final, assert_never, get_args

from ledger.domain.decider import Decider
from ledger.domain.errors import ReasonMissing
from ledger.domain.notary.commands import AdoptLog, NotaryCommand, RotateNotaryKey
from ledger.domain.notary.events import NotaryAdopted, NotaryEvent, NotaryKeyRotated
from ledger.domain.notary.state import NotaryState, Unsigned, evolve


def decide(command: NotaryCommand, state: NotaryState) -> tuple[NotaryEvent, ...]:
    """Say what ``command`` causes.

    Raises:
        ReasonMissing: an auditor will ask for it.
    """
    del state
    if not command.reason.strip():
        raise ReasonMissing
    match command:
        case RotateNotaryKey():
            rotated = NotaryKeyRotated(
                at=command.now, reason=command.reason, vkey=command.vkey, previous=command.previous
            )
            return (rotated,)
        case AdoptLog():
            return (_adopted(command),)
        case _:
            assert_never(command)


def _adopted(command: AdoptLog) -> NotaryAdopted:
    return NotaryAdopted(
        at=command.now,
        reason=command.reason,
        cause=command.cause,
        origin=command.origin,
        vkey=command.vkey,
        size=command.size,
        root=command.root,
        guard_size=command.guard_size,
        guard_root=command.guard_root,
    )


NOTARY: Final = Decider[NotaryCommand, NotaryState, NotaryEvent](
    category="notary",
    event_types=get_args(NotaryEvent),
    state_type=NotaryState,
    initial=Unsigned(),
    decide=decide,
    evolve=evolve,
)
"""The Notary aggregate, as a value."""
