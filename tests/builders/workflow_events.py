"""What happened to a decision beyond claims and votes: ``withdrawn(by=ENGINE)``."""

from datetime import datetime

from ledger.domain.decision.events import (
    CommentAdded,
    DecisionAssigned,
    DecisionCancelled,
    DecisionExpired,
    DecisionOverridden,
    DecisionReprioritised,
    DecisionSuperseded,
    DecisionWithdrawn,
    EvidenceAttached,
    HandoverOffered,
    InformationProvided,
    InformationRequested,
    InvalidationCause,
    Milestone,
    MilestonePassed,
    Outcome,
    OutcomeReported,
    OverrideCountersigned,
    OverrideLapsed,
    Priority,
    ResponseRedeemed,
    VotesInvalidated,
)
from ledger.domain.decision.item import Item, subject_digest
from ledger.domain.ids import DecisionId, Digest, PersonId
from ledger.domain.terms import Action, DefaultOutcome
from tests.builders.decision_events import DIGEST, SUSPECT, lease
from tests.builders.people import ADA, ANA, BEN, ENGINE, LEA, NOW, later, session_of
from tests.builders.workflow_commands import FILE, FILE_DIGEST, NEWER


def offered(by: PersonId = ANA, *, to: PersonId = BEN, token: int = 1, at: datetime = NOW) -> HandoverOffered:
    return HandoverOffered(at=at, by=by, to=to, lease_id=lease(token))


def assigned(
    to: PersonId | None = ANA, *, by: PersonId = LEA, reason: str = "knows it", at: datetime = NOW
) -> DecisionAssigned:
    return DecisionAssigned(at=at, to=to, by=by, reason=reason)


def reprioritised(
    priority: Priority = Priority.CRITICAL,
    *,
    by: PersonId = LEA,
    reason: str = "it spreads",
    at: datetime = NOW,
) -> DecisionReprioritised:
    return DecisionReprioritised(at=at, priority=priority, by=by, reason=reason)


def milestone_passed(milestone: Milestone = Milestone.HALF_TIME, *, at: datetime = NOW) -> MilestonePassed:
    return MilestonePassed(at=at, milestone=milestone)


def votes_invalidated(cause: InvalidationCause, *, at: datetime = NOW) -> VotesInvalidated:
    return VotesInvalidated(at=at, cause=cause)


def information_requested(
    by: PersonId = ANA, *, question: str = "Which host?", pauses_clock: bool = True, at: datetime = NOW
) -> InformationRequested:
    return InformationRequested(at=at, by=by, question=question, pauses_clock=pauses_clock)


def information_provided(
    by: PersonId = ENGINE,
    *,
    answer: str = "The build host.",
    item: Item | None = None,
    priority: Priority = Priority.HIGH,
    deadline_at: datetime | None = None,
    target_at: datetime | None = None,
    at: datetime = NOW,
) -> InformationProvided:
    digest = DIGEST if item is None else subject_digest(SUSPECT, item, 1, priority)
    return InformationProvided(
        at=at,
        by=by,
        answer=answer,
        item=item,
        subject_digest=digest,
        deadline_at=deadline_at,
        target_at=target_at,
    )


def commented(by: PersonId = ANA, *, text: str = "Seen before.", at: datetime = NOW) -> CommentAdded:
    return CommentAdded(at=at, by=by, text=text)


def evidence_attached(by: PersonId = ANA, *, at: datetime = NOW) -> EvidenceAttached:
    return EvidenceAttached(
        at=at,
        evidence=FILE,
        by=by,
        name="capture.pcap",
        media_type="application/octet-stream",
        size=2_048,
        sha256=FILE_DIGEST,
    )


def withdrawn(by: PersonId = ENGINE, *, reason: str = "", at: datetime = NOW) -> DecisionWithdrawn:
    return DecisionWithdrawn(at=at, by=by, reason=reason)


def superseded(
    by: PersonId = ENGINE, *, successor: DecisionId = NEWER, reason: str = "", at: datetime = NOW
) -> DecisionSuperseded:
    return DecisionSuperseded(at=at, by=by, successor=successor, reason=reason)


def cancelled(by: PersonId = ADA, *, reason: str = "a test", at: datetime = NOW) -> DecisionCancelled:
    return DecisionCancelled(at=at, by=by, reason=reason)


def timed_out(
    *,
    deadline_at: datetime | None = None,
    default: DefaultOutcome = DefaultOutcome.DENY,
    human_seen: bool = False,
    at: datetime = NOW,
) -> DecisionExpired:
    return DecisionExpired(
        at=at, deadline_at=deadline_at or at, default_outcome=default, human_seen=human_seen
    )


def overridden(
    by: PersonId = ADA,
    *,
    outcome: Outcome = Outcome.APPROVED,
    actions: tuple[Action, ...] = (Action.BLOCK_IP,),
    reason: str = "nobody else is awake",
    ticket: str = "INC-7",
    countersign_by: datetime | None = None,
    at: datetime = NOW,
) -> DecisionOverridden:
    return DecisionOverridden(
        at=at,
        by=by,
        session=session_of(by),
        outcome=outcome,
        approved_actions=actions,
        reason=reason,
        ticket=ticket,
        subject_digest=DIGEST,
        countersign_by=countersign_by or later(86_400),
    )


def countersigned(by: PersonId, *, notes: str = "", at: datetime = NOW) -> OverrideCountersigned:
    return OverrideCountersigned(at=at, by=by, notes=notes)


def override_lapsed(*, countersign_by: datetime | None = None, at: datetime = NOW) -> OverrideLapsed:
    return OverrideLapsed(at=at, countersign_by=countersign_by or later(86_400))


def redeemed(by: PersonId = ENGINE, *, digest: Digest = DIGEST, at: datetime = NOW) -> ResponseRedeemed:
    return ResponseRedeemed(at=at, by=by, digest=digest)


def outcome_reported(
    by: PersonId = ENGINE, *, succeeded: bool = True, details: str = "", at: datetime = NOW
) -> OutcomeReported:
    return OutcomeReported(at=at, by=by, succeeded=succeeded, details=details)
