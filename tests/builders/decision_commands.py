"""What somebody wants of a decision: ``claim(by=ANA)``."""

from datetime import datetime

from ledger.domain.authority import Authority
from ledger.domain.decision.commands import (
    CastVote,
    ClaimDecision,
    Escalate,
    ReleaseClaim,
    RenewClaim,
    SubmitDecision,
)
from ledger.domain.decision.events import Choice, Priority
from ledger.domain.decision.item import Item, Parameter
from ledger.domain.ids import DecisionId, Digest, PersonId
from ledger.domain.terms import THREAT_ANALYSIS_POLICY, Action, Policy
from tests.builders.decision_events import ITEM, SUSPECT, lease
from tests.builders.people import ANA, ENGINE, NOW, acting


def submit(
    by: PersonId | Authority = ENGINE,
    *,
    decision_id: DecisionId = SUSPECT,
    item: Item = ITEM,
    priority: Priority = Priority.HIGH,
    policy: Policy = THREAT_ANALYSIS_POLICY,
    on_behalf_of: PersonId | None = None,
    now: datetime = NOW,
) -> SubmitDecision:
    return SubmitDecision(
        now=now,
        by=acting(by),
        decision_id=decision_id,
        item=item,
        kind_version=1,
        priority=priority,
        created_at=NOW,
        policy=policy,
        on_behalf_of=on_behalf_of,
    )


def claim(
    by: PersonId | Authority = ANA, *, token: int = 1, reason: str = "", now: datetime = NOW
) -> ClaimDecision:
    """Ask for the lease that will have this fencing ``token``."""
    return ClaimDecision(now=now, by=acting(by), lease_id=lease(token), reason=reason)


def renew(by: PersonId | Authority = ANA, *, token: int = 1, now: datetime = NOW) -> RenewClaim:
    return RenewClaim(now=now, by=acting(by), lease_id=lease(token))


def release(by: PersonId | Authority | None = ANA, *, token: int = 1, now: datetime = NOW) -> ReleaseClaim:
    """For a session that has ended where ``by`` is ``None``."""
    return ReleaseClaim(now=now, by=None if by is None else acting(by), lease_id=lease(token))


def cast_vote(
    by: PersonId | Authority = ANA,
    *,
    choice: Choice = Choice.APPROVE,
    actions: tuple[Action, ...] = (Action.BLOCK_IP,),
    notes: str = "",
    digest: Digest | None = None,
    token: int | None = None,
    parameters: tuple[Parameter, ...] = (),
    now: datetime = NOW,
) -> CastVote:
    """Present the lease with this fencing ``token`` (``None``: present none)."""
    return CastVote(
        now=now,
        by=acting(by),
        choice=choice,
        approved_actions=actions,
        notes=notes,
        subject_digest=digest,
        lease_id=None if token is None else lease(token),
        fencing_token=token,
        parameters=parameters,
    )


def escalate(
    by: PersonId | Authority = ANA,
    *,
    reason: str = "beyond me",
    actions: tuple[Action, ...] = (),
    notes: str = "",
    digest: Digest | None = None,
    token: int | None = None,
    now: datetime = NOW,
) -> Escalate:
    """Name the lease with this fencing ``token`` (``None``: name none)."""
    return Escalate(
        now=now,
        by=acting(by),
        reason=reason,
        approved_actions=actions,
        notes=notes,
        subject_digest=digest,
        lease_id=None if token is None else lease(token),
        fencing_token=token,
    )
