"""Questions, answers, comments and files."""

from uuid import UUID

import pytest
from msgspec.structs import replace

from ledger.domain.authority import InsufficientPermissions, Role, SessionIsPaused, SessionNotLive
from ledger.domain.decision.decide import DECISION
from ledger.domain.decision.events import InvalidationCause, Priority
from ledger.domain.decision.informing import (
    MOST_COMMENTS,
    MOST_EVIDENCE,
    AnotherKind,
    NotAParticipant,
    NothingSaid,
    NothingWasAsked,
    NotTheSubmitter,
    QuestionOpen,
    TooManyComments,
    TooManyQuestions,
    TooMuchEvidence,
)
from ledger.domain.decision.item import KindItem, subject_digest
from ledger.domain.decision.rules import (
    AlreadyMade,
    DecisionClosed,
    LeaseLost,
    SubjectChanged,
    SubjectNotNamed,
)
from ledger.domain.decision.state import DecisionNotFound, Question, Status, case_of
from ledger.domain.ids import PersonId
from tests.builders import (
    ADA,
    ANA,
    BEN,
    DIGEST,
    ENGINE,
    ITEM,
    LEA,
    NOW,
    SAM,
    SUSPECT,
    TWO_OF_EACH,
    authority,
    cast_vote,
    claimed,
    later,
    policy,
    released,
    renew,
    renewed,
    resolved,
    session_of,
    submitted,
    voted,
)
from tests.builders.workflow_commands import (
    attach_evidence,
    comment,
    override,
    provide_information,
    request_information,
)
from tests.builders.workflow_events import (
    cancelled,
    commented,
    evidence_attached,
    information_provided,
    information_requested,
    reprioritised,
)
from tests.builders.workflow_events import votes_invalidated as voided
from tests.domain.given import Given

TIMED = replace(policy(), target_seconds=600, deadline_seconds=1_000, information_seconds=300)
WAITING = Given(DECISION, submitted())
HELD_BY_ANA = Given(DECISION, submitted(), claimed(by=ANA))


def with_comments(given, count):
    return replace(given.state, case=replace(case_of(given.state), comments=count))


ASKED = Given(DECISION, submitted(), claimed(by=ANA), information_requested(by=ANA))
OTHER_ITEM = replace(ITEM, forensic_summary="It was the backup.")
OTHER_DIGEST = subject_digest(SUSPECT, OTHER_ITEM, 1, Priority.HIGH)
OTHER_ENGINE = PersonId(UUID(int=99))
EVERY = [request_information, provide_information, comment, attach_evidence]


def test_the_holder_asks_the_submitter():
    HELD_BY_ANA.when(request_information(by=ANA, question="Which host?")).then(
        information_requested(by=ANA, question="Which host?", pauses_clock=True)
    )


def test_a_question_stops_the_clocks_only_where_the_policy_says_so():
    terms = replace(policy(), information_pauses_clock=False)

    Given(DECISION, submitted(policy=terms), claimed(by=ANA)).when(request_information()).then(
        information_requested(pauses_clock=False)
    )


@pytest.mark.parametrize("by", [BEN, LEA, ADA])
def test_only_the_holder_asks(by):
    HELD_BY_ANA.when(request_information(by=by)).then_refused(LeaseLost, decision_id=SUSPECT, holder=ANA)


def test_a_question_needs_a_claim():
    WAITING.when(request_information()).then_refused(LeaseLost, decision_id=SUSPECT, holder=None)


def test_a_question_needs_a_living_lease():
    HELD_BY_ANA.when(request_information(now=later(300))).then_refused(
        LeaseLost, decision_id=SUSPECT, holder=None
    )


def test_one_question_is_open_at_a_time():
    ASKED.when(request_information(question="And when?")).then_refused(QuestionOpen, decision_id=SUSPECT)


