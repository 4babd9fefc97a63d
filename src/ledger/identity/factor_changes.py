"""Giving a second factor up, taking a lost one away, and new backup codes."""

from ledger.command_handling.answering import Handled
from ledger.command_handling.context import CommandContext
from ledger.command_handling.facts import Facts
from ledger.command_handling.handler import handle
from ledger.domain.access.decide import ACCESS
from ledger.domain.account.commands import DisableSecondFactor, RenewBackupCodes
from ledger.domain.account.decide import ACCOUNT
from ledger.domain.account.events import AccountEvent
from ledger.domain.account.state import Registered
from ledger.domain.ids import PersonId
from ledger.identity import factor_codes, factor_rows
from ledger.identity.actor import Actor
from ledger.identity.ending import left_for_later, revoke_lapsed
from ledger.identity.identity import Identity, settled
from ledger.identity.sessions import Principal, authority, own_session
from ledger.store.envelope import Provenance
from ledger.store.ledger import ACCESS_STREAM, account_stream, session_stream
from ledger.store.pool import Connection


async def disable(
    identity: Identity, person: PersonId, actor: Actor, *, reason: str
) -> Handled[AccountEvent]:
    """Ask a person for no second factor any more: one's own, or anybody's as an administrator or the operator.

    The person's other sessions end.

    Raises:
        AdminRequired: it is somebody else's, and who asks is no administrator.
        StepUpRequired: it has to be proven again first; an administrator's own, if they have one.
        SecondFactorNeeded: it is one's own, and the role demands one.
    """
    ledger, target = identity.ledger, account_stream(person)

    def build(facts: Facts) -> DisableSecondFactor:
        account = facts.state(ACCOUNT, target)
        demanded = facts.state(ACCESS, ACCESS_STREAM).second_factor
        return DisableSecondFactor(
            now=facts.now,
            by=actor.authority(facts),
            reason=reason,
            is_demanded=isinstance(account, Registered) and account.role in demanded,
        )

    async def remove_row(conn: Connection) -> None:
        await factor_rows.remove(conn, ledger.ledger_id, person)

    reads = {ACCESS_STREAM, *actor.reads()} - {target}
    handled = await handle(
        ledger,
        CommandContext(
            decider=ACCOUNT,
            target=target,
            clock=identity.clock,
            provenance=actor.provenance,
            reads=sorted(reads),
        ),
        build,
        alongside=remove_row,
    )
    with left_for_later("revocations"):
        await revoke_lapsed(identity, [person])
    await settled(identity, handled.position)
    return handled


async def renew_backup_codes(
    identity: Identity, principal: Principal, provenance: Provenance
) -> tuple[str, ...]:
    """Make new backup codes, shown this once; those before are good for nothing.

    Raises:
        SecondFactorNotEnabled: there is nothing they could stand in for.
        StepUpRequired: the second factor has to be proven again first.
    """
    ledger, codes = identity.ledger, factor_codes.new_backup_codes()

    def build(facts: Facts) -> RenewBackupCodes:
        return RenewBackupCodes(now=facts.now, by=authority(facts, principal))

    async def replace_rows(conn: Connection) -> None:
        hashes = [factor_codes.backup_hash(code) for code in codes]
        await factor_rows.replace_codes(conn, ledger.ledger_id, principal.person, hashes)

    await handle(
        ledger,
        CommandContext(
            decider=ACCOUNT,
            target=account_stream(principal.person),
            clock=identity.clock,
            provenance=provenance,
            reads=[session_stream(own_session(principal))],
        ),
        build,
        alongside=replace_rows,
    )
    return codes
