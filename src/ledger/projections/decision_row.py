"""The row of a decision: all that an item and its response answer, and what each event makes of it."""

from datetime import timedelta

import msgspec
from msgspec.structs import replace

from ledger.domain.decision.events import (
    Choice,
    CommentAdded,
    DecisionAssigned,
    DecisionEscalated,
    DecisionEvent,
    DecisionExpired,
    DecisionOverridden,
    DecisionReprioritised,
    DecisionSubmitted,
    EvidenceAttached,
    InformationProvided,
    InformationRequested,
    OutcomeReported,
    OverrideCountersigned,
    OverrideLapsed,
    Priority,
    ResponseRedeemed,
    VoteCast,
    VotesInvalidated,
)
from ledger.domain.decision.evolving import Ending, answer_in, expired
from ledger.domain.decision.item import Change, kind_of
from ledger.domain.decision.state import Answer, DutyStanding, Status
from ledger.domain.event import Utc
from ledger.domain.ids import DecisionId, Digest, EvidenceId, PersonId, StreamName, Version
from ledger.domain.terms import Action
from ledger.projections.projection import must_exist
from ledger.projections.standing import Standing, stands_after
from ledger.projections.submission import rewritten, written
from ledger.store.streams import Recorded


class Vote(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A voice that counts, or counted when it ended."""

    voter: PersonId
    choice: Choice
    at: Utc
    level: int
    approved_actions: tuple[Action, ...] = ()
    notes: str = ""
    changes: tuple[Change, ...] = ()


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """What the submitter has been asked and has not answered."""

    by: PersonId
    at: Utc
    question: str
    pauses_clock: bool


class Override(msgspec.Struct, frozen=True, kw_only=True):
    """A verdict past all rules, and whether somebody stands by it."""

    by: PersonId
    at: Utc
    ticket: str
    countersign_by: Utc
    standing: DutyStanding = DutyStanding.OPEN
    countersigned_by: PersonId | None = None


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """How what was approved went."""

    succeeded: bool
    details: str
    at: Utc


class File(msgspec.Struct, frozen=True, kw_only=True):
    """A file that somebody attached."""

    evidence: EvidenceId
    by: PersonId
    at: Utc
    name: str
    media_type: str
    size: int
    sha256: Digest


class DecisionRow(msgspec.Struct, frozen=True, kw_only=True):
    """A decision; ``submission`` is the wire item as JSON, ``version`` that of its stream.

    ``submission`` is empty while a batch is applied to a row that keeps the one it has. ``answer`` is what the
    submitter is told: the end, else the last escalation, else ``None``. ``clock_at`` and ``target_clock_at``
    are where deadline and target stand by the clock, ``deadline_at`` and ``target_at`` where they will if the submitter
    goes on owing an answer.
    """

    stream: StreamName
    decision_id: DecisionId
    submission: bytes
    kind: str
    kind_version: int
    asked_priority: Priority
    priority: Priority
    created_at: Utc
    submitted_by: PersonId
    on_behalf_of: PersonId | None
    submitted_at: Utc
    information_seconds: int
    subject_digest: Digest
    clock_at: Utc | None
    target_clock_at: Utc | None
    standing: Standing
    groups: tuple[str, ...]
    version: Version
    assigned_to: PersonId | None = None
    votes: tuple[Vote, ...] = ()
    question: Question | None = None
    is_resolved: bool = False
    answer: Answer | None = None
    override: Override | None = None
    redeemed_at: Utc | None = None
    outcome: Report | None = None
    evidence: tuple[File, ...] = ()
    comments: int = 0

    @property
    def deadline_at(self) -> Utc | None:
        """Say when it expires, if the submitter goes on owing an answer; ``None``: never."""
        return self._paused(self.clock_at)

    @property
    def target_at(self) -> Utc | None:
        """Say by when a verdict is wanted, if the submitter goes on owing an answer; ``None``: whenever."""
        return self._paused(self.target_clock_at)

    def status_at(self, now: Utc) -> Status:
        """Say how it stands at ``now``; past its deadline it is ``expired``, written down or not."""
        if not self.is_resolved and self.deadline_at is not None and now >= self.deadline_at:
            return Status.EXPIRED
        return self.standing.status_at(now) if self.answer is None else self.answer.status

    def _paused(self, moment: Utc | None) -> Utc | None:
        """Count an open question that stops the clocks in full."""
        if moment is None or self.question is None or not self.question.pauses_clock:
            return moment
        return moment + timedelta(seconds=self.information_seconds)


def evolve(row: DecisionRow | None, item: Recorded[DecisionEvent]) -> DecisionRow:
    """Bring a row up to date with what happened.

    Raises:
        RowMissing: it is not the stream's first event, and there is no row.
    """
    event = item.event
    if isinstance(event, DecisionSubmitted):
        return _opened(item, event)
    row = must_exist(row, item)
    seen = replace(row, version=item.version, standing=stands_after(row.standing, event))
    if isinstance(event, DecisionEscalated):
        groups = () if event.group is None else (event.group,)
        return replace(seen, answer=answer_in(event), groups=groups, assigned_to=None)
    if isinstance(event, Ending):
        return _ended(seen, event)
    return _after_the_end(_while_open(seen, event), event)


def _opened(item: Recorded[DecisionEvent], event: DecisionSubmitted) -> DecisionRow:
    return DecisionRow(
        stream=item.stream,
        decision_id=event.decision_id,
        submission=written(event).encode(),
        kind=kind_of(event.item),
        kind_version=event.kind_version,
        asked_priority=event.priority,
        priority=event.priority,
        created_at=event.created_at,
        submitted_by=event.submitted_by,
        on_behalf_of=event.on_behalf_of,
        submitted_at=event.at,
        information_seconds=event.policy.information_seconds,
        subject_digest=event.subject_digest,
        clock_at=event.deadline_at,
        target_clock_at=event.target_at,
        standing=Standing(),
        groups=event.policy.reviewers,
        version=item.version,
    )


def _while_open(row: DecisionRow, event: DecisionEvent) -> DecisionRow:  # noqa: PLR0911 - one for each event
    match event:
        case DecisionAssigned():
            return replace(row, assigned_to=event.to)
        case DecisionReprioritised():
            return replace(row, priority=event.priority)
        case VoteCast():
            assigned = None if row.assigned_to == event.voter else row.assigned_to
            return replace(row, votes=(*row.votes, _vote(event)), assigned_to=assigned)
        case VotesInvalidated():
            return replace(row, votes=())
        case InformationRequested():
            return replace(row, question=_question(event))
        case InformationProvided():
            return _informed(row, event)
        case CommentAdded():
            return replace(row, comments=row.comments + 1)
        case EvidenceAttached():
            return replace(row, evidence=(*row.evidence, file_of(event)))
        case _:
            return row


def _vote(event: VoteCast) -> Vote:
    return Vote(
        voter=event.voter,
        choice=event.choice,
        at=event.at,
        level=event.level,
        approved_actions=event.approved_actions,
        notes=event.notes,
        changes=event.changes,
    )


def _question(event: InformationRequested) -> Question:
    return Question(by=event.by, at=event.at, question=event.question, pauses_clock=event.pauses_clock)


def _informed(row: DecisionRow, event: InformationProvided) -> DecisionRow:
    known = replace(
        row,
        question=None,
        subject_digest=event.subject_digest,
        clock_at=event.deadline_at,
        target_clock_at=event.target_at,
    )
    if event.item is None:
        return known
    submission = rewritten(
        event.item,
        decision_id=row.decision_id,
        kind_version=row.kind_version,
        priority=row.asked_priority,
        created_at=row.created_at,
    )
    return replace(known, submission=submission.encode())


def file_of(event: EvidenceAttached) -> File:
    """Say what is known of a file."""
    return File(
        evidence=event.evidence,
        by=event.by,
        at=event.at,
        name=event.name,
        media_type=event.media_type,
        size=event.size,
        sha256=event.sha256,
    )


def _ended(row: DecisionRow, event: Ending) -> DecisionRow:
    override = None
    if isinstance(event, DecisionOverridden):
        override = Override(
            by=event.by, at=event.at, ticket=event.ticket, countersign_by=event.countersign_by
        )
    return replace(
        row,
        standing=replace(row.standing, hold=None),
        answer=expired(event, row.subject_digest) if isinstance(event, DecisionExpired) else answer_in(event),
        is_resolved=True,
        override=override,
    )


def _after_the_end(row: DecisionRow, event: DecisionEvent) -> DecisionRow:
    match event:
        case OverrideCountersigned() if row.override is not None:
            signed = replace(row.override, standing=DutyStanding.COUNTERSIGNED, countersigned_by=event.by)
            return replace(row, override=signed)
        case OverrideLapsed() if row.override is not None:
            return replace(row, override=replace(row.override, standing=DutyStanding.LAPSED))
        case ResponseRedeemed():
            return replace(row, redeemed_at=event.at)
        case OutcomeReported():
            return replace(row, outcome=Report(succeeded=event.succeeded, details=event.details, at=event.at))
        case _:
            return row