def test_after_the_answer_there_may_be_another_question():
    Given(DECISION, *ASKED.events, information_provided()).when(request_information()).then(
        information_requested()
    )


def test_nobody_asks_during_a_break():
    HELD_BY_ANA.when(request_information(by=authority(ANA, is_paused=True))).then_refused(SessionIsPaused)


@pytest.mark.parametrize("role", [Role.SERVICE, Role.VIEWER, Role.AUDITOR])
def test_nobody_else_asks(role):
    HELD_BY_ANA.when(request_information(by=authority(ANA, role=role))).then_refused(
        InsufficientPermissions, role=role.value
    )


@pytest.mark.parametrize("role", [Role.VIEWER, Role.AUDITOR])
@pytest.mark.parametrize("wish", [provide_information, comment, attach_evidence])
def test_who_only_looks_says_nothing(wish, role):
    ASKED.when(wish(by=authority(ENGINE, role=role))).then_refused(InsufficientPermissions, role=role.value)


@pytest.mark.parametrize("wish", EVERY)
def test_a_finished_session_says_nothing(wish):
    ASKED.when(wish(by=authority(ANA, session_is_live=False))).then_refused(
        SessionNotLive, session=session_of(ANA)
    )


@pytest.mark.parametrize("wish", EVERY)
def test_nothing_is_said_about_what_was_never_submitted(wish):
    Given(DECISION).when(wish()).then_refused(DecisionNotFound)


@pytest.mark.parametrize("wish", [request_information, provide_information, attach_evidence])
def test_after_the_verdict_nothing_is_asked_answered_or_attached(wish):
    Given(DECISION, *ASKED.events, resolved()).when(wish()).then_refused(
        AlreadyMade, decision_id=SUSPECT, status=Status.APPROVED, decided_by=ANA, decided_at=NOW
    )


@pytest.mark.parametrize("wish", [request_information, provide_information, attach_evidence])
def test_after_another_end_nothing_is_asked_answered_or_attached(wish):
    Given(DECISION, *ASKED.events, cancelled()).when(wish()).then_refused(
        DecisionClosed, decision_id=SUSPECT, status=Status.CANCELLED, closed_at=NOW
    )


@pytest.mark.parametrize("blank", ["", " \n\t"])
def test_what_is_said_is_not_blank(blank):
    HELD_BY_ANA.when(request_information(question=blank)).then_refused(NothingSaid, decision_id=SUSPECT)
    ASKED.when(provide_information(answer=blank)).then_refused(NothingSaid, decision_id=SUSPECT)
    WAITING.when(comment(text=blank)).then_refused(NothingSaid, decision_id=SUSPECT)


def test_the_submitter_answers():
    ASKED.when(provide_information(answer="The build host.")).then(
        information_provided(answer="The build host.")
    )


def test_a_person_who_submitted_answers():
    Given(DECISION, submitted(by=SAM), claimed(by=ANA), information_requested()).when(
        provide_information(by=SAM)
    ).then(information_provided(by=SAM))


@pytest.mark.parametrize("by", [SAM, ANA, ADA])
def test_nobody_else_answers(by):
    ASKED.when(provide_information(by=by)).then_refused(NotTheSubmitter, decision_id=SUSPECT)


def test_on_whose_behalf_it_was_submitted_does_not_answer_for_the_submitter():
    Given(DECISION, submitted(on_behalf_of=SAM), claimed(by=ANA), information_requested()).when(
        provide_information(by=SAM)
    ).then_refused(NotTheSubmitter, decision_id=SUSPECT)


def test_without_a_question_there_is_no_answer():
    HELD_BY_ANA.when(provide_information()).then_refused(NothingWasAsked, decision_id=SUSPECT)


def test_a_question_is_answered_once():
    Given(DECISION, *ASKED.events, information_provided()).when(provide_information()).then_refused(
        NothingWasAsked, decision_id=SUSPECT
    )


