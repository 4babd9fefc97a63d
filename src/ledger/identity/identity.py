"""What this room works with: the ledger, its keys, its limits and its clock."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Final, Self

import msgspec

from ledger.domain.errors import Unavailable
from ledger.domain.ids import PersonId, Position
from ledger.identity.failed_logins import FailedLogins
from ledger.identity.following import Following
from ledger.identity.guesses import Guesses
from ledger.identity.key_rows import KeyMemory
from ledger.identity.keys import Keyring
from ledger.identity.passwords import Passwords
from ledger.identity.tokens import ISSUER, Tokens
from ledger.identity.uses import Uses
from ledger.limiting.limiter import Limiter
from ledger.limiting.rates import Rates
from ledger.store.envelope import Provenance
from ledger.store.ledger import Ledger
from ledger.store.pool import UNSETTLED, Connection, Pool, reading
from ledger.store.streams import new_command_id

SYSTEM: Final = "system"
OPERATOR: Final = "operator"
LABEL: Final = "Decision Ledger"
SUBJECT_KEY_PURPOSE: Final = "subject-key"


def utc_now() -> datetime:
    """Read the clock of this machine."""
    return datetime.now(UTC)


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """How long and how many; seconds, and sessions per account."""

    max_sessions: int = 500
    idle_seconds: int = 7 * 24 * 3600
    """No less than the life of a refresh token, which a client may keep unused for all of it."""
    absolute_seconds: int = 30 * 24 * 3600
    refresh_seconds: int = 7 * 24 * 3600
    refresh_grace_seconds: int = 10
    """How long after it was spent a refresh token may come again: two tabs, or an answer that got lost."""
    seen_every_seconds: int = 60
    """How often at most the use of a session is written down."""


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    """One ledger's people: everything the functions of this room need."""

    ledger: Ledger
    passwords: Passwords
    tokens: Tokens
    factor_keys: Keyring
    subject_keys: Keyring
    """What the keys of data subjects are wrapped under."""
    api_keys: KeyMemory
    uses: Uses
    label: str
    """How an authenticator names this service."""
    guesses: Guesses
    failed_logins: FailedLogins
    clock: Callable[[], datetime] = utc_now
    limits: Limits = Limits()
    following: Following | None = None
    """What this process holds of sessions and accounts; ``None``: it asks the database every time."""

    @classmethod
    def of(
        cls,
        ledger: Ledger,
        *,
        secret_keys: Sequence[str],
        issuer: str = ISSUER,
        label: str = LABEL,
        passwords: Passwords | None = None,
        clock: Callable[[], datetime] = utc_now,
        limits: Limits | None = None,
        following: Following | None = None,
        limiter: Limiter | None = None,
        rates: Rates | None = None,
    ) -> Self:
        """Prepare the room; the first of ``secret_keys`` signs and seals, every one of them still reads.

        Without a ``limiter`` failures are counted in this process, by ``clock``.
        """
        limits = limits or Limits()
        failed_logins = FailedLogins()
        guesses = Guesses(
            limiter or Limiter(clock=lambda: clock().timestamp()),
            rates or Rates(),
            secret=ledger.request_key,
            clock=clock,
            failed_logins=failed_logins,
        )
        return cls(
            ledger=ledger,
            passwords=passwords or Passwords(),
            tokens=Tokens(secret_keys, issuer=issuer),
            factor_keys=Keyring(secret_keys, "second-factor"),
            subject_keys=Keyring(secret_keys, SUBJECT_KEY_PURPOSE),
            api_keys=KeyMemory(ledger.pool, ledger.ledger_id),
            uses=Uses(timedelta(seconds=limits.seen_every_seconds)),
            label=label,
            guesses=guesses,
            failed_logins=failed_logins,
            clock=clock,
            limits=limits,
            following=following,
        )


def by_person(person: PersonId, correlation_id: str = "") -> Provenance:
    """Say that this person asks for it, once."""
    return Provenance(actor=str(person), command_id=new_command_id(), correlation_id=correlation_id)


async def settled(identity: Identity, position: Position) -> None:
    """Return once what was taken away at ``position`` is gone on every instance, or after one second."""
    if identity.following is not None:
        await identity.following.settled(position)


@asynccontextmanager
async def writing(pool: Pool) -> AsyncIterator[Connection]:
    """Open a transaction on this room's rows; whatever raises inside rolls it back.

    Raises:
        Unavailable: the database cannot be reached, or gave up waiting for a lock.
    """
    try:
        async with reading(pool) as conn, conn.transaction():
            yield conn
    except UNSETTLED as unsettled:
        raise Unavailable from unsettled
