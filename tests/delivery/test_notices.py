"""What the outside is told of a decision, and what never leaves the house."""

import asyncpg
import msgspec
import pytest

from ledger.delivery.notices import AlertType, NoticePage, Told, public_type, read_notices
from ledger.domain.decision.events import (
    DecisionReprioritised,
    InvalidationCause,
    Milestone,
    MilestonePassed,
    Outcome,
    Priority,
)
from ledger.domain.decision.state import Status
from ledger.domain.event import Event
from ledger.domain.ids import START, DecisionId, PersonId, Position, StreamName
from ledger.identity import people
from ledger.store.envelope import Provenance
from ledger.store.ledger import Ledger
from ledger.store.streams import append, draft, new_command_id, read_stream
from tests.builders import ADA, BEN, ENGINE, NOW, SAM, claimed, escalated, resolved, submitted, voted
from tests.builders.decision_events import released, renewed
from tests.builders.workflow_events import assigned, offered, reprioritised, votes_invalidated
from tests.support.databases import Database
from tests.support.events import an_event, new_stream
from tests.support.recorded import happened


async def by(ledger: Ledger, person: PersonId, stream: StreamName, *events: Event) -> None:
    """Append what a person did."""
    provenance = Provenance(actor=str(person), command_id=new_command_id())
    await append(ledger, draft(await read_stream(ledger, stream), events, provenance))


async def named(ledger: Ledger, person: PersonId, username: str) -> None:
    record = people.Record(username=username, email=f"{username}@example.org", full_name=username)
    row = people.Person(person=person, record=record, salt=people.new_salt(), created_at=NOW)
    async with ledger.pool.acquire() as conn:
        await people.insert(conn, ledger.ledger_id, row)


async def told(ledger: Ledger, after: int = START) -> list[Told]:
    return [notice.told for notice in (await read_notices(ledger, after=Position(after))).notices]


def types_in(page: NoticePage) -> list[tuple[int, str]]:
    return [(notice.told.position, notice.told.type) for notice in page.notices]


async def test_a_notice_tells_what_happened_to_which_decision_and_who_did_it(ledger: Ledger) -> None:
    await named(ledger, SAM, "sam")
    stream = ledger.decision_stream(DecisionId("CASE-1"))
    await happened(ledger, stream, submitted(decision_id=DecisionId("CASE-1"), priority=Priority.LOW))
    await by(ledger, SAM, stream, voted(SAM), resolved(SAM))

    verdict = (await told(ledger))[-1]

    assert verdict == Told(
        position=Position(3),
        type="decision.resolved",
        analysis_id=DecisionId("CASE-1"),
        kind="threat_analysis",
        status=Status.APPROVED,
        priority=Priority.LOW,
        at=NOW,
        by="sam",
    )


async def test_whoever_was_erased_is_told_as_such(ledger: Ledger) -> None:
    stream = ledger.decision_stream(DecisionId("CASE-1"))
    await by(ledger, ENGINE, stream, submitted(decision_id=DecisionId("CASE-1")))

    assert [notice.by for notice in await told(ledger)] == ["erased"]


async def test_what_nobody_did_is_told_without_a_name(ledger: Ledger) -> None:
    await happened(ledger, ledger.decision_stream(DecisionId("CASE-1")), submitted())

    assert [notice.by for notice in await told(ledger)] == [None]


async def test_the_status_is_told_where_the_event_decides_it(ledger: Ledger) -> None:
    stream = ledger.decision_stream(DecisionId("CASE-1"))
    await happened(
        ledger, stream, submitted(), claimed(), escalated(), voted(), resolved(outcome=Outcome.REJECTED)
    )

    assert [notice.status for notice in await told(ledger)] == [
        Status.PENDING,
        None,
        Status.ESCALATED,
        None,
        Status.REJECTED,
    ]


async def test_a_priority_is_told_as_it_was_at_that_moment(ledger: Ledger) -> None:
    stream = ledger.decision_stream(DecisionId("CASE-1"))
    raised = DecisionReprioritised(at=NOW, priority=Priority.CRITICAL, by=ADA, reason="It spreads.")
    await happened(ledger, stream, submitted(priority=Priority.LOW), claimed(), raised, escalated())

    assert [notice.priority.value for notice in await told(ledger)] == ["low", "low", "critical", "critical"]
    assert [notice.priority.value for notice in await told(ledger, after=3)] == ["critical"]


async def test_half_of_the_time_alerts_and_all_of_it_does_not(ledger: Ledger) -> None:
    stream = ledger.decision_stream(DecisionId("CASE-1"))
    passed = (MilestonePassed(at=NOW, milestone=milestone) for milestone in Milestone)
    await happened(ledger, stream, submitted(), *passed)

    page = await read_notices(ledger, after=Position(1))

    assert [notice.alerts for notice in page.notices] == [(AlertType.DECISION_REQUIRED,), ()]


async def test_nothing_is_told_of_people_and_sessions(ledger: Ledger) -> None:
    stream = new_stream()
    await append(ledger, draft(stream, [an_event()], Provenance(actor="system", command_id=new_command_id())))

    page = await read_notices(ledger, after=START)

    assert (page.notices, page.after, page.is_last) == ((), 1, True)


async def test_no_free_text_and_no_submitter_is_in_what_is_told(ledger: Ledger) -> None:
    await named(ledger, ENGINE, "engine")
    stream = ledger.decision_stream(DecisionId("CASE-1"))
    await happened(ledger, stream, submitted(by=ENGINE), voted(notes="a secret"), resolved(notes="a secret"))

    wire = msgspec.json.encode(await told(ledger)).decode()

    assert "secret" not in wire
    assert "Beacons" not in wire
    assert "engine" not in wire
    assert str(ENGINE) not in wire


