"""Changing accounts: who is let in, as what, in which groups, by which password; sessions end with what they relied on."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from ledger.command_handling.answering import Handled
from ledger.command_handling.context import CommandContext
from ledger.command_handling.facts import Facts
from ledger.command_handling.handler import MAX_ATTEMPTS, Alongside, handle
from ledger.domain.account.commands import (
    AccountCommand,
    ChangeGroups,
    ChangePassword,
    ChangeRole,
    DeactivateAccount,
    GrantLead,
    ReactivateAccount,
    RevokeLead,
)
from ledger.domain.account.decide import ACCOUNT, AccountNotFound, LastAdmin
from ledger.domain.account.events import AccountEvent
from ledger.domain.account.state import Registered
from ledger.domain.authority import AdminRequired, Authority, Role
from ledger.domain.errors import Refused
from ledger.domain.event import Utc
from ledger.domain.ids import PersonId
from ledger.identity import credentials, people
from ledger.identity.actor import Actor
from ledger.identity.ending import left_for_later, revoke_lapsed
from ledger.identity.identity import Identity, settled
from ledger.identity.login import WrongCredentials, compare
from ledger.identity.sessions import Principal
from ledger.projections.views.directory import another_active_admin
from ledger.store.ledger import account_stream
from ledger.store.pool import Connection, reading

VIEW_WAIT: Final = 0.1
"""Seconds until the directory is asked again for another administrator, after it named one who is none."""


class WrongCurrentPassword(Refused):
    """The current password is another."""

    code = "wrong-current-password"
    advice = "Changing one's own password needs the current one."


class _Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What a command is made of; ``by`` is ``None`` for the operator."""

    now: Utc
    by: Authority | None
    another_admin: bool


_Order = Callable[[_Asked], AccountCommand]


async def deactivate(
    identity: Identity, username: str, actor: Actor, *, reason: str
) -> Handled[AccountEvent]:
    """Keep a person out and end their sessions; an administrator does, or the operator.

    Raises:
        AdminRequired: somebody else asks for it.
        AccountNotFound: nobody has this user name.
        LastAdmin: no other active administrator would be left.
    """

    def order(asked: _Asked) -> DeactivateAccount:
        return DeactivateAccount(now=asked.now, by=asked.by, reason=reason, another_admin=asked.another_admin)

    return await _leave_an_admin(identity, username, order, actor)


async def reactivate(
    identity: Identity, username: str, actor: Actor, *, reason: str
) -> Handled[AccountEvent]:
    """Let a person in again; refusals as ``change_role``."""

    def order(asked: _Asked) -> ReactivateAccount:
        return ReactivateAccount(now=asked.now, by=asked.by, reason=reason)

    person = await find_for(identity, username, actor.principal)

    async def hold_row(conn: Connection) -> None:
        """Keep whoever is about to erase them waiting, or learn that it was done."""
        if not await people.hold(conn, identity.ledger.ledger_id, person):
            raise AccountNotFound

    return await _change(identity, person, order, actor, alongside=hold_row)


async def change_role(
    identity: Identity, username: str, actor: Actor, *, role: Role, reason: str
) -> Handled[AccountEvent]:
    """Give a person another job and end their sessions; refusals as ``deactivate``.

    Raises:
        StepUpRequired: an administrator comes of it, and who asks has a second factor to be proven again.
    """

    def order(asked: _Asked) -> ChangeRole:
        return ChangeRole(
            now=asked.now, by=asked.by, role=role, reason=reason, another_admin=asked.another_admin
        )

    return await _leave_an_admin(identity, username, order, actor)


async def change_groups(
    identity: Identity, username: str, actor: Actor, *, groups: Sequence[str], reason: str
) -> Handled[AccountEvent]:
    """Put a person into these groups and no others; it holds from their next command on, and no session ends.

    Raises:
        AdminRequired: somebody else asks for it.
        AccountNotFound: nobody has this user name.
        ReasonMissing, MalformedGroupName, TooManyGroups: the wish is not well-formed.
        NotADecider: the account's role is for nobody who votes.
    """

    def order(asked: _Asked) -> ChangeGroups:
        return ChangeGroups(now=asked.now, by=asked.by, groups=tuple(groups), reason=reason)

    person = await find_for(identity, username, actor.principal)
    return await _change(identity, person, order, actor)


async def change_lead(
    identity: Identity, username: str, actor: Actor, *, is_lead: bool, reason: str
) -> Handled[AccountEvent]:
    """Let an analyst lead, or lead no more; it holds from their next command on, and no session ends.

    Raises:
        AdminRequired: somebody else asks for it.
        AccountNotFound: nobody has this user name.
        ReasonMissing: it does not say why.
        NotAnAnalyst: nobody else leads.
    """

    def order(asked: _Asked) -> GrantLead | RevokeLead:
        wish = GrantLead if is_lead else RevokeLead
        return wish(now=asked.now, by=asked.by, reason=reason)

    person = await find_for(identity, username, actor.principal)
    return await _change(identity, person, order, actor)


