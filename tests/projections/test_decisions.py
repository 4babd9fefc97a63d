"""The view of decisions answers what a submission is, how it stands and what came of it."""

import pytest

from ledger.domain.decision.events import Outcome
from ledger.domain.decision.state import Answer, Status
from ledger.domain.ids import DecisionId, StreamName
from ledger.domain.terms import Action
from ledger.projections.views.decisions import DECISIONS, DecisionRow, Found, current, find
from ledger.store.ledger import Ledger
from tests.builders import (
    ANA,
    BEN,
    ENGINE,
    NOW,
    SUSPECT,
    claimed,
    escalated,
    later,
    resolved,
    submitted,
    voted,
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
        return await find(conn, ledger.ledger_id, stream)


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
