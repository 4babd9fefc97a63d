"""How sessions end: by logging out, by being too many, because their account no longer keeps them."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from typing import Final, assert_never

import structlog

from ledger.command_handling.answering import Handled
from ledger.command_handling.context import CommandContext
from ledger.command_handling.facts import Facts
from ledger.command_handling.handler import handle
from ledger.domain.account.decide import ACCOUNT
from ledger.domain.account.events import (
    AccountDeactivated,
    AccountEvent,
    AccountReactivated,
    AccountRegistered,
    ApiKeyIssued,
    ApiKeyRevoked,
    BackupCodesRenewed,
    GroupsChanged,
    LeadGranted,
    LeadRevoked,
    PasswordChanged,
    RoleChanged,
    SecondFactorDisabled,
    SecondFactorEnabled,
)
from ledger.domain.account.state import AccountState, Registered, keeps
from ledger.domain.decider import fold
from ledger.domain.errors import Overloaded, Unavailable, VersionConflict
from ledger.domain.ids import PersonId, SessionId, StreamName
from ledger.domain.session.commands import DismissSession, EndSession, RevokeSession, SessionCommand
from ledger.domain.session.decide import SESSION
from ledger.domain.session.events import EndCause, RevocationCause, SessionEvent
from ledger.identity import session_rows
from ledger.identity.identity import SYSTEM, Identity, settled
from ledger.identity.session_rows import OpenRow
from ledger.identity.sessions import Principal, authority, own_session, reads_of
from ledger.store.envelope import Provenance
from ledger.store.ledger import account_stream, session_stream
from ledger.store.streams import Recorded, keyed_command_id, read_streams, recorded

log = structlog.get_logger()

AT_ONCE: Final = 50
"""How many sessions are ended at the same time; their appends travel as one batch."""


@contextmanager
def left_for_later(what: str) -> Iterator[None]:
    """Let fail, for now, what follows a command that has taken effect: its caller must not hear that it has not.

    The sweep makes up for ``what`` (a kind, for the log), or the next login does.
    """
    try:
        yield
    except (Unavailable, Overloaded, VersionConflict) as failed:
        log.warning("identity.left_for_later", what=what, code=failed.code)


async def logout(identity: Identity, principal: Principal, provenance: Provenance) -> Handled[SessionEvent]:
    """End the session that asks for it; its tokens stop working at once, everywhere."""
    handled = await end(identity, own_session(principal), _ending(EndCause.LOGOUT), provenance)
    await settled(identity, handled.position)
    return handled


async def dismiss(
    identity: Identity, session: SessionId, *, reason: str, by: Principal, provenance: Provenance
) -> Handled[SessionEvent]:
    """Take a session away, one's own or as an administrator anybody's; its tokens stop working at once, everywhere.

    Raises:
        SessionNotFound: nobody opened it.
        InsufficientPermissions: it is somebody else's, and ``by`` is no administrator.
    """

    def build(facts: Facts) -> DismissSession:
        return DismissSession(now=facts.now, by=authority(facts, by), reason=reason)

    handled = await end(identity, session, build, provenance, reads=reads_of(by))
    await settled(identity, handled.position)
    return handled


async def end(
    identity: Identity,
    session: SessionId,
    build: Callable[[Facts], SessionCommand],
    provenance: Provenance,
    *,
    reads: Sequence[StreamName] = (),
) -> Handled[SessionEvent]:
    """End one session, on the strength of ``reads``; one that is over already stays as it ended.

    Raises:
        SessionNotFound: nobody opened it.
    """
    ledger, target = identity.ledger, session_stream(session)
    handled = await handle(
        ledger,
        CommandContext(
            decider=SESSION,
            target=target,
            clock=identity.clock,
            provenance=provenance,
            reads=[name for name in reads if name != target],
        ),
        build,
    )
    with left_for_later("session-row"):
        await session_rows.close(ledger.pool, ledger.ledger_id, [session], identity.clock())
    return handled


async def end_excess(identity: Identity, person: PersonId) -> None:
    """End the longest idle sessions beyond as many as an account may have."""
    ledger = identity.ledger
    allowed = identity.limits.max_sessions
    excess = await session_rows.beyond(ledger.pool, ledger.ledger_id, person, allowed)
    await _all(
        [
            end(identity, session, _ending(EndCause.TOO_MANY), unasked(session, EndCause.TOO_MANY.value))
            for session in excess
        ]
    )


async def revoke_lapsed(identity: Identity, persons: Sequence[PersonId]) -> None:
    """Record the end of every open session of these people that its account no longer keeps.

    They are dead already, since the event that raised the epoch; this says so in their own streams, once
    however often it is repeated: the ids of what it writes come from that event and the session.
    """
    ledger = identity.ledger
    rows = await session_rows.open_of(ledger.pool, ledger.ledger_id, persons)
    streams = await read_streams(ledger, sorted({account_stream(row.person) for row in rows}))
    histories = {
        name: [recorded(stored, ACCOUNT.event_types) for stored in stream.events]
        for name, stream in streams.items()
    }
    lapsed = [(row, _ended_by(row, histories[account_stream(row.person)])) for row in rows]
    await _all([_revoke(identity, row, cause) for row, cause in lapsed if cause is not None])


async def _revoke(identity: Identity, row: OpenRow, cause: Recorded[AccountEvent]) -> None:
    def build(facts: Facts) -> RevokeSession:
        return _revocation(cause.event, row.person, facts)

    provenance = Provenance(
        actor=cause.actor,
        command_id=keyed_command_id(cause.event_id, session_stream(row.session)),
        is_keyed=True,
        causation_id=cause.event_id,
    )
    await end(identity, row.session, build, provenance)


def _ended_by(row: OpenRow, history: Sequence[Recorded[AccountEvent]]) -> Recorded[AccountEvent] | None:
    """Find the event with which the account stopped keeping this session; ``None``: it still does."""
    account: AccountState = ACCOUNT.initial
    for happened in history:
        account = fold(ACCOUNT, [happened.event], account)
        if (
            isinstance(account, Registered)
            and account.epoch > row.epoch
            and not keeps(account, row.session, row.epoch)
        ):
            return happened
    return None


def _revocation(event: AccountEvent, person: PersonId, facts: Facts) -> RevokeSession:
    match event:
        case RoleChanged():
            by, cause, reason = event.by, RevocationCause.ROLE_CHANGED, event.reason
        case AccountDeactivated():
            by, cause, reason = event.by, RevocationCause.DEACTIVATED, event.reason
        case PasswordChanged():
            by, cause, reason = event.by, RevocationCause.PASSWORD_CHANGED, event.reason
        case SecondFactorEnabled():
            by, cause, reason = person, RevocationCause.SECOND_FACTOR_CHANGED, ""
        case SecondFactorDisabled():
            by, cause, reason = event.by, RevocationCause.SECOND_FACTOR_CHANGED, event.reason
        case (
            AccountRegistered()
            | AccountReactivated()
            | GroupsChanged()
            | LeadGranted()
            | LeadRevoked()
            | BackupCodesRenewed()
            | ApiKeyIssued()
            | ApiKeyRevoked()
        ):
            raise AssertionError  # none of them raises the epoch
        case _:
            assert_never(event)
    return RevokeSession(now=facts.now, by=by, cause=cause, reason=reason)


def _ending(cause: EndCause) -> Callable[[Facts], SessionCommand]:
    def build(facts: Facts) -> EndSession:
        return EndSession(now=facts.now, cause=cause)

    return build


def unasked(session: SessionId, why: str) -> Provenance:
    """Say that nobody asked; what ends a session for one reason has one id, however often it is tried."""
    return Provenance(actor=SYSTEM, command_id=keyed_command_id(session, why), is_keyed=True)


async def _all(endings: Sequence[Coroutine[None, None, object]]) -> None:
    for first in range(0, len(endings), AT_ONCE):
        await asyncio.gather(*endings[first : first + AT_ONCE])
