"""What somebody wants of a session."""

from typing import TypeAlias

import msgspec

from ledger.domain.authority import Authority
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
    family: Digest


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
    """Take it away in consequence of something else; ``by`` is ``None`` when no person caused that."""

    now: Utc
    by: PersonId | None
    cause: RevocationCause
    reason: str


class DismissSession(msgspec.Struct, frozen=True, kw_only=True):
    """Log out of it from another session, or take it away as an administrator."""

    now: Utc
    by: Authority
    reason: str


class StepUp(msgspec.Struct, frozen=True, kw_only=True):
    """Record a try to prove the second factor again; ``factor`` is ``None`` when the code was none."""

    now: Utc
    by: Authority
    factor: Factor | None


class PauseSession(msgspec.Struct, frozen=True, kw_only=True):
    """Have a break."""

    now: Utc
    by: Authority


class ResumeSession(msgspec.Struct, frozen=True, kw_only=True):
    """End the break."""

    now: Utc
    by: Authority


SessionCommand: TypeAlias = (
    OpenSession
    | EndSession
    | ExpireSession
    | RevokeSession
    | DismissSession
    | StepUp
    | PauseSession
    | ResumeSession
)
