"""What administrators and the operator do about somebody's personal data: each act is an event, its rows commit with it."""

from collections.abc import Callable
from datetime import datetime
from typing import Final, assert_never

from ledger.command_handling.answering import Handled, done_before
from ledger.command_handling.context import CommandContext
from ledger.command_handling.facts import Facts
from ledger.command_handling.handler import Alongside, handle, handle_after, rehearse
from ledger.domain.account.decide import ACCOUNT
from ledger.domain.account.state import Registered
from ledger.domain.ids import HoldId, PersonId, StreamName
from ledger.domain.subject.commands import (
    ApproveErasure,
    LiftHold,
    PlaceHold,
    RefuseErasure,
    RequestErasure,
    Subject,
    SubjectCommand,
    WithdrawErasure,
)
from ledger.domain.subject.decide import SUBJECT
from ledger.domain.subject.events import LegalBasis, Removed, SubjectEvent, SubjectKind
from ledger.erasing import data_subjects, finding, persons, rows
from ledger.erasing.rows import Named
from ledger.identity.actor import Actor
from ledger.identity.identity import Identity, settled
from ledger.identity.sessions import Principal, authority, reads_of
from ledger.store.envelope import Provenance
from ledger.store.ledger import account_stream, subject_stream
from ledger.store.pool import Connection

NOTHING: Final = Removed()


async def request(
    identity: Identity, named: Named, actor: Actor, *, basis: LegalBasis, reason: str
) -> Handled[SubjectEvent]:
    """Ask for an erasure; nothing is erased yet.

    Raises:
        LedgerError: as ``decide`` of subjects, and as ``handle``.
    """
    is_kept = await finding.is_kept(identity.ledger, named.about)

    def build(facts: Facts) -> RequestErasure:
        return RequestErasure(
            now=facts.now,
            by=actor.authority(facts),
            about=named.about,
            is_kept=is_kept,
            basis=basis,
            reason=reason,
        )

    async def write_row(conn: Connection) -> None:
        await rows.note_request(conn, identity.ledger.ledger_id, named)

    return await _handle(identity, named, build, actor, write_row)


async def withdraw(
    identity: Identity, named: Named, principal: Principal, provenance: Provenance, *, reason: str
) -> Handled[SubjectEvent]:
    """Ask for it no more; refusals as ``request``."""

    def build(facts: Facts) -> WithdrawErasure:
        return WithdrawErasure(
            now=facts.now, by=authority(facts, principal), about=named.about, reason=reason
        )

    return await _end(identity, named, build, Actor(principal=principal, provenance=provenance))


async def refuse(
    identity: Identity, named: Named, principal: Principal, provenance: Provenance, *, reason: str
) -> Handled[SubjectEvent]:
    """Say no to what somebody else asked for; refusals as ``request``."""

    def build(facts: Facts) -> RefuseErasure:
        return RefuseErasure(now=facts.now, by=authority(facts, principal), about=named.about, reason=reason)

    return await _end(identity, named, build, Actor(principal=principal, provenance=provenance))


async def approve(
    identity: Identity, named: Named, principal: Principal, provenance: Provenance
) -> Handled[SubjectEvent]:
    """Erase what somebody else asked to have erased: all of it goes in the transaction that says so, or nothing.

    A refusal is found before anything is deleted; under the lock of the append everything is looked at once more.

    Raises:
        LedgerError: as ``decide`` of subjects, and as ``handle_after``.
    """
    ledger, about = identity.ledger, named.about
    done = await done_before(ledger, SUBJECT, provenance) if provenance.is_keyed else None
    if done is not None:
        return done

    def build(facts: Facts, removed: Removed) -> SubjectCommand:
        return ApproveErasure(
            now=facts.now,
            by=authority(facts, principal),
            about=about,
            is_active=any(_is_active(facts, stream) for stream in _accounts(about)),
            removed=removed,
        )

    async def effect(conn: Connection) -> Removed:
        await rows.forget(conn, ledger.ledger_id, about.subject)
        return await _erase(conn, ledger.ledger_id, about, identity.clock())

    context = CommandContext(
        decider=SUBJECT,
        target=subject_stream(about.subject),
        clock=identity.clock,
        provenance=provenance,
        reads=sorted({*reads_of(principal), *_accounts(about)}),
    )
    await rehearse(ledger, context, lambda facts: build(facts, NOTHING))
    handled = await handle_after(ledger, context, effect, build)
    await settled(identity, handled.position)
    return handled


async def place_hold(
    identity: Identity, named: Named, actor: Actor, *, hold: HoldId, reason: str
) -> Handled[SubjectEvent]:
    """Let nothing be erased until this hold is lifted; refusals as ``request``."""
    is_kept = await finding.is_kept(identity.ledger, named.about)

    def build(facts: Facts) -> PlaceHold:
        return PlaceHold(
            now=facts.now,
            by=actor.authority(facts),
            about=named.about,
            is_kept=is_kept,
            hold=hold,
            reason=reason,
        )

    async def write_row(conn: Connection) -> None:
        await rows.note_hold(conn, identity.ledger.ledger_id, named)

    return await _handle(identity, named, build, actor, write_row)


async def lift_hold(
    identity: Identity, named: Named, actor: Actor, *, hold: HoldId, reason: str
) -> Handled[SubjectEvent]:
    """Take one hold away; refusals as ``request``."""

    def build(facts: Facts) -> LiftHold:
        return LiftHold(now=facts.now, by=actor.authority(facts), about=named.about, hold=hold, reason=reason)

    async def write_row(conn: Connection) -> None:
        await rows.note_lift(conn, identity.ledger.ledger_id, named.about.subject)

    return await _handle(identity, named, build, actor, write_row)


async def _end(
    identity: Identity, named: Named, build: Callable[[Facts], SubjectCommand], actor: Actor
) -> Handled[SubjectEvent]:
    async def write_row(conn: Connection) -> None:
        await rows.note_end(conn, identity.ledger.ledger_id, named.about.subject)

    return await _handle(identity, named, build, actor, write_row)


async def _handle(
    identity: Identity,
    named: Named,
    build: Callable[[Facts], SubjectCommand],
    actor: Actor,
    alongside: Alongside,
) -> Handled[SubjectEvent]:
    return await handle(
        identity.ledger,
        CommandContext(
            decider=SUBJECT,
            target=subject_stream(named.about.subject),
            clock=identity.clock,
            provenance=actor.provenance,
            reads=actor.reads(),
        ),
        build,
        alongside=alongside,
    )


async def _erase(conn: Connection, ledger_id: int, about: Subject, now: datetime) -> Removed:
    match about.kind:
        case SubjectKind.PERSON:
            return await persons.erase(conn, ledger_id, PersonId(about.subject))
        case SubjectKind.DATA_SUBJECT:
            return await data_subjects.erase(conn, ledger_id, about.subject, now)
        case _:
            assert_never(about.kind)


def _accounts(about: Subject) -> tuple[StreamName, ...]:
    """Name the account that must be deactivated, and stay so: a person has one."""
    return (account_stream(PersonId(about.subject)),) if about.kind is SubjectKind.PERSON else ()


def _is_active(facts: Facts, stream: StreamName) -> bool:
    account = facts.state(ACCOUNT, stream)
    return isinstance(account, Registered) and account.is_active
