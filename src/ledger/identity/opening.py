"""Opening a session for somebody who has proven who they are."""

from datetime import timedelta
from uuid import uuid4

import msgspec

from ledger.command_handling.context import CommandContext
from ledger.command_handling.facts import Facts
from ledger.command_handling.handler import Alongside, handle
from ledger.domain.account.decide import ACCOUNT
from ledger.domain.account.state import Registered
from ledger.domain.errors import VersionConflict
from ledger.domain.ids import PersonId, Position, SessionId
from ledger.domain.session.commands import OpenSession
from ledger.domain.session.decide import SESSION
from ledger.domain.session.events import Factor
from ledger.identity import refresh_rows, session_rows
from ledger.identity.credentials import committed
from ledger.identity.ending import end_excess, left_for_later
from ledger.identity.identity import Identity, by_person
from ledger.identity.people import commitment, new_salt
from ledger.identity.refresh_rows import new_family, new_token
from ledger.identity.session_rows import Client, NewRow
from ledger.store.ledger import account_stream, session_stream
from ledger.store.pool import Connection


class ProofOutdated(VersionConflict):
    """The account changed while its proof was being checked."""

    code = "proof-outdated"
    advice = "Log in again."


class Proven(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody proved who they are by ``factors`` while the account was in ``epoch``."""

    person: PersonId
    epoch: int
    factors: tuple[Factor, ...]


class LoggedIn(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to a login.

    With ``requires_2fa`` the access token is a limited one, there is no refresh token (``None``) and nothing has
    been written; otherwise ``position`` is that of the event that opened ``session``.
    """

    access_token: str
    refresh_token: str | None
    requires_2fa: bool
    position: Position
    session: SessionId | None = None


async def open_session(
    identity: Identity,
    proven: Proven,
    client: Client,
    *,
    correlation_id: str,
    also: Alongside | None = None,
) -> LoggedIn:
    """Open a session with its first refresh token, in one transaction; ``also`` writes into it first.

    Raises:
        ProofOutdated: the account has changed since, so that the proof may no longer hold.
        InactiveUser: the account is deactivated.
    """
    opening = _Opening(identity, proven, client, also)
    handled = await handle(
        identity.ledger,
        CommandContext(
            decider=SESSION,
            target=session_stream(opening.session),
            clock=identity.clock,
            provenance=by_person(proven.person, correlation_id),
            reads=[account_stream(proven.person)],
        ),
        opening.build,
        alongside=opening.write_rows,
    )
    with left_for_later("excess"):
        await end_excess(identity, proven.person)
    return LoggedIn(
        access_token=identity.tokens.access(proven.person, opening.session, identity.clock()),
        refresh_token=opening.refresh_token,
        requires_2fa=False,
        position=handled.position,
        session=opening.session,
    )


class _Opening:
    """One login on its way: what it says in the log and what it writes beside it must be the same."""

    def __init__(self, identity: Identity, proven: Proven, client: Client, also: Alongside | None) -> None:
        self.session = SessionId(uuid4())
        self._family = new_family()
        self.refresh_token = new_token(self._family)
        self._identity = identity
        self._proven = proven
        self._client = client
        self._also = also
        self._salt = new_salt()
        self._now = identity.clock()

    def build(self, facts: Facts) -> OpenSession:
        proven, limits = self._proven, self._identity.limits
        account = facts.state(ACCOUNT, account_stream(proven.person))
        if not isinstance(account, Registered) or account.epoch != proven.epoch:
            raise ProofOutdated
        self._now = facts.now
        return OpenSession(
            now=facts.now,
            session=self.session,
            person=proven.person,
            is_active=account.is_active,
            epoch=account.epoch,
            factors=proven.factors,
            idle_seconds=limits.idle_seconds,
            absolute_seconds=limits.absolute_seconds,
            client=commitment(self._salt, self._client),
            family=committed(self._family),
        )

    async def write_rows(self, conn: Connection) -> None:
        if self._also is not None:
            await self._also(conn)
        ledger_id, limits = self._identity.ledger.ledger_id, self._identity.limits
        row = NewRow(
            session=self.session,
            person=self._proven.person,
            epoch=self._proven.epoch,
            now=self._now,
            idle_seconds=limits.idle_seconds,
            expires_at=self._now + timedelta(seconds=limits.absolute_seconds),
            salt=self._salt,
            client=self._client,
        )
        await session_rows.insert(conn, ledger_id, row)
        await refresh_rows.insert(
            conn,
            ledger_id,
            self.refresh_token,
            self.session,
            now=self._now,
            expires_at=self._now + timedelta(seconds=limits.refresh_seconds),
        )
