"""The queue lists what waits for a human, the most urgent and then the oldest first."""

from datetime import datetime
from uuid import UUID

import pytest
from msgspec.json import decode

from ledger.domain.decision.events import Priority
from ledger.domain.decision.state import Status
from ledger.domain.ids import DecisionId
from ledger.projections import picking
from ledger.projections.batch import Poisoned
from ledger.projections.projection import RowMissing, must_hit
from ledger.projections.submission import Submission
from ledger.projections.views.queue import ALL, QUEUE, Choice, Cursor, QueueItem, page
from ledger.store.ledger import Ledger
from tests.builders import (
    ANA,
    ENGINE,
    ITEM,
    NOW,
    claimed,
    escalated,
    later,
    released,
    renewed,
    resolved,
    submitted,
    voted,
)
from tests.projections.given import bring_level
from tests.support.recorded import happened


async def ask(ledger: Ledger, name: str, *, priority: Priority = Priority.HIGH) -> None:
    decision_id = DecisionId(name)
    await happened(
        ledger, ledger.decision_stream(decision_id), submitted(decision_id=decision_id, priority=priority)
    )


async def queue(
    ledger: Ledger,
    *,
    priority: Priority | None = None,
    choice: Choice = ALL,
    now: datetime = NOW,
    limit: int = 50,
    after: Cursor | None = None,
) -> tuple[QueueItem, ...]:
    await bring_level(ledger, QUEUE)
    async with ledger.pool.acquire() as conn:
        return await page(
            conn,
            ledger.ledger_id,
            now=now,
            limit=limit,
            after=after,
            choice=Choice(priority=priority) if priority else choice,
        )


async def names(ledger: Ledger, *, priority: Priority | None = None) -> list[str]:
    return [item.decision_id for item in await queue(ledger, priority=priority)]


async def only(ledger: Ledger) -> QueueItem:
    (item,) = await queue(ledger)
    return item


async def test_the_most_urgent_comes_first_and_then_the_oldest(ledger: Ledger) -> None:
    for name, priority in [
        ("low", Priority.LOW),
        ("high", Priority.HIGH),
        ("critical", Priority.CRITICAL),
        ("medium", Priority.MEDIUM),
        ("high too", Priority.HIGH),
    ]:
        await ask(ledger, name, priority=priority)

    assert await names(ledger) == ["critical", "high", "high too", "medium", "low"]
    assert await names(ledger, priority=Priority.HIGH) == ["high", "high too"]
    assert await names(ledger, priority=Priority.CRITICAL) == ["critical"]


@pytest.mark.parametrize("priority", [None, Priority.HIGH])
async def test_pages_follow_each_other_without_loss_or_repetition(
    ledger: Ledger, priority: Priority | None
) -> None:
    for number in range(7):
        await ask(ledger, f"item-{number}", priority=list(Priority)[number % 2])
    everything = await queue(ledger, priority=priority)

    paged: list[QueueItem] = []
    while found := await queue(
        ledger, priority=priority, limit=2, after=paged[-1].cursor() if paged else None
    ):
        paged += found

    assert tuple(paged) == everything
    assert len(everything) == (7 if priority is None else 3)


async def test_a_cursor_of_another_priority_does_not_widen_the_page(ledger: Ledger) -> None:
    await ask(ledger, "critical", priority=Priority.CRITICAL)
    await ask(ledger, "medium", priority=Priority.MEDIUM)
    await ask(ledger, "low", priority=Priority.LOW)
    start = Cursor(0, (await queue(ledger))[0].position)

    assert await queue(ledger, priority=Priority.CRITICAL, after=start) == ()
    assert [item.decision_id for item in await queue(ledger, priority=Priority.LOW, after=start)] == ["low"]


async def test_a_submission_is_kept_word_for_word(ledger: Ledger) -> None:
    await ask(ledger, "one")

    item = await only(ledger)

    submission = decode(item.submission, type=Submission)
    assert submission.analysis_id == "one"
    assert submission.forensic_summary == ITEM.forensic_summary
    assert submission.confidence == 89.5
    assert submission.incident_id is None
    assert submission.created_at == NOW
    assert (item.submitted_by, item.submitted_at, item.version) == (ENGINE, NOW, 1)


