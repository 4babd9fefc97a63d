"""Refreshing: a spent token for a new pair; a spent token that comes back too late ends the session."""

from datetime import datetime, timedelta

import msgspec
import structlog

from ledger.command_handling.facts import Facts, state_of
from ledger.domain.authority import SessionNotLive
from ledger.domain.errors import Unauthenticated
from ledger.domain.session.commands import RevokeSession
from ledger.domain.session.decide import SESSION
from ledger.domain.session.events import RevocationCause
from ledger.domain.session.state import Active
from ledger.identity import refresh_rows, session_rows
from ledger.identity.access import lacks_second_factor
from ledger.identity.credentials import committed
from ledger.identity.ending import end, unasked
from ledger.identity.identity import Identity, settled, writing
from ledger.identity.refresh_rows import Held
from ledger.identity.sessions import principal_in
from ledger.store.ledger import account_stream, session_stream
from ledger.store.streams import read_streams

log = structlog.get_logger()


class InvalidRefreshToken(Unauthenticated):
    """Could not validate credentials: this refresh token is not good."""

    code = "invalid-refresh-token"
    advice = "Log in again."


class RefreshTokenReused(InvalidRefreshToken):
    """Could not validate credentials: this refresh token was spent before, so its session has been revoked."""

    code = "refresh-token-reused"


class Pair(msgspec.Struct, frozen=True, kw_only=True):
    """A new access token, and the refresh token for the next time."""

    access_token: str
    refresh_token: str


async def refresh(identity: Identity, token: str) -> Pair:
    """Spend a refresh token for a new pair.

    One that was spent within the last ten seconds gets another pair of the same family: two tabs asked at once,
    or the first answer was lost. What it gets is of the family's newest generation, and using one token of a
    generation spends all of them. So if two parties go on from one token, whoever comes later comes with a spent
    one: two parties hold it, and one of them stole it.

    Raises:
        InvalidRefreshToken: it is none of ours, or has expired.
        RefreshTokenReused: it was spent more than ten seconds ago; its session is revoked now.
        SessionNotLive: the session has ended, or has not been used for too long, or the role demands a second
            factor by now that the person has to set up at the next login.
    """
    now = identity.clock()
    held = await refresh_rows.find(identity.ledger.pool, identity.ledger.ledger_id, token)
    if held is None or now >= held.expires_at:
        raise InvalidRefreshToken
    if now >= held.last_seen + timedelta(seconds=held.idle_seconds):
        raise SessionNotLive(session=held.session)
    await _check(identity, held, token, now)
    if await lacks_second_factor(identity, held.person):
        raise SessionNotLive(session=held.session)
    successor = refresh_rows.new_token(refresh_rows.family_of(token))
    if not await _rotate(identity, held, token, successor, now):
        await _revoke(identity, held)
        raise RefreshTokenReused(session=held.session)
    return Pair(access_token=identity.tokens.access(held.person, held.session, now), refresh_token=successor)


async def _check(identity: Identity, held: Held, token: str, now: datetime) -> None:
    """Let a token stand for its session, if that is live and the token of its family."""
    its_session = session_stream(held.session)
    streams = await read_streams(identity.ledger, [its_session, account_stream(held.person)])
    principal_in(streams, held.person, held.session, now)
    session = state_of(SESSION, streams[its_session])
    family = session.family if isinstance(session, Active) else None
    if family not in {None, committed(refresh_rows.family_of(token))}:
        log.error(
            "refresh_token.of_no_login", session=str(held.session), advice="its row was written by hand"
        )
        raise InvalidRefreshToken


async def _rotate(identity: Identity, held: Held, token: str, successor: str, now: datetime) -> bool:
    """Spend ``token`` and write its successor down; ``False``: it was spent too long ago, nothing is written."""
    ledger, limits = identity.ledger, identity.limits
    async with writing(ledger.pool) as conn:
        spent = await refresh_rows.spend(conn, ledger.ledger_id, token, held.session, now)
        if spent is None:
            raise InvalidRefreshToken
        if now - spent.at > timedelta(seconds=limits.refresh_grace_seconds):
            return False
        expires_at = now + timedelta(seconds=limits.refresh_seconds)
        await refresh_rows.insert(
            conn,
            ledger.ledger_id,
            successor,
            held.session,
            generation=spent.successor,
            now=now,
            expires_at=expires_at,
        )
        stale = now - timedelta(seconds=limits.seen_every_seconds)
        await session_rows.touch(conn, ledger.ledger_id, held.session, now=now, unless_since=stale)
    return True


async def _revoke(identity: Identity, held: Held) -> None:
    cause = RevocationCause.REFRESH_REUSED

    def build(facts: Facts) -> RevokeSession:
        return RevokeSession(now=facts.now, by=None, cause=cause, reason="")

    handled = await end(identity, held.session, build, unasked(held.session, cause.value))
    await settled(identity, handled.position)
