"""A row of the queue: an open decision, who may work on it, and what each event makes of that."""

from datetime import timedelta

import msgspec
from msgspec.structs import replace

from ledger.domain.decision.events import (
    CommentAdded,
    DecisionAssigned,
    DecisionClaimed,
    DecisionEscalated,
    DecisionEvent,
    DecisionReprioritised,
    DecisionSubmitted,
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
from ledger.domain.decision.evolving import Ending
from ledger.domain.decision.item import kind_of
from ledger.domain.event import Utc
from ledger.domain.ids import DecisionId, Digest, PersonId, Position, SessionId, StreamName, Version
from ledger.projections.projection import must_exist
from ledger.projections.standing import Standing, stands_after
from ledger.projections.submission import rewritten, written
from ledger.store.streams import Recorded


class QueueRow(msgspec.Struct, frozen=True, kw_only=True):
    """An open decision as its events leave it.

    ``submission`` is ``None`` while a batch is applied to a row that keeps the one it has. ``deadline_at`` and
    ``target_at`` have in them the pause that an open question makes. ``session`` is the lease's.
    """

    stream: StreamName
    decision_id: DecisionId
    kind: str
    kind_version: int
    asked_priority: Priority
    priority: Priority
    position: Position
    submission: str | None
    subject_digest: Digest
    created_at: Utc
    submitted_by: PersonId
    on_behalf_of: PersonId | None
    submitted_at: Utc
    four_eyes: bool
    groups: tuple[str, ...]
    information_seconds: int
    deadline_at: Utc | None
    target_at: Utc | None
    version: Version
    standing: Standing = Standing()
    session: SessionId | None = None
    escalators: tuple[PersonId, ...] = ()
    voters: tuple[PersonId, ...] = ()
    assigned_to: PersonId | None = None
    asked_at: Utc | None = None

    @property
    def waits_until(self) -> Utc | None:
        """Say how long it is kept for its submitter's answer; ``None``: nobody has asked."""
        if self.asked_at is None:
            return None
        return self.asked_at + timedelta(seconds=self.information_seconds)


def evolve(row: QueueRow | None, item: Recorded[DecisionEvent]) -> QueueRow | None:
    """Bring a row up to date with what happened; ``None`` before the first event and after the end.

    Raises:
        RowMissing: it is not the stream's first event, and there is no row.
    """
    event = item.event
    if isinstance(event, Ending):
        must_exist(row, item)
        return None
    match event:
        case DecisionSubmitted():
            return _opened(item, event)
        case (
            CommentAdded()
            | OverrideCountersigned()
            | OverrideLapsed()
            | ResponseRedeemed()
            | OutcomeReported()
        ):
            return None if row is None else replace(row, version=item.version)  # it may be off the queue
        case _:
            return _moved(replace(must_exist(row, item), version=item.version), event)


def _opened(item: Recorded[DecisionEvent], event: DecisionSubmitted) -> QueueRow:
    return QueueRow(
        stream=item.stream,
        decision_id=event.decision_id,
        kind=kind_of(event.item),
        kind_version=event.kind_version,
        asked_priority=event.priority,
        priority=event.priority,
        position=item.position,
        submission=written(event),
        subject_digest=event.subject_digest,
        created_at=event.created_at,
        submitted_by=event.submitted_by,
        on_behalf_of=event.on_behalf_of,
        submitted_at=event.at,
        four_eyes=event.policy.four_eyes,
        groups=event.policy.reviewers,
        information_seconds=event.policy.information_seconds,
        deadline_at=event.deadline_at,
        target_at=event.target_at,
        version=item.version,
    )


def _moved(row: QueueRow, event: DecisionEvent) -> QueueRow:  # noqa: PLR0911 - one for each event
    standing = stands_after(row.standing, event)
    session = event.session if isinstance(event, DecisionClaimed) else row.session
    row = replace(row, standing=standing, session=None if standing.hold is None else session)
    match event:
        case DecisionEscalated():
            return _moved_up(row, event)
        case DecisionAssigned():
            return replace(row, assigned_to=event.to)
        case DecisionReprioritised():
            return replace(row, priority=event.priority)
        case VoteCast():
            has_done_it = row.assigned_to == event.voter
            assigned = None if has_done_it else row.assigned_to
            return replace(row, voters=(*row.voters, event.voter), assigned_to=assigned)
        case VotesInvalidated():
            return replace(row, voters=())
        case InformationRequested():
            return _asked(row, event)
        case InformationProvided():
            return _informed(row, event)
        case _:
            return row


def _moved_up(row: QueueRow, event: DecisionEscalated) -> QueueRow:
    by = event.by
    return replace(
        row,
        groups=() if event.group is None else (event.group,),
        escalators=row.escalators if by is None else (*row.escalators, by),
        assigned_to=None,
    )


def _asked(row: QueueRow, event: InformationRequested) -> QueueRow:
    pause = timedelta(seconds=row.information_seconds if event.pauses_clock else 0)
    return replace(
        row,
        asked_at=event.at,
        deadline_at=_later(row.deadline_at, pause),
        target_at=_later(row.target_at, pause),
    )


def _later(moment: Utc | None, pause: timedelta) -> Utc | None:
    return None if moment is None else moment + pause


def _informed(row: QueueRow, event: InformationProvided) -> QueueRow:
    known = replace(
        row,
        asked_at=None,
        subject_digest=event.subject_digest,
        deadline_at=event.deadline_at,
        target_at=event.target_at,
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
    return replace(known, submission=submission)
