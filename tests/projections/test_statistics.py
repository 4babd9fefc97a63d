"""Statistics count what the wire contract says they count."""

from datetime import timedelta

import pytest

from ledger.domain.decision.events import DecisionEvent, Outcome, Priority
from ledger.domain.ids import DecisionId, PersonId
from ledger.projections.views.statistics import STATISTICS, Summary, Totals, summary, totals
from ledger.store.ledger import Ledger
from tests.builders import ANA, ENGINE, NOW, SAM, claimed, escalated, later, resolved, submitted, voted
from tests.builders.workflow_events import (
    cancelled,
    overridden,
    reprioritised,
    superseded,
    timed_out,
    withdrawn,
)
from tests.projections.given import bring_level
from tests.support.recorded import happened

DAY = 24 * 60 * 60


async def counted(ledger: Ledger, at: float = 0, submitted_by: PersonId | None = None) -> Summary:
    await bring_level(ledger, STATISTICS)
    async with ledger.pool.acquire() as conn:
        return await summary(conn, ledger.ledger_id, later(at), submitted_by=submitted_by)


async def totalled(ledger: Ledger, submitted_by: PersonId | None = None) -> Totals:
    await bring_level(ledger, STATISTICS)
    async with ledger.pool.acquire() as conn:
        return await totals(conn, ledger.ledger_id, submitted_by=submitted_by)


async def ask(
    ledger: Ledger,
    name: str,
    *,
    by: PersonId = ENGINE,
    priority: Priority = Priority.HIGH,
    at: float = 0,
) -> None:
    decision_id = DecisionId(name)
    event = submitted(by=by, decision_id=decision_id, priority=priority, at=later(at))
    await happened(ledger, ledger.decision_stream(decision_id), event)


async def test_an_empty_ledger_counts_nothing(ledger: Ledger) -> None:
    assert await counted(ledger) == Summary(
        total_pending=0,
        critical_pending=0,
        high_pending=0,
        medium_pending=0,
        low_pending=0,
        total_completed=0,
        avg_response_time_minutes=0.0,
        decisions_last_24h=0,
    )
    assert await totalled(ledger) == Totals(
        pending_decisions=0, critical_pending=0, total_decisions=0, total_responses=0
    )


async def test_pending_is_all_that_is_open(ledger: Ledger) -> None:
    for name, priority in [("a", Priority.CRITICAL), ("b", Priority.HIGH), ("c", Priority.HIGH)]:
        await ask(ledger, name, priority=priority)
    await ask(ledger, "d", priority=Priority.MEDIUM)
    await ask(ledger, "e", priority=Priority.LOW)
    await happened(ledger, ledger.decision_stream(DecisionId("a")), claimed())
    await happened(ledger, ledger.decision_stream(DecisionId("b")), escalated())

    found = await counted(ledger)

    assert (found.total_pending, found.critical_pending, found.high_pending) == (5, 1, 2)
    assert (found.medium_pending, found.low_pending) == (1, 1)
    assert await totalled(ledger) == Totals(
        pending_decisions=5, critical_pending=1, total_decisions=5, total_responses=1
    )


async def test_completed_counts_approved_and_rejected(ledger: Ledger) -> None:
    for name, outcome in [("a", Outcome.APPROVED), ("b", Outcome.REJECTED)]:
        await ask(ledger, name)
        await happened(ledger, ledger.decision_stream(DecisionId(name)), voted(), resolved(outcome=outcome))
    await ask(ledger, "c")
    await happened(ledger, ledger.decision_stream(DecisionId("c")), escalated())

    found = await counted(ledger)

    assert (found.total_completed, found.total_pending) == (2, 1)
    assert (await totalled(ledger)).total_responses == 3


ENDS: dict[str, DecisionEvent] = {
    "expired": timed_out(),
    "withdrawn": withdrawn(),
    "cancelled": cancelled(),
    "superseded": superseded(),
}


@pytest.mark.parametrize("how", ENDS)
async def test_what_ended_without_a_verdict_is_neither_pending_nor_completed(
    ledger: Ledger, how: str
) -> None:
    await ask(ledger, "a", priority=Priority.CRITICAL)
    await happened(ledger, ledger.decision_stream(DecisionId("a")), ENDS[how])

    found = await counted(ledger)

    assert (found.total_pending, found.critical_pending, found.total_completed) == (0, 0, 0)
    assert found.avg_response_time_minutes == 0
    assert found.decisions_last_24h == 1
    assert await totalled(ledger) == Totals(
        pending_decisions=0, critical_pending=0, total_decisions=1, total_responses=1
    )


async def test_an_override_completes(ledger: Ledger) -> None:
    await ask(ledger, "a")
    await happened(ledger, ledger.decision_stream(DecisionId("a")), overridden(at=later(60)))

    found = await counted(ledger)

    assert (found.total_pending, found.total_completed, found.avg_response_time_minutes) == (0, 1, 1.0)


async def test_what_is_pending_counts_by_the_priority_that_holds_now(ledger: Ledger) -> None:
    await ask(ledger, "a", priority=Priority.LOW)
    await happened(ledger, ledger.decision_stream(DecisionId("a")), reprioritised(Priority.CRITICAL))

    found = await counted(ledger)

    assert (found.critical_pending, found.low_pending) == (1, 0)


async def test_a_response_takes_from_submission_to_verdict(ledger: Ledger) -> None:
    for name, seconds in [("a", 90), ("b", 30)]:
        await ask(ledger, name)
        verdict = resolved(at=later(seconds))
        await happened(ledger, ledger.decision_stream(DecisionId(name)), escalated(), voted(), verdict)

    assert (await counted(ledger)).avg_response_time_minutes == 1.0


async def test_the_last_24_hours_end_when_one_asks(ledger: Ledger) -> None:
    await ask(ledger, "a")
    await ask(ledger, "b", at=60)

    assert (await counted(ledger, at=DAY - 1)).decisions_last_24h == 2
    assert (await counted(ledger, at=DAY)).decisions_last_24h == 1
    assert (await counted(ledger, at=DAY + 60)).decisions_last_24h == 0


async def test_a_service_counts_only_what_it_submitted(ledger: Ledger) -> None:
    await ask(ledger, "mine", by=ENGINE, priority=Priority.CRITICAL)
    await ask(ledger, "answered", by=ENGINE)
    await happened(
        ledger,
        ledger.decision_stream(DecisionId("answered")),
        voted(),
        resolved(at=NOW + timedelta(minutes=3)),
    )
    await ask(ledger, "theirs", by=SAM, priority=Priority.CRITICAL)

    mine = await counted(ledger, submitted_by=ENGINE)

    assert (mine.total_pending, mine.critical_pending, mine.total_completed) == (1, 1, 1)
    assert (mine.avg_response_time_minutes, mine.decisions_last_24h) == (3.0, 2)
    assert (await counted(ledger, submitted_by=ANA)).decisions_last_24h == 0
    assert await totalled(ledger, submitted_by=SAM) == Totals(
        pending_decisions=1, critical_pending=1, total_decisions=1, total_responses=0
    )
