"""The view of decisions answers what a submission is, how it stands and what came of it."""

import asyncio

import pytest
from msgspec.structs import replace

from ledger.domain.decision.events import InvalidationCause, Outcome, Priority
from ledger.domain.decision.item import Change, subject_digest
from ledger.domain.decision.state import Answer, DutyStanding, Status
from ledger.domain.ids import DecisionId, Digest, StreamName
from ledger.domain.terms import Action
from ledger.projections.decision_row import DecisionRow
from ledger.projections.views.decisions import DECISIONS, Found, current, find, lookups
from ledger.store.ledger import Ledger
from tests.builders import (
    ADA,
    ANA,
    BEN,
    DIGEST,
    ENGINE,
    ITEM,
    NOW,
    SUSPECT,
    claimed,
    escalated,
    later,
    policy,
    resolved,
    submitted,
    voted,
)
from tests.builders.workflow_events import (
    commented,
    countersigned,
    evidence_attached,
    information_provided,
    information_requested,
    outcome_reported,
    overridden,
    redeemed,
    reprioritised,
    votes_invalidated,
)
from tests.projections.given import bring_level
from tests.support.recorded import happened


@pytest.fixture
async def stream(ledger: Ledger) -> StreamName:
    """A decision that was submitted."""
    name = ledger.decision_stream(SUSPECT)
    await happened(ledger, name, submitted())
    return name


async def found(ledger: Ledger, stream: StreamName) -> Found:
    async with ledger.pool.acquire() as conn:
        return (await find(conn, ledger.ledger_id, [stream]))[stream]


async def level(ledger: Ledger, stream: StreamName) -> DecisionRow:
    await bring_level(ledger, DECISIONS)
    answer = await found(ledger, stream)
    assert answer.is_level()
    assert answer.row is not None
    return answer.row


async def test_a_submission_waits_without_an_answer(ledger: Ledger, stream: StreamName) -> None:
    row = await level(ledger, stream)

    assert row.answer is None
    assert row.status_at(NOW) is Status.PENDING
    assert (row.decision_id, row.submitted_by, row.version, row.is_resolved) == (SUSPECT, ENGINE, 1, False)


async def test_a_claim_shows_while_it_lasts(ledger: Ledger, stream: StreamName) -> None:
    await happened(ledger, stream, claimed(seconds=300))

    row = await level(ledger, stream)

    assert row.status_at(later(299)) is Status.IN_REVIEW
    assert row.status_at(later(300)) is Status.PENDING


async def test_a_verdict_is_the_answer(ledger: Ledger, stream: StreamName) -> None:
    await bring_level(ledger, DECISIONS)
    actions = (Action.BLOCK_IP, Action.CUSTOM)
    verdict = resolved(by=BEN, outcome=Outcome.REJECTED, actions=actions, notes="no, thanks", at=later(60))
    await happened(ledger, stream, claimed(by=BEN), voted(by=BEN), verdict)

    row = await level(ledger, stream)

    assert row.answer == Answer(
        status=Status.REJECTED,
        approved_actions=actions,
        notes="no, thanks",
        decided_by=BEN,
        decided_at=later(60),
        escalation_reason=None,
        subject_digest=DIGEST,
    )
    assert row.status_at(NOW) is Status.REJECTED
    assert row.is_resolved
    assert row.standing.hold is None
    assert row.version == 4


async def test_an_escalation_is_the_answer_until_a_verdict_replaces_it(
    ledger: Ledger, stream: StreamName
) -> None:
    await happened(ledger, stream, escalated(by=ANA, reason="odd, very", actions=()))

    row = await level(ledger, stream)
    assert row.answer == Answer(
        status=Status.ESCALATED,
        approved_actions=(),
        notes="",
        decided_by=ANA,
        decided_at=NOW,
        escalation_reason="odd, very",
    )
    assert not row.is_resolved

    await happened(ledger, stream, voted(by=BEN), resolved(by=BEN))
    answer = (await level(ledger, stream)).answer
    assert answer is not None
    assert (answer.status, answer.escalation_reason) == (Status.APPROVED, None)


async def test_a_timer_escalates_as_nobody(ledger: Ledger, stream: StreamName) -> None:
    await happened(ledger, stream, escalated(by=None))

    answer = (await level(ledger, stream)).answer

    assert answer is not None
    assert answer.decided_by is None


async def test_a_row_behind_its_stream_says_so(ledger: Ledger, stream: StreamName) -> None:
    behind = await found(ledger, stream)
    assert (behind.row, behind.stream_version, behind.is_level()) == (None, 1, False)

    await bring_level(ledger, DECISIONS)
    await happened(ledger, stream, claimed())

    behind = await found(ledger, stream)
    assert behind.row is not None
    assert (behind.row.version, behind.stream_version, behind.is_level()) == (1, 2, False)


async def test_what_nobody_submitted_is_level_and_nothing(ledger: Ledger) -> None:
    nothing = await found(ledger, ledger.decision_stream(DecisionId("nothing")))

    assert nothing == Found(row=None, stream_version=0)
    assert nothing.is_level()
    assert await current(ledger, ledger.decision_stream(DecisionId("nothing"))) is None


