"""Statistics in detail: what is open by what, how long things took, who followed what was recommended."""

from datetime import UTC, date, datetime, timedelta

import pytest
from msgspec.structs import replace

from ledger.domain.decision.events import Choice, DecisionEvent, Outcome
from ledger.domain.decision.item import Change, Item, KindItem
from ledger.domain.ids import DecisionId
from ledger.domain.terms import Action
from ledger.projections import statistics_detail
from ledger.projections.statistics_detail import Agreement, Detail, Duration, Question
from ledger.projections.views.statistics import STATISTICS
from ledger.store.ledger import Ledger
from tests.builders import (
    ANA,
    BEN,
    ENGINE,
    ITEM,
    NOW,
    SAM,
    claimed,
    escalated,
    later,
    resolved,
    submitted,
    voted,
)
from tests.builders.workflow_events import (
    information_provided,
    information_requested,
    overridden,
    timed_out,
)
from tests.projections.given import bring_level
from tests.support.recorded import happened

TODAY = NOW.date()
HOUR, DAY = 3_600, 86_400
INVOICE = KindItem(name="invoice", payload="{}")


async def ask(ledger: Ledger, name: str, *events: DecisionEvent, at: float = 0, item: Item = ITEM) -> None:
    decision_id = DecisionId(name)
    asked = submitted(decision_id=decision_id, item=item, at=later(at))
    await happened(ledger, ledger.decision_stream(decision_id), asked, *events)


async def found(
    ledger: Ledger,
    *,
    first: date = TODAY,
    last: date = TODAY,
    kind: str | None = None,
    at: datetime = NOW,
) -> Detail:
    await bring_level(ledger, STATISTICS)
    question = Question(first=first, last=last, kind=kind)
    return await statistics_detail.read(ledger.pool, ledger.ledger_id, question, at)


async def test_nothing_counts_nothing(ledger: Ledger) -> None:
    detail = await found(ledger)

    assert (detail.pending.total, detail.total.submitted, detail.total.agreement) == (0, 0, Agreement())
    assert detail.total.time_to_claim == detail.total.time_to_decide == Duration()
    assert (detail.by_kind, detail.by_person) == ((), ())
    assert [day.day for day in detail.by_day] == [TODAY]


async def test_what_is_open_is_told_by_priority_kind_level_and_age(ledger: Ledger) -> None:
    for number, seconds in enumerate((0, HOUR, 4 * HOUR, DAY, 7 * DAY)):
        await ask(ledger, f"a-{number}", at=-seconds)
    await ask(ledger, "moved up", escalated(), item=INVOICE)
    await ask(ledger, "over", timed_out())

    pending = (await found(ledger)).pending

    assert pending.total == 6
    assert pending.by_priority == {"critical": 0, "high": 6, "medium": 0, "low": 0}
    assert pending.by_kind == {"invoice": 1, "threat_analysis": 5}
    assert pending.by_level == {"0": 5, "1": 1}
    assert pending.by_age == {
        "under_1_hour": 2,
        "under_4_hours": 1,
        "under_1_day": 1,
        "under_7_days": 1,
        "7_days_or_more": 1,
    }


async def test_times_run_from_the_submission_to_the_first_claim_and_to_the_verdict(ledger: Ledger) -> None:
    for number, seconds in enumerate((10, 20, 60)):
        again = claimed(by=BEN, token=2, at=later(500))
        verdict = resolved(at=later(100 * seconds))
        await ask(ledger, f"a-{number}", claimed(at=later(seconds)), again, verdict)
    await ask(ledger, "expired", timed_out(at=later(9_999)))

    total = (await found(ledger)).total

    assert total.time_to_claim == Duration(count=3, median_seconds=20, p95_seconds=pytest.approx(56))
    assert total.time_to_decide == Duration(count=3, median_seconds=2_000, p95_seconds=pytest.approx(5_600))


@pytest.mark.parametrize(
    ("item", "verdict", "agreed"),
    [
        (ITEM, resolved(actions=(Action.BLOCK_IP,)), True),
        (ITEM, resolved(actions=(Action.BLOCK_IP, Action.CUSTOM)), False),
        (ITEM, resolved(actions=()), False),
        (ITEM, resolved(outcome=Outcome.REJECTED, actions=()), False),
        (ITEM, overridden(actions=(Action.BLOCK_IP,)), True),
        (replace(ITEM, recommended_actions=("Block the address",)), resolved(actions=(Action.CUSTOM,)), True),
        (replace(ITEM, recommended_actions=("block_ip", "and pray")), resolved(actions=()), True),
        (replace(ITEM, recommended_actions=(" Block_IP ",)), resolved(actions=(Action.BLOCK_IP,)), True),
        (replace(ITEM, recommended_actions=()), resolved(actions=()), True),
        (INVOICE, resolved(actions=()), True),
        (INVOICE, resolved(outcome=Outcome.REJECTED, actions=()), False),
    ],
)
async def test_a_verdict_agrees_when_it_approves_just_what_was_recommended(
    ledger: Ledger, item: Item, verdict: DecisionEvent, *, agreed: bool
) -> None:
    await ask(ledger, "a", verdict, item=item)

    agreement = (await found(ledger)).total.agreement

    assert agreement == Agreement(compared=1, agreed=int(agreed), share=float(agreed))