@pytest.mark.parametrize(
    "since", [released(by=ANA), claimed(by=BEN, token=2, at=later(300)), renewed(by=ANA, seconds=900)]
)
def test_a_question_stays_open_whoever_holds_it(since):
    assert case_of(Given(DECISION, *ASKED.events, since).state).question == Question(
        asked_at=NOW, pauses_clock=True
    )


def test_the_holder_goes_on_while_a_question_is_open():
    ASKED.when(renew(now=later(100))).then(renewed(at=later(100)))
    ASKED.when(cast_vote(token=1)).then(voted(token=1), resolved())


def test_a_changed_item_has_a_digest_of_its_own():
    ASKED.when(provide_information(item=OTHER_ITEM)).then(
        replace(information_provided(item=OTHER_ITEM), subject_digest=OTHER_DIGEST)
    )


def test_a_changed_item_voids_the_votes_so_far():
    voted_on = Given(
        DECISION, submitted(policy=TWO_OF_EACH), voted(by=BEN), claimed(by=ANA), information_requested()
    )

    voted_on.when(provide_information(item=OTHER_ITEM)).then(
        information_provided(item=OTHER_ITEM), voided(InvalidationCause.SUBJECT_CHANGED)
    )


@pytest.mark.parametrize("item", [None, ITEM])
def test_an_item_that_stays_as_it_is_voids_nothing(item):
    voted_on = Given(
        DECISION, submitted(policy=TWO_OF_EACH), voted(by=BEN), claimed(by=ANA), information_requested()
    )

    voted_on.when(provide_information(item=item)).then(information_provided(item=item))


def test_the_digest_keeps_the_priority_that_was_asked_for():
    moved = Given(DECISION, submitted(), reprioritised(Priority.LOW), claimed(), information_requested())

    moved.when(provide_information()).then(information_provided())
    moved.when(provide_information(item=OTHER_ITEM)).then(
        replace(information_provided(item=OTHER_ITEM), subject_digest=OTHER_DIGEST)
    )


def test_after_a_change_nobody_decides_what_they_were_shown_before():
    Given(DECISION, *ASKED.events, information_provided(item=OTHER_ITEM)).when(
        cast_vote(digest=DIGEST, token=1)
    ).then_refused(SubjectChanged, decision_id=SUSPECT, shown=DIGEST, current=OTHER_DIGEST)


def test_after_a_change_what_is_decided_is_the_changed_item():
    Given(DECISION, *ASKED.events, information_provided(item=OTHER_ITEM)).when(
        cast_vote(digest=OTHER_DIGEST, token=1)
    ).then(
        replace(voted(token=1), subject_digest=OTHER_DIGEST), replace(resolved(), subject_digest=OTHER_DIGEST)
    )


def test_an_item_stays_of_its_kind():
    other = KindItem(name="transfer", payload="{}")

    ASKED.when(provide_information(item=other)).then_refused(
        AnotherKind, decision_id=SUSPECT, kind="threat_analysis"
    )


def test_a_registered_kind_stays_that_kind():
    transfer = KindItem(name="transfer", payload='{"amount":900}')
    asked = Given(DECISION, submitted(item=transfer), claimed(), information_requested())

    asked.when(provide_information(item=KindItem(name="refund", payload="{}"))).then_refused(
        AnotherKind, decision_id=SUSPECT, kind="transfer"
    )
    asked.when(provide_information(item=replace(transfer, payload='{"amount":1}'))).then(
        information_provided(item=replace(transfer, payload='{"amount":1}'))
    )


@pytest.mark.parametrize(
    ("answered", "pause"), [(150, 100), (50, 0), (400, 300), (1_200, 300)], ids=lambda seconds: f"{seconds} s"
)
def test_the_clocks_go_on_after_the_pause_which_has_a_limit(answered, pause):
    asked = Given(
        DECISION, submitted(policy=TIMED), claimed(seconds=5_000), information_requested(at=later(50))
    )

    asked.when(provide_information(now=later(answered))).then(
        information_provided(
            target_at=later(600 + pause), deadline_at=later(1_000 + pause), at=later(answered)
        )
    )


