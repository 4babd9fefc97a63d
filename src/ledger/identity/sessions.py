"""Who is asking: a bearer token becomes a principal, a principal becomes the authority of a command."""

from datetime import datetime

import msgspec

from ledger.command_handler import Facts, state_of
from ledger.domain.account.decide import ACCOUNT
from ledger.domain.account.state import AccountState, Registered, keeps
from ledger.domain.authority import Authority, Role, SessionNotLive
from ledger.domain.ids import PersonId, SessionId, StreamName
from ledger.domain.session.decide import SESSION
from ledger.domain.session.state import Active, SessionState, is_live
from ledger.identity.identity import Identity
from ledger.store.ledger import account_stream, session_stream
from ledger.store.streams import read_streams


class Principal(msgspec.Struct, frozen=True, kw_only=True):
    """A person in a session that was live when the request came in."""

    person: PersonId
    session: SessionId
    role: Role
    is_lead: bool


async def authenticate(identity: Identity, bearer: str) -> Principal:
    """Tell who holds this access token; exact on every instance, for it asks the log itself.

    Raises:
        InvalidToken: it is none of ours, or made for something else.
        TokenExpired: its 30 minutes are over.
        SessionNotLive: the session has ended, or the account no longer keeps it.
        Unavailable: the database cannot be reached.
    """
    now = identity.clock()
    claims = identity.tokens.read_access(bearer, now)
    return await principal_of(identity, claims.sub, claims.sid, now)


async def principal_of(identity: Identity, person: PersonId, session: SessionId, now: datetime) -> Principal:
    """Look both streams up, in one round trip.

    Raises:
        SessionNotLive: the session has ended, or the account no longer keeps it.
    """
    its_session, its_account = session_stream(session), account_stream(person)
    streams = await read_streams(identity.ledger, [its_session, its_account])
    standing = _standing(
        person,
        session,
        state_of(SESSION, streams[its_session]),
        state_of(ACCOUNT, streams[its_account]),
        now,
    )
    if not (standing.session_is_live and standing.is_active):
        raise SessionNotLive(session=session)
    return Principal(
        person=standing.person, session=standing.session, role=standing.role, is_lead=standing.is_lead
    )


def reads_of(principal: Principal) -> tuple[StreamName, StreamName]:
    """Name the streams that a command of this person relies on: their session and their account."""
    return session_stream(principal.session), account_stream(principal.person)


def authority(facts: Facts, principal: Principal) -> Authority:
    """Say what this person may do, as both streams (``reads_of``) said when the attempt began."""
    its_session, its_account = reads_of(principal)
    return _standing(
        principal.person,
        principal.session,
        facts.state(SESSION, its_session),
        facts.state(ACCOUNT, its_account),
        facts.now,
    )


def _standing(
    person: PersonId, session_id: SessionId, session: SessionState, account: AccountState, now: datetime
) -> Authority:
    known = account if isinstance(account, Registered) else None
    active = session if isinstance(session, Active) else None
    return Authority(
        person=person,
        session=session_id,
        role=known.role if known else Role.VIEWER,
        is_lead=known is not None and known.is_lead,
        is_active=known is not None and known.is_active,
        session_is_live=active is not None
        and active.person == person
        and is_live(active, now)
        and keeps(account, session_id, active.epoch),
        stepped_up_at=active.stepped_up_at if active else None,
    )
