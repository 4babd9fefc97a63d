"""How a decision stands while it is open, as the views of decisions keep it: its level and who holds it."""

import asyncpg
import msgspec
from msgspec.structs import replace

from ledger.domain.decision.events import (
    ClaimReleased,
    ClaimRenewed,
    DecisionClaimed,
    DecisionEscalated,
    DecisionEvent,
)
from ledger.domain.decision.state import Status
from ledger.domain.event import Utc
from ledger.domain.ids import LeaseId, PersonId


class Hold(msgspec.Struct, frozen=True, kw_only=True):
    """A claim, good until ``expires_at``."""

    lease_id: LeaseId
    holder: PersonId
    fencing_token: int
    expires_at: Utc


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """Level and claim; an expired claim stays until somebody else claims, as in the domain."""

    level: int = 0
    hold: Hold | None = None

    def status_at(self, now: Utc) -> Status:
        """Say how an open decision stands at ``now``; one that was moved up is ``escalated``, held or not."""
        if self.level > 0:
            return Status.ESCALATED
        return Status.IN_REVIEW if self.live_hold(now) else Status.PENDING

    def live_hold(self, now: Utc) -> Hold | None:
        """Find the claim that holds at ``now``; at its ``expires_at`` it no longer does."""
        return self.hold if self.hold is not None and now < self.hold.expires_at else None


def stands_after(standing: Standing, event: DecisionEvent) -> Standing:
    """Move level and claim by what happened while it was open."""
    hold = standing.hold
    match event:
        case DecisionClaimed():
            return replace(standing, hold=_claimed(event))
        case ClaimRenewed() if hold is not None and hold.lease_id == event.lease_id:
            return replace(standing, hold=replace(hold, expires_at=event.expires_at))
        case ClaimReleased() if hold is not None and hold.lease_id == event.lease_id:
            return replace(standing, hold=None)
        case DecisionEscalated():
            return Standing(level=event.level)
        case _:
            return standing


def _claimed(event: DecisionClaimed) -> Hold:
    return Hold(
        lease_id=event.lease_id,
        holder=event.holder,
        fencing_token=event.fencing_token,
        expires_at=event.expires_at,
    )


def standing_of(row: asyncpg.Record) -> Standing:
    """Read level and claim from a row that has ``level, lease_id, holder, fencing_token, expires_at``."""
    if row["lease_id"] is None:
        return Standing(level=row["level"])
    hold = Hold(
        lease_id=row["lease_id"],
        holder=row["holder"],
        fencing_token=row["fencing_token"],
        expires_at=row["expires_at"],
    )
    return Standing(level=row["level"], hold=hold)


def standing_values(standing: Standing) -> tuple[object, ...]:
    """Give level, lease, holder, fencing token and end of lease."""
    hold = standing.hold
    if hold is None:
        return (standing.level, None, None, None, None)
    return (standing.level, hold.lease_id, hold.holder, hold.fencing_token, hold.expires_at)