async def test_what_the_view_lacks_is_folded_from_the_stream(ledger: Ledger, stream: StreamName) -> None:
    """Whoever asks by id sees their own write, however far the view has come."""
    await happened(ledger, stream, claimed(), voted(), resolved(notes="done"))
    folded = await current(ledger, stream)

    await bring_level(ledger, DECISIONS)
    projected = await current(ledger, stream)

    assert folded == projected
    assert projected is not None
    assert projected.answer is not None
    assert projected.answer.notes == "done"


async def test_a_view_that_somebody_changes_by_hand_is_folded_past(
    ledger: Ledger, stream: StreamName
) -> None:
    """Its columns are not those that this release asks for: the stream has the answer all the same."""
    await happened(ledger, stream, voted(), resolved(notes="done"))
    expected = await level(ledger, stream)
    await ledger.pool.execute("alter table views.decisions_v2 rename column notes to remarks")

    assert await current(ledger, stream) == expected


async def test_a_view_that_somebody_keeps_everybody_else_out_of_is_folded_past(
    ledger: Ledger, stream: StreamName
) -> None:
    await happened(ledger, stream, voted(), resolved(notes="done"))
    expected = await level(ledger, stream)

    async with ledger.pool.acquire() as conn, conn.transaction():
        await conn.execute("lock table views.decisions_v2 in access exclusive mode")
        async with ledger.pool.acquire() as other:  # the one that is taken next
            await other.execute("set lock_timeout = '10ms'")

        assert await current(ledger, stream) == expected


async def test_a_row_that_cannot_be_read_keeps_those_beside_it_from_nobody(
    ledger: Ledger, stream: StreamName
) -> None:
    await happened(ledger, stream, voted(), resolved(notes="done"))
    expected = await level(ledger, stream)
    await ledger.pool.execute("update views.decisions_v2 set votes = 'no JSON'")
    together = lookups(ledger)

    nothing, folded = await asyncio.gather(
        current(ledger, ledger.decision_stream(DecisionId("nothing")), together),
        current(ledger, stream, together),
    )

    assert nothing is None
    assert folded == expected


async def test_another_item_is_shown_in_the_place_of_the_one_before(
    ledger: Ledger, stream: StreamName
) -> None:
    other = replace(ITEM, source_ip="198.51.100.7")
    await bring_level(ledger, DECISIONS)
    await happened(ledger, stream, information_requested(), information_provided(item=other))

    row = await level(ledger, stream)

    assert b'"source_ip":"198.51.100.7"' in row.submission
    assert row.subject_digest == subject_digest(SUSPECT, other, 1, Priority.HIGH)
    assert row.question is None


async def test_an_open_question_is_shown_and_stops_the_clocks(ledger: Ledger) -> None:
    stream = ledger.decision_stream(DecisionId("slow"))
    rules = replace(policy(), deadline_seconds=100, target_seconds=50, information_seconds=60)
    await happened(ledger, stream, submitted(policy=rules), information_requested(question="Which host?"))

    row = await level(ledger, stream)

    assert row.question is not None
    assert (row.question.question, row.question.by) == ("Which host?", ANA)
    assert (row.target_at, row.deadline_at) == (later(110), later(160))
    assert (row.status_at(later(159)), row.status_at(later(160))) == (Status.PENDING, Status.EXPIRED)


async def test_votes_are_shown_until_they_are_void(ledger: Ledger, stream: StreamName) -> None:
    change = Change(pointer="/confidence", before="89.5", after="10.0")
    await happened(ledger, stream, voted(changes=(change,), notes="less so"), voted(by=BEN))

    votes = (await level(ledger, stream)).votes
    assert [(vote.voter, vote.notes, vote.changes) for vote in votes] == [
        (ANA, "less so", (change,)),
        (BEN, "", ()),
    ]

    await happened(ledger, stream, votes_invalidated(InvalidationCause.SUBJECT_CHANGED))
    assert (await level(ledger, stream)).votes == ()


async def test_an_override_is_shown_with_whoever_stands_by_it(ledger: Ledger, stream: StreamName) -> None:
    await happened(ledger, stream, overridden(ADA, ticket="INC-7"), countersigned(BEN))

    row = await level(ledger, stream)

    assert row.override is not None
    assert (row.override.ticket, row.override.standing) == ("INC-7", DutyStanding.COUNTERSIGNED)
    assert (row.override.by, row.override.countersigned_by) == (ADA, BEN)
    assert row.answer is not None
    assert row.answer.approved_digest == row.subject_digest


async def test_what_is_said_and_attached_is_counted_and_listed(ledger: Ledger, stream: StreamName) -> None:
    await happened(ledger, stream, commented(), evidence_attached(), commented(BEN), reprioritised())

    row = await level(ledger, stream)

    assert (row.comments, [file.name for file in row.evidence]) == (2, ["capture.pcap"])
    assert (row.priority, row.asked_priority) == (Priority.CRITICAL, Priority.HIGH)


async def test_a_redeemed_approval_and_its_outcome_are_shown(ledger: Ledger, stream: StreamName) -> None:
    change = Change(pointer="/confidence", before="89.5", after="10.0")
    digest = Digest("a" * 64)
    await happened(
        ledger,
        stream,
        voted(),
        resolved(changes=(change,), approved_digest=digest),
        redeemed(at=later(5)),
        outcome_reported(succeeded=False, details="timed out"),
    )

    row = await level(ledger, stream)

    assert row.answer is not None
    assert (row.answer.changes, row.answer.approved_digest) == ((change,), digest)
    assert (row.redeemed_at, row.outcome and row.outcome.details) == (later(5), "timed out")