async def test_a_submitter_is_told_of_their_own_decisions_alone(ledger: Ledger) -> None:
    mine, theirs = ledger.decision_stream(DecisionId("MINE")), ledger.decision_stream(DecisionId("THEIRS"))
    await happened(ledger, mine, submitted(by=ENGINE, decision_id=DecisionId("MINE")))
    await happened(ledger, theirs, submitted(by=BEN, decision_id=DecisionId("THEIRS")))
    await happened(ledger, theirs, resolved())
    await happened(ledger, mine, resolved())

    page = await read_notices(ledger, after=START, submitted_by=ENGINE)

    assert types_in(page) == [(1, "decision.submitted"), (4, "decision.resolved")]
    assert page.after == 4


async def test_a_submitter_is_told_neither_who_works_on_it_nor_who_votes(ledger: Ledger) -> None:
    await named(ledger, SAM, "sam")
    stream = ledger.decision_stream(DecisionId("CASE-1"))
    await happened(ledger, stream, submitted(by=ENGINE))
    await by(ledger, SAM, stream, claimed(), renewed(), offered(), released())
    await by(
        ledger, SAM, stream, assigned(SAM, by=SAM), voted(SAM), votes_invalidated(InvalidationCause.CONFLICT)
    )
    await by(ledger, SAM, stream, reprioritised(), resolved(SAM))

    page = await read_notices(ledger, after=START, submitted_by=ENGINE)

    assert [(notice.told.type, notice.told.by) for notice in page.notices] == [
        ("decision.submitted", None),
        ("decision.reprioritised", None),
        ("decision.resolved", "sam"),
    ]


async def test_reading_goes_on_where_it_ended_and_repeats_nothing(ledger: Ledger) -> None:
    stream = ledger.decision_stream(DecisionId("CASE-1"))
    await happened(ledger, stream, submitted(), claimed(), escalated(), voted(), resolved())

    first = await read_notices(ledger, after=START, limit=3)
    second = await read_notices(ledger, after=first.after, limit=3)

    assert [position for position, _ in types_in(first) + types_in(second)] == [1, 2, 3, 4, 5]
    assert (first.is_last, second.is_last) == (False, True)


async def test_an_event_that_cannot_be_read_is_told_by_what_the_log_says_of_it(
    ledger: Ledger, database: Database
) -> None:
    stream = ledger.decision_stream(DecisionId("CASE-1"))
    await happened(ledger, stream, submitted(decision_id=DecisionId("CASE-1")), resolved())
    await damage(database, position=2)

    notice = (await told(ledger))[-1]

    assert (notice.type, notice.analysis_id, notice.status) == ("decision.resolved", "CASE-1", None)


async def test_of_a_submission_that_cannot_be_read_nothing_is_told(
    ledger: Ledger, database: Database
) -> None:
    await happened(ledger, ledger.decision_stream(DecisionId("LOST")), submitted(), claimed())
    await happened(
        ledger, ledger.decision_stream(DecisionId("KEPT")), submitted(decision_id=DecisionId("KEPT"))
    )
    await damage(database, position=1)

    assert [(notice.position, notice.analysis_id) for notice in await told(ledger)] == [(3, "KEPT")]


@pytest.mark.parametrize(
    ("threat", "priority", "alerts"),
    [
        ("TARGETED", Priority.HIGH, [AlertType.NEW_DECISION]),
        ("TARGETED", Priority.CRITICAL, [AlertType.NEW_DECISION, AlertType.CRITICAL_THREAT]),
        ("APT", Priority.LOW, [AlertType.NEW_DECISION, AlertType.APT_DETECTED]),
        ("HONEYTOKEN", Priority.LOW, [AlertType.NEW_DECISION, AlertType.HONEYTOKEN_TRIGGERED]),
    ],
)
async def test_a_submission_alerts_to_what_it_is(
    ledger: Ledger, threat: str, priority: Priority, alerts: list[AlertType]
) -> None:
    event = submitted(priority=priority)
    item = msgspec.structs.replace(event.item, threat_level=threat)
    stream = ledger.decision_stream(DecisionId("CASE-1"))
    await happened(ledger, stream, msgspec.structs.replace(event, item=item))

    assert list((await read_notices(ledger, after=START)).notices[0].alerts) == alerts


async def test_an_escalation_alerts_and_a_vote_does_not(ledger: Ledger) -> None:
    stream = ledger.decision_stream(DecisionId("CASE-1"))
    await happened(ledger, stream, submitted(), escalated(), voted())

    page = await read_notices(ledger, after=Position(1))

    assert [notice.alerts for notice in page.notices] == [(AlertType.INCIDENT_ESCALATED,), ()]


@pytest.mark.parametrize(
    ("stored", "public"),
    [
        ("decision-submitted", "decision.submitted"),
        ("vote-cast", "decision.vote_cast"),
        ("claim-released", "decision.claim_released"),
    ],
)
def test_public_names_follow_from_the_stored_ones(stored: str, public: str) -> None:
    assert public_type(stored) == public


async def damage(database: Database, *, position: int) -> None:
    """Make the payload at a position unreadable, as no release ever would."""
    owner = await asyncpg.connect(database.owner_url)
    try:
        await owner.execute("update ledger.events set payload = '{}' where position = $1", position)
    finally:
        await owner.close()
