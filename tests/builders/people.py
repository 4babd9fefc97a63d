"""Who acts, and when."""

from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from ledger.domain.authority import Authority, Role
from ledger.domain.ids import PersonId, SessionId

ENGINE: Final = PersonId(UUID(int=1))
"""A machine that submits: a service."""
SAM: Final = PersonId(UUID(int=2))
"""An analyst."""
ANA: Final = PersonId(UUID(int=3))
"""An analyst."""
BEN: Final = PersonId(UUID(int=4))
"""An analyst."""
LEA: Final = PersonId(UUID(int=5))
"""An analyst who is a lead."""
ADA: Final = PersonId(UUID(int=6))
"""An administrator."""
VIC: Final = PersonId(UUID(int=7))
"""A viewer."""
AUDREY: Final = PersonId(UUID(int=8))
"""An auditor."""

ROLES: Final = {
    ENGINE: Role.SERVICE,
    SAM: Role.ANALYST,
    ANA: Role.ANALYST,
    BEN: Role.ANALYST,
    LEA: Role.ANALYST,
    ADA: Role.ADMIN,
    VIC: Role.VIEWER,
    AUDREY: Role.AUDITOR,
}

NOW: Final = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


def later(seconds: float) -> datetime:
    """``seconds`` after ``NOW``."""
    return NOW + timedelta(seconds=seconds)


def session_of(person: PersonId, login: int = 0) -> SessionId:
    """The session that ``person`` works in; another for each ``login``."""
    return SessionId(UUID(int=person.int + 1_000 * (login + 1)))


def authority(
    person: PersonId,
    *,
    role: Role | None = None,
    session: SessionId | None = None,
    is_lead: bool | None = None,
    is_active: bool = True,
    session_is_live: bool = True,
    stepped_up_at: datetime | None = None,
    has_second_factor: bool = False,
    is_paused: bool = False,
    groups: tuple[str, ...] = (),
) -> Authority:
    return Authority(
        person=person,
        session=session or session_of(person),
        role=role or ROLES.get(person, Role.ANALYST),
        is_lead=person == LEA if is_lead is None else is_lead,
        is_active=is_active,
        session_is_live=session_is_live,
        stepped_up_at=stepped_up_at,
        has_second_factor=has_second_factor,
        is_paused=is_paused,
        groups=groups,
    )


def acting(by: PersonId | Authority) -> Authority:
    return by if isinstance(by, Authority) else authority(by)
