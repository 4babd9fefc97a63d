"""A decision as it stands, in the words of the wire: what GET tells beside the submission itself."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Final

import msgspec

from ledger.api import wire
from ledger.domain.decision.events import Choice, Priority
from ledger.domain.decision.state import DutyStanding, Status
from ledger.domain.event import Utc
from ledger.domain.ids import Digest, EvidenceId, LeaseId, PersonId
from ledger.domain.terms import BUILT_IN_KIND, Action
from ledger.identity.people import ERASED
from ledger.projections.decision_row import DecisionRow, File, Override, Question, Report, Vote
from ledger.projections.standing import Hold
from ledger.projections.views.queue import QueueItem

CHOICES: Final = {Choice.APPROVE: "approved", Choice.REJECT: "rejected", Choice.ABSTAIN: "abstained"}
"""Votes are told as they are cast: by the status that the voter asked for."""


class Lease(msgspec.Struct, frozen=True, kw_only=True):
    """Who reviews it, and until when."""

    lease_id: LeaseId
    fencing_token: int
    holder: str
    expires_at: Utc


class VoteTold(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A vote on the item as it is."""

    voter: str
    status: str
    at: Utc
    level: int
    approved_actions: tuple[Action, ...]
    notes: str
    changes: tuple[wire.ChangedParameter, ...] = ()


class QuestionTold(msgspec.Struct, frozen=True, kw_only=True):
    """What the submitter has been asked and has not answered."""

    question: str
    asked_by: str
    asked_at: Utc
    pauses_clock: bool


class OverrideTold(msgspec.Struct, frozen=True, kw_only=True):
    """A verdict past all rules, and whether somebody stands by it."""

    by: str
    at: Utc
    ticket: str
    standing: DutyStanding
    countersign_by: Utc
    countersigned_by: str | None


class OutcomeTold(msgspec.Struct, frozen=True, kw_only=True):
    """How what was approved went, as the submitter told."""

    succeeded: bool
    details: str
    reported_at: Utc


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """A file that somebody attached."""

    evidence_id: EvidenceId
    name: str
    media_type: str
    size: int
    sha256: Digest
    attached_by: str
    attached_at: Utc


class ListedEvidence(Evidence, frozen=True, kw_only=True, omit_defaults=True):
    """A file; ``is_erased``: its content is gone, with the personal data of whom its decision is about."""

    is_erased: bool = False


