"""The rules of coming in: which roles may not do without a second factor."""

from ledger.command_handling.answering import Handled
from ledger.command_handling.context import CommandContext
from ledger.command_handling.facts import Facts, state_of
from ledger.command_handling.handler import handle
from ledger.domain.access.commands import AccessCommand, DemandSecondFactor, WaiveSecondFactor
from ledger.domain.access.decide import ACCESS
from ledger.domain.access.events import AccessEvent
from ledger.domain.account.decide import ACCOUNT
from ledger.domain.account.state import Registered
from ledger.domain.authority import Role
from ledger.domain.ids import PersonId
from ledger.identity.actor import Actor
from ledger.identity.identity import Identity
from ledger.store.ledger import ACCESS_STREAM, account_stream
from ledger.store.streams import read_stream, read_streams


async def demanding_roles(identity: Identity) -> tuple[Role, ...]:
    """Name the roles that may not do without a second factor."""
    return state_of(ACCESS, await read_stream(identity.ledger, ACCESS_STREAM)).second_factor


async def lacks_second_factor(identity: Identity, person: PersonId) -> bool:
    """Tell whether a person's role demands a second factor that they do not have."""
    its_account = account_stream(person)
    streams = await read_streams(identity.ledger, [its_account, ACCESS_STREAM])
    account = state_of(ACCOUNT, streams[its_account])
    rules = state_of(ACCESS, streams[ACCESS_STREAM])
    return (
        isinstance(account, Registered) and account.role in rules.second_factor and not account.second_factor
    )


async def require_second_factor(
    identity: Identity,
    role: Role,
    actor: Actor,
    *,
    is_required: bool,
    reason: str,
) -> Handled[AccessEvent]:
    """Demand a second factor of everybody of a role, or waive it; an administrator does, or the operator.

    Raises:
        AdminRequired: somebody else asks for it.
        StepUpRequired: the administrator has a second factor and has to prove it again.
    """

    def build(facts: Facts) -> AccessCommand:
        wish = DemandSecondFactor if is_required else WaiveSecondFactor
        return wish(now=facts.now, by=actor.authority(facts), role=role, reason=reason)

    return await handle(
        identity.ledger,
        CommandContext(
            decider=ACCESS,
            target=ACCESS_STREAM,
            clock=identity.clock,
            provenance=actor.provenance,
            reads=actor.reads(),
        ),
        build,
    )