def test_the_clocks_that_did_not_stop_stay_where_they_are():
    terms = replace(TIMED, information_pauses_clock=False)
    asked = Given(DECISION, submitted(policy=terms), claimed(), information_requested(pauses_clock=False))

    asked.when(provide_information(now=later(200))).then(
        information_provided(target_at=later(600), deadline_at=later(1_000), at=later(200))
    )


@pytest.mark.parametrize("by", [ENGINE, SAM, ANA, ADA])
def test_reviewers_and_the_submitter_comment(by):
    WAITING.when(comment(by=by, text="Seen before.")).then(commented(by=by, text="Seen before."))


@pytest.mark.parametrize("by", [ENGINE, SAM, ANA, ADA])
def test_reviewers_and_the_submitter_attach_files(by):
    WAITING.when(attach_evidence(by=by)).then(evidence_attached(by=by))


@pytest.mark.parametrize("wish", [comment, attach_evidence])
def test_another_machine_takes_no_part(wish):
    WAITING.when(wish(by=authority(OTHER_ENGINE, role=Role.SERVICE))).then_refused(
        NotAParticipant, decision_id=SUSPECT
    )


@pytest.mark.parametrize("end", [resolved(), cancelled()])
def test_comments_come_after_the_end_too_and_are_counted_alone(end):
    over = Given(DECISION, submitted(), end)

    over.when(comment()).then(commented())
    assert Given(DECISION, *over.events, commented()).state == with_comments(over, 1)


def test_a_comment_is_counted_and_changes_nothing_else():
    assert Given(DECISION, *HELD_BY_ANA.events, commented()).state == with_comments(HELD_BY_ANA, 1)


@pytest.mark.parametrize("end", [(), (resolved(),), (cancelled(),)])
def test_comments_have_a_limit_before_and_after_the_end(end):
    almost = Given(DECISION, submitted(), commented(), *end, *[commented()] * (MOST_COMMENTS - 2))
    full = Given(DECISION, *almost.events, commented())

    almost.when(comment()).then(commented())
    full.when(comment()).then_refused(TooManyComments, decision_id=SUSPECT, most=500)


def test_files_have_a_limit():
    full = Given(DECISION, submitted(), *[evidence_attached()] * MOST_EVIDENCE)
    almost = Given(DECISION, submitted(), *[evidence_attached()] * (MOST_EVIDENCE - 1))

    almost.when(attach_evidence()).then(evidence_attached())
    full.when(attach_evidence()).then_refused(TooMuchEvidence, decision_id=SUSPECT, most=100)


def test_questions_have_an_end():
    talk = [information_requested(), information_provided()]
    almost = Given(DECISION, *HELD_BY_ANA.events, *talk * 19)
    asked_out = Given(DECISION, *HELD_BY_ANA.events, *talk * 20)

    almost.when(request_information()).then(information_requested())
    asked_out.when(request_information()).then_refused(TooManyQuestions, decision_id=SUSPECT, most=20)


@pytest.mark.parametrize("wish", [cast_vote(token=1), override()])
def test_after_a_change_whoever_decides_names_what_they_were_shown(wish):
    Given(DECISION, *ASKED.events, information_provided(item=OTHER_ITEM)).when(wish).then_refused(
        SubjectNotNamed, decision_id=SUSPECT, current=OTHER_DIGEST
    )


def test_an_answer_by_a_clock_that_is_behind_takes_no_time_away():
    terms = replace(policy(), deadline_seconds=100)
    asked = Given(DECISION, submitted(policy=terms), claimed(), information_requested(at=later(30)))

    asked.when(provide_information(now=later(10))).then(
        information_provided(deadline_at=later(100), at=later(10))
    )