class Details(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How a decision stands; what does not apply is left out.

    ``kind`` and ``kind_version`` stand with the submission where it is of a registered kind. ``asked_priority`` is
    what the submitter said, where somebody has changed it. ``groups`` are those whose members work on it at its
    ``level``. Votes, leases, assignments and overrides are told to people, not to the machines that submit.
    """

    status: Status
    kind: str | None = None
    kind_version: int | None = None
    subject_digest: Digest
    level: int = 0
    asked_priority: Priority | None = None
    submitted_by: str | None = None
    on_behalf_of: str | None = None
    submitted_at: Utc
    deadline_at: Utc | None = None
    target_at: Utc | None = None
    groups: tuple[str, ...] = ()
    assigned_to: str | None = None
    lease: Lease | None = None
    votes: tuple[VoteTold, ...] = ()
    question: QuestionTold | None = None
    override: OverrideTold | None = None
    approved_digest: Digest | None = None
    redeemed_at: Utc | None = None
    outcome: OutcomeTold | None = None
    evidence: tuple[Evidence, ...] = ()
    comments: int = 0


def _with_details(name: str, submission: type[msgspec.Struct], about: str) -> type[msgspec.Struct]:
    """Give the shape of a submission of one kind together with how it stands, for the API's description."""
    known = {field.name for field in msgspec.structs.fields(submission)}
    details = [field for field in msgspec.structs.fields(Details) if field.name not in known]
    return msgspec.defstruct(
        name,
        [
            (field.name, field.type) if field.required else (field.name, field.type, field.default)
            for field in details
        ],
        bases=(submission,),
        namespace={"__doc__": about},
        frozen=True,
        kw_only=True,
        omit_defaults=True,
    )


ITEM: Final = (
    _with_details("ItemTold", wire.Item, "A submission as people are shown it, and how it stands."),
    _with_details("KindItemTold", wire.KindItem, "As ItemTold, of a registered kind."),
)
"""What is told of a decision: of the built-in kind, or of a registered one."""


class Names:
    """User names by person; the erased have none."""

    def __init__(self, names: Mapping[PersonId, str]) -> None:
        """Take what was looked up."""
        self._names = names

    def of(self, person: PersonId) -> str:
        """Name somebody."""
        return self._names.get(person, ERASED)

    def of_any(self, person: PersonId | None) -> str | None:
        """Name somebody, or nobody."""
        return None if person is None else self.of(person)


def people_in(row: DecisionRow) -> Iterator[PersonId | None]:
    """List everybody whom a decision tells of."""
    yield from (row.submitted_by, row.on_behalf_of, row.assigned_to)
    yield from (vote.voter for vote in row.votes)
    yield from (file.by for file in row.evidence)
    if row.standing.hold is not None:
        yield row.standing.hold.holder
    if row.question is not None:
        yield row.question.by
    if row.override is not None:
        yield from (row.override.by, row.override.countersigned_by)


def written(row: DecisionRow | QueueItem, details: Details) -> bytes:
    """Put details behind a submission's JSON, which is kept verbatim; its priority is the one that holds now."""
    submission = row.submission
    if row.priority is not row.asked_priority:
        fields = msgspec.json.decode(submission, type=dict[str, msgspec.Raw])
        priority = msgspec.Raw(msgspec.json.encode(row.priority))
        submission = msgspec.json.encode({**fields, "priority": priority})
    return submission[:-1] + b"," + msgspec.json.encode(details)[1:]


def for_people(row: DecisionRow, names: Names, now: datetime) -> Details:
    """Say all there is."""
    hold = None if row.is_resolved else row.standing.live_hold(now)
    return msgspec.structs.replace(
        for_machines(row, names, now),
        groups=row.groups,
        assigned_to=names.of_any(row.assigned_to),
        lease=None if hold is None else lease_told(hold, names),
        votes=tuple(_vote(vote, names) for vote in row.votes),
        override=None if row.override is None else _override(row.override, names),
    )


def for_machines(row: DecisionRow, names: Names, now: datetime) -> Details:
    """Say what concerns whoever submitted it."""
    is_built_in = row.kind == BUILT_IN_KIND
    return Details(
        status=row.status_at(now),
        kind=row.kind if is_built_in else None,
        kind_version=row.kind_version if is_built_in else None,
        subject_digest=row.subject_digest,
        level=row.standing.level,
        asked_priority=None if row.priority is row.asked_priority else row.asked_priority,
        submitted_by=names.of(row.submitted_by),
        on_behalf_of=names.of_any(row.on_behalf_of),
        submitted_at=row.submitted_at,
        deadline_at=row.deadline_at,
        target_at=row.target_at,
        question=None if row.question is None else _question(row.question, names),
        approved_digest=None if row.answer is None else row.answer.approved_digest,
        redeemed_at=row.redeemed_at,
        outcome=None if row.outcome is None else _outcome(row.outcome),
        evidence=tuple(evidence_told(file, names) for file in row.evidence),
        comments=row.comments,
    )


def lease_told(hold: Hold, names: Names) -> Lease:
    """Write a lease."""
    return Lease(
        lease_id=hold.lease_id,
        fencing_token=hold.fencing_token,
        holder=names.of(hold.holder),
        expires_at=hold.expires_at,
    )


def evidence_told(file: File, names: Names) -> Evidence:
    """Write what is known of a file."""
    return Evidence(
        evidence_id=file.evidence,
        name=file.name,
        media_type=file.media_type,
        size=file.size,
        sha256=file.sha256,
        attached_by=names.of(file.by),
        attached_at=file.at,
    )


def evidence_listed(file: File, names: Names, *, is_erased: bool) -> ListedEvidence:
    """Write what is known of a file, and whether it can still be had."""
    told = evidence_told(file, names)
    return ListedEvidence(
        **{field: getattr(told, field) for field in Evidence.__struct_fields__}, is_erased=is_erased
    )


def _vote(vote: Vote, names: Names) -> VoteTold:
    return VoteTold(
        voter=names.of(vote.voter),
        status=CHOICES[vote.choice],
        at=vote.at,
        level=vote.level,
        approved_actions=vote.approved_actions,
        notes=vote.notes,
        changes=tuple(map(wire.changed_parameter, vote.changes)),
    )


def _question(question: Question, names: Names) -> QuestionTold:
    return QuestionTold(
        question=question.question,
        asked_by=names.of(question.by),
        asked_at=question.at,
        pauses_clock=question.pauses_clock,
    )


def _override(override: Override, names: Names) -> OverrideTold:
    return OverrideTold(
        by=names.of(override.by),
        at=override.at,
        ticket=override.ticket,
        standing=override.standing,
        countersign_by=override.countersign_by,
        countersigned_by=names.of_any(override.countersigned_by),
    )


def _outcome(outcome: Report) -> OutcomeTold:
    return OutcomeTold(succeeded=outcome.succeeded, details=outcome.details, reported_at=outcome.at)