async def test_a_claimed_item_is_in_review_until_its_lease_runs_out(ledger: Ledger) -> None:
    await ask(ledger, "one")
    await happened(ledger, ledger.decision_stream(DecisionId("one")), claimed(by=ANA, seconds=300))

    item = await only(ledger)

    assert item.status_at(later(299)) is Status.IN_REVIEW
    assert item.status_at(later(300)) is Status.PENDING
    hold = item.standing.live_hold(NOW)
    assert hold is not None
    assert (hold.holder, hold.expires_at, hold.fencing_token) == (ANA, later(300), 1)
    assert item.standing.live_hold(later(300)) is None


async def test_a_renewed_lease_lasts_longer_and_a_released_one_is_gone(ledger: Ledger) -> None:
    await ask(ledger, "one")
    stream = ledger.decision_stream(DecisionId("one"))
    await happened(ledger, stream, claimed(by=ANA), renewed(by=ANA, at=later(200), seconds=300))

    assert (await only(ledger)).status_at(later(499)) is Status.IN_REVIEW

    await happened(ledger, stream, released(by=ANA))

    item = await only(ledger)
    assert item.status_at(NOW) is Status.PENDING
    assert item.standing.hold is None
    assert item.version == 4


async def test_what_befalls_an_earlier_lease_leaves_the_present_one(ledger: Ledger) -> None:
    await ask(ledger, "one")
    stream = ledger.decision_stream(DecisionId("one"))
    await happened(ledger, stream, claimed(token=1), claimed(token=2))
    await happened(ledger, stream, released(token=1), renewed(token=1, seconds=999))

    hold = (await only(ledger)).standing.hold

    assert hold is not None
    assert (hold.fencing_token, hold.expires_at) == (2, later(300))


async def test_an_escalated_item_stays_and_is_nobodys(ledger: Ledger) -> None:
    await ask(ledger, "one")
    stream = ledger.decision_stream(DecisionId("one"))
    await happened(ledger, stream, claimed(), escalated())

    item = await only(ledger)
    assert item.status_at(NOW) is Status.ESCALATED
    assert item.standing.hold is None

    await happened(ledger, stream, claimed(token=2))
    assert (await only(ledger)).status_at(NOW) is Status.ESCALATED


async def test_a_verdict_takes_an_item_off(ledger: Ledger) -> None:
    await ask(ledger, "one")
    await ask(ledger, "two")
    await happened(ledger, ledger.decision_stream(DecisionId("one")), voted(), resolved())

    assert await names(ledger) == ["two"]


async def test_an_item_submitted_and_decided_in_one_batch_never_shows(ledger: Ledger) -> None:
    await happened(ledger, ledger.decision_stream(DecisionId("analysis-7")), submitted(), voted(), resolved())

    assert await queue(ledger) == ()


async def test_an_event_without_its_row_is_a_failure(ledger: Ledger) -> None:
    stream = ledger.decision_stream(DecisionId("one"))
    await happened(ledger, stream, claimed())

    with pytest.raises(Poisoned) as failure:
        await bring_level(ledger, QUEUE)

    missing = failure.value.__cause__
    assert isinstance(missing, RowMissing)
    assert missing.context == {"stream": stream, "position": 1}


def test_an_update_that_hits_less_than_it_names_is_a_failure() -> None:
    must_hit("UPDATE 3", 3)
    with pytest.raises(RowMissing) as failure:
        must_hit("UPDATE 2", 3)

    assert failure.value.context == {"expected": 3, "hit": 2}


@pytest.mark.parametrize(
    ("until", "is_kept"), [("9 seconds", True), ("-1 seconds", False), ("1 year", False)]
)
async def test_a_reservation_that_has_run_out_or_that_nobody_can_have_made_is_forgotten(
    ledger: Ledger, until: str, *, is_kept: bool
) -> None:
    """The latter: the database's clock leapt a year ahead and was set right."""
    await ledger.pool.execute(
        "insert into work.reservations (ledger_id, stream, reservation_id, until)"
        " values ($1, 'decision-1', $2, clock_timestamp() + $3::text::interval)",
        ledger.ledger_id,
        UUID(int=1),
        until,
    )

    await picking.forget(ledger.pool, ledger.ledger_id)

    assert await ledger.pool.fetchval("select count(*) from work.reservations") == int(is_kept)
