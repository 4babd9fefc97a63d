"""What is said about a decision while it is open: questions, answers, comments, files."""

from datetime import timedelta
from typing import Final

from ledger.domain.authority import Authority, Role, at_work, require
from ledger.domain.decision import rules
from ledger.domain.decision.commands import (
    AttachEvidence,
    Comment,
    ProvideInformation,
    RequestInformation,
)
from ledger.domain.decision.events import (
    CommentAdded,
    DecisionEvent,
    EvidenceAttached,
    InformationProvided,
    InformationRequested,
    InvalidationCause,
    VotesInvalidated,
)
from ledger.domain.decision.item import kind_of, subject_digest
from ledger.domain.decision.state import Case, DecisionState, case_of, longest_pause
from ledger.domain.errors import Invalid, Refused, RuleViolation
from ledger.domain.event import Utc

MOST_EVIDENCE: Final = 100
"""Files a decision may have."""

MOST_COMMENTS: Final = 500
"""Those after the end as well: whoever shows or claims a decision may have to read all of them."""

MOST_QUESTIONS: Final = 20
"""Each may stop the clocks for a while: without an end to them, two people could keep a decision open for ever."""


class NotTheSubmitter(Refused):
    """Only whoever submitted it may do this."""

    code = "not-the-submitter"
    advice = "Ask whoever submitted it."


class NotAParticipant(Refused):
    """Only reviewers and whoever submitted it take part in it."""

    code = "not-a-participant"


class QuestionOpen(RuleViolation):
    """The submitter has been asked already and has not answered."""

    code = "question-open"
    advice = "Wait for the answer, or ask in a comment."


class TooManyQuestions(RuleViolation):
    """The submitter has been asked as often as a decision may ask.

    Context: ``most``.
    """

    code = "too-many-questions"
    advice = "Decide by what is known, or move it up."


class TooManyComments(RuleViolation):
    """As much has been said about it as may be.

    Context: ``most``.
    """

    code = "too-many-comments"
    advice = "Go on talking elsewhere."


class NothingWasAsked(RuleViolation):
    """Nobody waits for an answer."""

    code = "nothing-was-asked"
    advice = "Say it in a comment."


class NothingSaid(Invalid):
    """It is blank."""

    code = "nothing-said"
    advice = "Write something."


class AnotherKind(RuleViolation):
    """An item stays of its kind.

    Context: the ``kind`` that it is of.
    """

    code = "another-kind"
    advice = "Withdraw it, and submit an item of the other kind."


class TooMuchEvidence(RuleViolation):
    """It has as many files as a decision may have.

    Context: ``most``.
    """

    code = "too-much-evidence"
    advice = "Name the place of further files in a comment."


def request_information(command: RequestInformation, state: DecisionState) -> tuple[DecisionEvent, ...]:
    """Ask, as the holder; the clock stops where the policy says so."""
    require(command.by, rules.REVIEWERS)
    at_work(command.by)
    opened = rules.must_be_open(state, command.now)
    rules.must_hold(command.by.person, command.lease_id, opened, command.now)
    if opened.case.question is not None:
        raise QuestionOpen(decision_id=opened.case.decision_id)
    if opened.case.questions >= MOST_QUESTIONS:
        raise TooManyQuestions(decision_id=opened.case.decision_id, most=MOST_QUESTIONS)
    _must_say_something(command.question, opened.case)
    asked = InformationRequested(
        at=command.now,
        by=command.by.person,
        question=command.question,
        pauses_clock=opened.case.policy.information_pauses_clock,
    )
    return (asked,)


def provide_information(command: ProvideInformation, state: DecisionState) -> tuple[DecisionEvent, ...]:
    """Answer; another item is another subject, and voids the votes on the one before."""
    require(command.by, rules.SUBMITTERS)
    case = rules.must_be_open(state, command.now).case
    must_be_the_submitter(command.by, case)
    if case.question is None:
        raise NothingWasAsked(decision_id=case.decision_id)
    _must_say_something(command.answer, case)
    if command.item is not None and kind_of(command.item) != kind_of(case.item):
        raise AnotherKind(decision_id=case.decision_id, kind=kind_of(case.item))
    provided = _provided(command, case, case.question.asked_at)
    if not case.votes or provided.subject_digest == case.subject_digest:
        return (provided,)
    return (provided, VotesInvalidated(at=command.now, cause=InvalidationCause.SUBJECT_CHANGED))


def _provided(command: ProvideInformation, case: Case, asked_at: Utc) -> InformationProvided:
    item = case.item if command.item is None else command.item
    # Another host's clock may be behind: an answer from before the question takes nothing off the time.
    pause = max(timedelta(), min(command.now - asked_at, longest_pause(case)))
    return InformationProvided(
        at=command.now,
        by=command.by.person,
        answer=command.answer,
        item=command.item,
        subject_digest=subject_digest(case.decision_id, item, case.kind_version, case.asked_priority),
        deadline_at=_later(case.deadline_at, pause),
        target_at=_later(case.target_at, pause),
    )


def _later(moment: Utc | None, pause: timedelta) -> Utc | None:
    return None if moment is None else moment + pause


def comment(command: Comment, state: DecisionState) -> tuple[DecisionEvent, ...]:
    """Say something, also after the end."""
    case = case_of(state)
    _must_take_part(command.by, case)
    _must_say_something(command.text, case)
    if case.comments >= MOST_COMMENTS:
        raise TooManyComments(decision_id=case.decision_id, most=MOST_COMMENTS)
    return (CommentAdded(at=command.now, by=command.by.person, text=command.text),)


def attach_evidence(command: AttachEvidence, state: DecisionState) -> tuple[DecisionEvent, ...]:
    """Add a file while it is open."""
    case = rules.must_be_open(state, command.now).case
    _must_take_part(command.by, case)
    if case.evidence >= MOST_EVIDENCE:
        raise TooMuchEvidence(decision_id=case.decision_id, most=MOST_EVIDENCE)
    attached = EvidenceAttached(
        at=command.now,
        evidence=command.evidence,
        by=command.by.person,
        name=command.name,
        media_type=command.media_type,
        size=command.size,
        sha256=command.sha256,
    )
    return (attached,)


def must_be_the_submitter(by: Authority, case: Case) -> None:
    """Refuse everybody else.

    Raises:
        NotTheSubmitter: it is somebody else's.
    """
    if by.person != case.submitted_by:
        raise NotTheSubmitter(decision_id=case.decision_id)


def _must_take_part(by: Authority, case: Case) -> None:
    require(by, rules.SUBMITTERS)
    is_machine = by.role is Role.SERVICE
    if is_machine and by.person != case.submitted_by:
        raise NotAParticipant(decision_id=case.decision_id)


def _must_say_something(text: str, case: Case) -> None:
    if not text.strip():
        raise NothingSaid(decision_id=case.decision_id)
