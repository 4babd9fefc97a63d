"""Within a session: proving the second factor again, having a break and coming back."""

from collections.abc import Callable

from ledger.command_handling.answering import Handled
from ledger.command_handling.context import CommandContext
from ledger.command_handling.facts import Facts
from ledger.command_handling.handler import Alongside, handle
from ledger.domain.session.commands import PauseSession, ResumeSession, SessionCommand, StepUp
from ledger.domain.session.decide import SESSION
from ledger.domain.session.events import Factor, SessionEvent
from ledger.identity.identity import Identity, settled
from ledger.identity.proving import InvalidCode, SecondFactorNotSetUp, factor_of, prove
from ledger.identity.sessions import Principal, authority, own_session
from ledger.store.envelope import Provenance
from ledger.store.ledger import account_stream, session_stream
from ledger.store.streams import new_command_id


async def step_up(
    identity: Identity, principal: Principal, code: str, provenance: Provenance
) -> Handled[SessionEvent]:
    """Prove the second factor again, by a time-based code or a backup code; a failed try is on the record too.

    Raises:
        SecondFactorNotSetUp: the person has none.
        InvalidCode: the code is wrong, or was used already.
        TooManyFailures: too many codes were wrong; this one was not compared.
    """
    row = await factor_of(identity, principal.person)
    if not row.is_enabled:
        raise SecondFactorNotSetUp
    try:
        async with identity.guesses.code(principal.person):
            proof = prove(identity, principal.person, row, code)
            return await _handle(
                identity, principal, _try(principal, proof.factor), provenance, alongside=proof.use
            )
    except InvalidCode:
        failed = Provenance(
            actor=provenance.actor,
            command_id=new_command_id(),
            correlation_id=provenance.correlation_id,
        )
        await _handle(identity, principal, _try(principal, None), failed)
        raise


async def pause(identity: Identity, principal: Principal, provenance: Provenance) -> Handled[SessionEvent]:
    """Have a break: until it is resumed, the session decides nothing."""

    def build(facts: Facts) -> PauseSession:
        return PauseSession(now=facts.now, by=authority(facts, principal))

    return await _handle(identity, principal, build, provenance)


async def resume(identity: Identity, principal: Principal, provenance: Provenance) -> Handled[SessionEvent]:
    """End the break."""

    def build(facts: Facts) -> ResumeSession:
        return ResumeSession(now=facts.now, by=authority(facts, principal))

    return await _handle(identity, principal, build, provenance)


def _try(principal: Principal, factor: Factor | None) -> Callable[[Facts], SessionCommand]:
    def build(facts: Facts) -> StepUp:
        return StepUp(now=facts.now, by=authority(facts, principal), factor=factor)

    return build


async def _handle(
    identity: Identity,
    principal: Principal,
    build: Callable[[Facts], SessionCommand],
    provenance: Provenance,
    *,
    alongside: Alongside | None = None,
) -> Handled[SessionEvent]:
    handled = await handle(
        identity.ledger,
        CommandContext(
            decider=SESSION,
            target=session_stream(own_session(principal)),
            clock=identity.clock,
            provenance=provenance,
            reads=[account_stream(principal.person)],
        ),
        build,
        alongside=alongside,
    )
    await settled(identity, handled.position)
    return handled
