"""What somebody wants of a session."""

from typing import TypeAlias

import msgspec

from ledger.domain.event import Utc
from ledger.domain.ids import Digest, PersonId, SessionId
from ledger.domain.session.events import EndCause, ExpiryCause, Factor, RevocationCause


class OpenSession(msgspec.Struct, frozen=True, kw_only=True):
    """Log in: every factor has been proven; the account's facts are of this moment."""

    now: Utc
    session: SessionId
    person: PersonId
    is_active: bool
    epoch: int
    factors: tuple[Factor, ...]
    idle_seconds: int
    absolute_seconds: int
    client: Digest


class EndSession(msgspec.Struct, frozen=True, kw_only=True):
    """Log out."""

    now: Utc
    cause: EndCause


class ExpireSession(msgspec.Struct, frozen=True, kw_only=True):
    """A limit has run out; ``last_seen`` decides about the idle one (``None``: not known to have been used)."""

    now: Utc
    cause: ExpiryCause
    last_seen: Utc | None


class RevokeSession(msgspec.Struct, frozen=True, kw_only=True):
    """Take it away; ``by`` is ``None`` when no person does it."""

    now: Utc
    by: PersonId | None
    cause: RevocationCause
    reason: str


SessionCommand: TypeAlias = OpenSession | EndSession | ExpireSession | RevokeSession