async def test_an_approval_with_changes_is_another_thing_than_was_recommended(ledger: Ledger) -> None:
    changes = (Change(pointer="/sum", before="1", after="2"),)
    await ask(ledger, "a", resolved(actions=(), changes=changes), item=INVOICE)

    assert (await found(ledger)).total.agreement.agreed == 0


async def test_a_changed_item_recommends_what_it_says_now(ledger: Ledger) -> None:
    other = replace(ITEM, recommended_actions=("no_action",))
    answer = information_provided(item=other)
    await ask(ledger, "a", claimed(), information_requested(), answer, resolved(actions=(Action.NO_ACTION,)))

    assert (await found(ledger)).total.agreement.agreed == 1


async def test_an_expiry_is_no_verdict_and_says_whether_anybody_saw_it(ledger: Ledger) -> None:
    await ask(ledger, "seen", claimed(), timed_out(human_seen=True))
    await ask(ledger, "unseen", timed_out())

    total = (await found(ledger)).total

    assert (total.expired, total.expired_unseen, total.agreement) == (2, 1, Agreement())
    assert total.time_to_decide == Duration()


async def test_every_person_is_told_what_they_did(ledger: Ledger) -> None:
    await ask(
        ledger,
        "a",
        claimed(by=ANA),
        voted(by=ANA, at=later(40)),
        voted(by=BEN, choice=Choice.REJECT, actions=(), at=later(50)),
        voted(by=SAM, choice=Choice.ABSTAIN, actions=(), at=later(50)),
        resolved(by=BEN, at=later(50)),
    )
    await ask(ledger, "b", escalated(by=BEN), escalated(by=None, level=2), overridden(by=SAM))

    people = {one.person: one for one in (await found(ledger)).by_person}

    assert set(people) == {ANA, BEN, SAM}
    ana, ben, sam = people[ANA], people[BEN], people[SAM]
    assert (ana.claims, ana.approvals, ana.decided) == (1, 1, 0)
    assert ana.time_to_vote == Duration(count=1, median_seconds=40, p95_seconds=40)
    assert ana.agreement == Agreement(compared=1, agreed=1, share=1.0)
    assert (ben.rejections, ben.decided, ben.escalations, ben.time_to_vote) == (1, 1, 1, Duration())
    assert ben.agreement == Agreement(compared=1, agreed=0, share=0.0)
    assert (sam.abstentions, sam.overrides, sam.agreement) == (1, 1, Agreement())
    assert (await found(ledger)).total.escalated == 2


async def test_each_thing_counts_on_the_day_it_happened_by_utc(ledger: Ledger) -> None:
    before_midnight = datetime(2026, 3, 2, 23, 59, 59, tzinfo=UTC)
    after = before_midnight + timedelta(seconds=2)
    await ask(ledger, "a", claimed(at=before_midnight), resolved(at=after))

    detail = await found(ledger, last=TODAY + timedelta(days=2))

    days = [(day.day.day, day.submitted, day.time_to_claim.count, day.approved) for day in detail.by_day]
    assert days == [(2, 1, 1, 0), (3, 0, 0, 1), (4, 0, 0, 0)]
    second = await found(ledger, first=TODAY + timedelta(days=1), last=TODAY + timedelta(days=1))
    assert (second.total.submitted, second.total.approved) == (0, 1)


async def test_one_kind_can_be_asked_for(ledger: Ledger) -> None:
    await ask(ledger, "threat", claimed(by=ANA))
    await ask(ledger, "invoice", claimed(by=BEN), resolved(by=BEN), item=INVOICE)
    await ask(ledger, "open", item=INVOICE)

    detail = await found(ledger, kind="invoice")

    assert (detail.pending.total, detail.total.submitted, detail.total.approved) == (1, 2, 1)
    assert [kind.kind for kind in detail.by_kind] == ["invoice"]
    assert [one.person for one in detail.by_person] == [BEN]
    both = await found(ledger)
    assert [(kind.kind, kind.submitted) for kind in both.by_kind] == [("invoice", 2), ("threat_analysis", 1)]


async def test_a_submitter_is_told_of_its_own_and_not_who_did_it(ledger: Ledger) -> None:
    await ask(ledger, "a", claimed(), escalated(), resolved())
    await bring_level(ledger, STATISTICS)

    for person, count in ((ENGINE, 1), (SAM, 0)):
        question = Question(first=TODAY, last=TODAY, submitted_by=person)
        told = await statistics_detail.read(ledger.pool, ledger.ledger_id, question, NOW)
        assert (told.total.submitted, told.total.escalated, told.total.approved) == (count, count, count)
        assert told.by_person == ()