async def change_password(
    identity: Identity,
    username: str,
    actor: Actor,
    *,
    new_password: str,
    current_password: str | None = None,
    reason: str = "",
) -> Handled[AccountEvent]:
    """Change one's own password by the current one, or anybody else's as an administrator; all sessions end.

    Raises:
        WrongCurrentPassword: one's own, and the current one is missing or another.
        AdminRequired: somebody else's, asked for by no administrator.
        StepUpRequired: another administrator's, and who asks has a second factor to be proven again.
        AccountNotFound: nobody has this user name.
        TooManyFailures: the current one was wrong too often.
        Overloaded: too many passwords wait to be compared.
    """
    ledger = identity.ledger
    person = await find_for(identity, username, actor.principal)
    is_own = actor.principal is not None and actor.principal.person == person
    is_proven = not is_own or await _is_current(identity, username, person, current_password)
    password_hash = await identity.passwords.hash(new_password)

    def order(asked: _Asked) -> ChangePassword:
        # Refused only here: a command sent again has its answer, though the password is another by now.
        if not is_proven:
            raise WrongCurrentPassword
        return ChangePassword(
            now=asked.now,
            by=asked.by,
            reason=reason,
            credential=credentials.committed(password_hash.encode()),
        )

    async def write_row(conn: Connection) -> None:
        await credentials.replace(conn, ledger.ledger_id, person, password_hash, identity.clock())

    return await _change(identity, person, order, actor, alongside=write_row)


async def _is_current(identity: Identity, username: str, person: PersonId, password: str | None) -> bool:
    """Check the current password; if it changes before the new one is written, so does the epoch, and the asking
    session is dead. A wrong one counts as a failed login: whoever stole a session may not guess here either.
    """
    if password is None:
        return False
    try:
        async with identity.guesses.password(username, person):
            await compare(identity, person, password)
    except WrongCredentials:
        return False
    return True


async def find_for(identity: Identity, username: str, by: Principal | None) -> PersonId:
    """Find whom somebody asks about: others than oneself are there for administrators and the operator (``None``).

    Raises:
        AdminRequired: somebody else asks, who does not learn whether there is anybody of this user name.
        AccountNotFound: nobody has it.
    """
    ledger = identity.ledger
    found = await people.find(ledger.pool, ledger.ledger_id, username)
    if by is not None and by.role is not Role.ADMIN and (found is None or found.person != by.person):
        raise AdminRequired(role=by.role.value)
    if found is None:
        raise AccountNotFound
    return found.person


async def _leave_an_admin(
    identity: Identity, username: str, order: _Order, actor: Actor
) -> Handled[AccountEvent]:
    """Change an account that may be an administrator's, on the strength of another active one's account.

    The directory names one, the command reads that account itself: two who deactivate each other at once meet
    in the append, and one of them stays. A directory that lags may name somebody who is none any more: it is
    asked again, three times in all, a tenth of a second apart.
    """
    person = await find_for(identity, username, actor.principal)
    for attempt in range(1, MAX_ATTEMPTS + 1):
        other = await _another_admin(identity, person)
        try:
            return await _change(identity, person, order, actor, other=other)
        except LastAdmin:
            if other is None or attempt == MAX_ATTEMPTS:
                raise
            await asyncio.sleep(VIEW_WAIT)
    raise AssertionError  # the loop above returns or raises


async def _another_admin(identity: Identity, person: PersonId) -> PersonId | None:
    ledger = identity.ledger
    async with reading(ledger.pool) as conn:
        return await another_active_admin(conn, ledger.ledger_id, person)


async def _change(
    identity: Identity,
    person: PersonId,
    order: _Order,
    actor: Actor,
    *,
    other: PersonId | None = None,
    alongside: Alongside | None = None,
) -> Handled[AccountEvent]:
    target = account_stream(person)
    reads = {*actor.reads(), *(() if other is None else (account_stream(other),))}

    def build(facts: Facts) -> AccountCommand:
        is_another = _is_active_admin(facts, other)
        return order(_Asked(now=facts.now, by=actor.authority(facts), another_admin=is_another))

    handled = await handle(
        identity.ledger,
        CommandContext(
            decider=ACCOUNT,
            target=target,
            clock=identity.clock,
            provenance=actor.provenance,
            reads=sorted(reads - {target}),
        ),
        build,
        alongside=alongside,
    )
    with left_for_later("revocations"):
        await revoke_lapsed(identity, [person])
    await settled(identity, handled.position)
    return handled


def _is_active_admin(facts: Facts, person: PersonId | None) -> bool:
    account = None if person is None else facts.state(ACCOUNT, account_stream(person))
    return isinstance(account, Registered) and account.is_active and account.role is Role.ADMIN
