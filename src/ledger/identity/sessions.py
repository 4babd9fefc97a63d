"""Who is asking: a bearer token becomes a principal, a principal becomes the authority of a command."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta

import msgspec
import structlog

from ledger.command_handling.facts import Facts, state_asked_often
from ledger.domain.account.decide import ACCOUNT
from ledger.domain.account.state import AccountState, ApiKey, Registered, keeps, live_key
from ledger.domain.authority import Authority, InsufficientPermissions, Role, SessionNotLive
from ledger.domain.errors import Unavailable
from ledger.domain.ids import PersonId, SessionId, StreamName
from ledger.domain.session.decide import SESSION
from ledger.domain.session.state import Active, SessionState, is_live
from ledger.identity import key_rows, session_rows
from ledger.identity.identity import Identity
from ledger.identity.key_rows import is_api_key
from ledger.identity.tokens import InvalidToken
from ledger.store.ledger import account_stream, session_stream
from ledger.store.pool import reading
from ledger.store.streams import Stream, read_streams

log = structlog.get_logger()


class Principal(msgspec.Struct, frozen=True, kw_only=True):
    """A person in a session, or a machine with an API key, that was good when the request came in.

    One of ``session`` and ``key`` is ``None``.
    """

    person: PersonId
    session: SessionId | None
    role: Role
    is_lead: bool
    groups: tuple[str, ...] = ()
    key: ApiKey | None = None


async def authenticate(identity: Identity, bearer: str) -> Principal:
    """Tell who holds this access token or API key; exact on every instance (``following``).

    Raises:
        InvalidToken: it is none of ours, or made for something else; or a key that was revoked or has expired.
        TokenExpired: its 30 minutes are over.
        SessionNotLive: the session has ended, or the account no longer keeps it.
        Unavailable: the database has to be asked, and cannot be reached.
    """
    now = identity.clock()
    if is_api_key(bearer):
        return await _machine(identity, bearer, now)
    claims = identity.tokens.read_access(bearer, now)
    names = [session_stream(claims.sid), account_stream(claims.sub)]
    principal = principal_in(await _read(identity, names), claims.sub, claims.sid, now)
    if identity.uses.is_due(claims.sid, now):
        await _note_use(identity, claims.sid, now)
    return principal


async def still_in(identity: Identity, principal: Principal) -> Principal:
    """Tell what somebody who came in before is by now: for calls that last.

    Raises:
        Unauthenticated: their session has ended, the account no longer keeps it, or the key is good no more.
        Unavailable: the database has to be asked, and cannot be reached.
    """
    now, person = identity.clock(), principal.person
    if principal.session is not None:
        names = [session_stream(principal.session), account_stream(person)]
        return principal_in(await _read(identity, names), person, principal.session, now)
    stream = account_stream(person)
    account = state_asked_often(ACCOUNT, (await _read(identity, [stream]))[stream])
    if principal.key is None or live_key(account, principal.key.key, now) is None:
        raise InvalidToken
    return principal


async def principal_of(identity: Identity, person: PersonId, session: SessionId, now: datetime) -> Principal:
    """Look both streams up in the database, in one round trip.

    Raises:
        SessionNotLive: the session has ended, or the account no longer keeps it.
    """
    names = [session_stream(session), account_stream(person)]
    return principal_in(await read_streams(identity.ledger, names), person, session, now)


def reads_of(principal: Principal) -> tuple[StreamName, ...]:
    """Name the streams that a command of this caller relies on: their session, if they have one, and their account."""
    its_account = account_stream(principal.person)
    return (its_account,) if principal.session is None else (session_stream(principal.session), its_account)


def authority(facts: Facts, principal: Principal) -> Authority:
    """Say what this caller may do, as the streams (``reads_of``) said when the attempt began."""
    account = facts.state(ACCOUNT, account_stream(principal.person))
    if principal.session is None:
        key = None if principal.key is None else live_key(account, principal.key.key, facts.now)
        return _key_standing(principal.person, account, key)
    session = facts.state(SESSION, session_stream(principal.session))
    return _standing(principal.person, principal.session, session, account, facts.now)


def own_session(principal: Principal) -> SessionId:
    """Name the session that a person acts in.

    Raises:
        InsufficientPermissions: it is a machine.
    """
    if principal.session is None:
        raise InsufficientPermissions(role=principal.role.value)
    return principal.session


async def _read(identity: Identity, names: Sequence[StreamName]) -> Mapping[StreamName, Stream]:
    if identity.following is None:
        return await read_streams(identity.ledger, names)
    return await identity.following.read(names)


async def _note_use(identity: Identity, session: SessionId, now: datetime) -> None:
    """Note that a session is used; it is as good when that cannot be written down."""
    stale = now - timedelta(seconds=identity.limits.seen_every_seconds)
    with suppress(Unavailable):
        async with reading(identity.ledger.pool) as conn:
            await session_rows.touch(conn, identity.ledger.ledger_id, session, now=now, unless_since=stale)


async def _machine(identity: Identity, bearer: str, now: datetime) -> Principal:
    held = await identity.api_keys.find(bearer)
    if held is None:
        raise InvalidToken
    stream = account_stream(held.person)
    account = state_asked_often(ACCOUNT, (await _read(identity, [stream]))[stream])
    key = live_key(account, held.key, now)
    if key is None:
        raise InvalidToken
    if key.credential not in {None, held.credential}:
        log.error("api_key.not_as_issued", key_id=str(held.key), advice="its row was changed: revoke it")
        raise InvalidToken
    if identity.uses.is_due(held.key, now):
        with suppress(Unavailable):
            await key_rows.touch(identity.ledger.pool, identity.ledger.ledger_id, held.key, now)
    return Principal(person=held.person, session=None, role=Role.SERVICE, is_lead=False, key=key)


def principal_in(
    streams: Mapping[StreamName, Stream], person: PersonId, session: SessionId, now: datetime
) -> Principal:
    """Say what the two ``streams`` make of somebody.

    Raises:
        SessionNotLive: the session has ended, or the account no longer keeps it.
    """
    standing = _standing(
        person,
        session,
        state_asked_often(SESSION, streams[session_stream(session)]),
        state_asked_often(ACCOUNT, streams[account_stream(person)]),
        now,
    )
    if not (standing.session_is_live and standing.is_active):
        raise SessionNotLive(session=session)
    return Principal(
        person=person,
        session=session,
        role=standing.role,
        is_lead=standing.is_lead,
        groups=standing.groups,
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
        has_second_factor=known is not None and known.second_factor,
        is_paused=active is not None and active.is_paused,
        groups=known.groups if known else (),
    )


def _key_standing(person: PersonId, account: AccountState, key: ApiKey | None) -> Authority:
    return Authority(
        person=person,
        session=None,
        role=Role.SERVICE,
        is_lead=False,
        is_active=isinstance(account, Registered) and account.is_active,
        session_is_live=key is not None,
        stepped_up_at=None,
    )
