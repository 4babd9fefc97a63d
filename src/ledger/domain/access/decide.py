"""What a command does to the rules of coming in: the events it causes, or the reason why not."""

from typing import Final, assert_never, get_args

from ledger.domain.access.commands import AccessCommand, DemandSecondFactor, WaiveSecondFactor
from ledger.domain.access.events import AccessEvent, SecondFactorDemanded, SecondFactorWaived
from ledger.domain.access.state import AccessState, Rules, evolve
from ledger.domain.authority import ADMINS, require, require_fresh_factor_if_any
from ledger.domain.decider import Decider
from ledger.domain.errors import ReasonMissing


def decide(command: AccessCommand, state: AccessState) -> tuple[AccessEvent, ...]:
    """Say what ``command`` causes; no events: it is so already.

    Raises:
        Refused: this person may not.
        Unauthenticated: the asking person's session has ended, or their second factor must be proven again.
        ReasonMissing: the reason is white space.
    """
    if command.reason.isspace():
        raise ReasonMissing
    by = command.by
    if by is not None:
        require(by, ADMINS)
        require_fresh_factor_if_any(by, command.now)
    person = None if by is None else by.person
    is_demanded = command.role in state.second_factor
    match command:
        case DemandSecondFactor():
            demanded = SecondFactorDemanded(
                at=command.now, role=command.role, by=person, reason=command.reason
            )
            return () if is_demanded else (demanded,)
        case WaiveSecondFactor():
            waived = SecondFactorWaived(at=command.now, role=command.role, by=person, reason=command.reason)
            return (waived,) if is_demanded else ()
        case _:
            assert_never(command)


ACCESS: Final = Decider[AccessCommand, AccessState, AccessEvent](
    category="access",
    event_types=get_args(AccessEvent),
    state_type=AccessState,
    initial=Rules(),
    decide=decide,
    evolve=evolve,
)
"""The Access aggregate, as a value."""
