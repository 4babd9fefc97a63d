"""What somebody wants of a decision beyond claiming and voting: ``withdraw(by=ENGINE)``."""

from datetime import datetime
from uuid import UUID

from ledger.domain.authority import Authority
from ledger.domain.decision.commands import (
    AcceptHandover,
    Assign,
    AttachEvidence,
    Cancel,
    Colleague,
    Comment,
    Countersign,
    Expire,
    LapseOverride,
    OfferHandover,
    Override,
    PassMilestone,
    ProvideInformation,
    Redeem,
    ReportOutcome,
    Reprioritise,
    RequestInformation,
    Successor,
    Supersede,
    Withdraw,
)
from ledger.domain.decision.events import Milestone, Outcome, Priority
from ledger.domain.decision.item import Item
from ledger.domain.ids import DecisionId, Digest, EvidenceId, PersonId
from ledger.domain.terms import Action
from tests.builders.decision_events import DIGEST, lease
from tests.builders.people import ADA, ANA, BEN, ENGINE, LEA, NOW, ROLES, acting, authority

FILE = EvidenceId(UUID(int=70_000))
FILE_DIGEST = Digest("f" * 64)
NEWER = DecisionId("analysis-8")


def colleague(person: PersonId, *, groups: tuple[str, ...] = (), is_active: bool = True) -> Colleague:
    return Colleague(person=person, role=ROLES[person], is_active=is_active, groups=groups)


def _known(to: PersonId | Colleague) -> Colleague:
    return to if isinstance(to, Colleague) else colleague(to)


def offer_handover(
    by: PersonId | Authority = ANA, *, to: PersonId | Colleague = BEN, token: int = 1, now: datetime = NOW
) -> OfferHandover:
    return OfferHandover(now=now, by=acting(by), lease_id=lease(token), to=_known(to))


def accept_handover(by: PersonId | Authority = BEN, *, token: int = 2, now: datetime = NOW) -> AcceptHandover:
    """Ask for the lease that will have this fencing ``token``."""
    return AcceptHandover(now=now, by=acting(by), lease_id=lease(token))


def assign(
    by: PersonId | Authority = LEA,
    *,
    to: PersonId | Colleague | None = ANA,
    reason: str = "knows it",
    now: datetime = NOW,
) -> Assign:
    return Assign(now=now, by=acting(by), to=None if to is None else _known(to), reason=reason)


def reprioritise(
    by: PersonId | Authority = LEA,
    *,
    priority: Priority = Priority.CRITICAL,
    reason: str = "it spreads",
    now: datetime = NOW,
) -> Reprioritise:
    return Reprioritise(now=now, by=acting(by), priority=priority, reason=reason)


def pass_milestone(milestone: Milestone = Milestone.HALF_TIME, *, now: datetime = NOW) -> PassMilestone:
    return PassMilestone(now=now, milestone=milestone)


def time_out(*, now: datetime = NOW) -> Expire:
    return Expire(now=now)


def request_information(
    by: PersonId | Authority = ANA, *, token: int = 1, question: str = "Which host?", now: datetime = NOW
) -> RequestInformation:
    return RequestInformation(now=now, by=acting(by), lease_id=lease(token), question=question)


def provide_information(
    by: PersonId | Authority = ENGINE,
    *,
    answer: str = "The build host.",
    item: Item | None = None,
    now: datetime = NOW,
) -> ProvideInformation:
    return ProvideInformation(now=now, by=acting(by), answer=answer, item=item)


def comment(by: PersonId | Authority = ANA, *, text: str = "Seen before.", now: datetime = NOW) -> Comment:
    return Comment(now=now, by=acting(by), text=text)


def attach_evidence(by: PersonId | Authority = ANA, *, now: datetime = NOW) -> AttachEvidence:
    return AttachEvidence(
        now=now,
        by=acting(by),
        evidence=FILE,
        name="capture.pcap",
        media_type="application/octet-stream",
        size=2_048,
        sha256=FILE_DIGEST,
    )


def withdraw(by: PersonId | Authority = ENGINE, *, reason: str = "", now: datetime = NOW) -> Withdraw:
    return Withdraw(now=now, by=acting(by), reason=reason)


def supersede(
    by: PersonId | Authority = ENGINE,
    *,
    successor: DecisionId = NEWER,
    submitted_by: PersonId | None = ENGINE,
    reason: str = "",
    now: datetime = NOW,
) -> Supersede:
    """``submitted_by`` is the successor's submitter (``None``: there is no such decision)."""
    newer = Successor(decision_id=successor, submitted_by=submitted_by)
    return Supersede(now=now, by=acting(by), successor=newer, reason=reason)


def cancel(by: PersonId | Authority = ADA, *, reason: str = "a test", now: datetime = NOW) -> Cancel:
    return Cancel(now=now, by=acting(by), reason=reason)


def override(
    by: PersonId | Authority | None = None,
    *,
    outcome: Outcome = Outcome.APPROVED,
    actions: tuple[Action, ...] = (Action.BLOCK_IP,),
    reason: str = "nobody else is awake",
    ticket: str = "INC-7",
    digest: Digest | None = None,
    now: datetime = NOW,
) -> Override:
    """By an administrator with a second factor proven just now, unless somebody else is named."""
    return Override(
        now=now,
        by=acting(by or authority(ADA, stepped_up_at=now)),
        outcome=outcome,
        approved_actions=actions,
        reason=reason,
        ticket=ticket,
        subject_digest=digest,
    )


def countersign(by: PersonId | Authority, *, notes: str = "", now: datetime = NOW) -> Countersign:
    return Countersign(now=now, by=acting(by), notes=notes)


def lapse_override(*, now: datetime = NOW) -> LapseOverride:
    return LapseOverride(now=now)


def redeem(by: PersonId | Authority = ENGINE, *, digest: Digest = DIGEST, now: datetime = NOW) -> Redeem:
    return Redeem(now=now, by=acting(by), digest=digest)


def report_outcome(
    by: PersonId | Authority = ENGINE, *, succeeded: bool = True, details: str = "", now: datetime = NOW
) -> ReportOutcome:
    return ReportOutcome(now=now, by=acting(by), succeeded=succeeded, details=details)
