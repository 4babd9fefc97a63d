"""The queue: open items by priority, then age, page by page."""

import asyncio
import re

import pytest
from msgspec.structs import replace

from ledger.domain.decision.item import KindItem
from ledger.domain.ids import DecisionId
from tests.api.answers import assert_refused, decide, fixed, pending, submit, together, wrong_fields
from tests.builders.decision_events import policy, submitted
from tests.identity.house import MovingClock
from tests.support.desk import Desk
from tests.support.http import Api, submission

PRIORITIES = ("low", "critical", "medium", "high")


async def test_an_empty_queue_is_an_empty_list(api: Api) -> None:
    answer = await api.client.get("/api/decisions/pending", headers=await api.login())

    assert (answer.status_code, answer.json()) == (200, [])
    assert "link" not in answer.headers


async def test_the_queue_lists_whole_items_with_their_status(api: Api) -> None:
    admin = await api.login()
    await submit(api, admin, "beacon-17")

    answer = await api.client.get("/api/decisions/pending", headers=admin)

    assert [fixed(item) for item in answer.json()] == [{**submission("beacon-17"), "status": "pending"}]


async def test_the_most_urgent_and_then_the_oldest_come_first(api: Api) -> None:
    admin = await api.login()
    for number in range(8):
        priority = PRIORITIES[number % 4]
        await submit(
            api,
            admin,
            f"{priority}-{number}",
            priority=priority,
            created_at=f"20{40 - number}-01-01T00:00:00Z",
        )

    assert await pending(api, admin) == [
        "critical-1",
        "critical-5",
        "high-3",
        "high-7",
        "medium-2",
        "medium-6",
        "low-0",
        "low-4",
    ]


async def test_the_queue_can_be_asked_for_one_priority(api: Api) -> None:
    admin = await api.login()
    for number, priority in enumerate(PRIORITIES * 2):
        await submit(api, admin, f"{priority}-{number}", priority=priority)

    for priority in PRIORITIES:
        found = await pending(api, admin, priority=priority)
        assert [analysis_id.split("-")[0] for analysis_id in found] == [priority, priority]


async def test_what_is_decided_leaves_the_queue_and_what_is_escalated_stays(api: Api) -> None:
    admin = await api.login()
    for analysis_id in ("approved", "rejected", "escalated", "untouched"):
        await submit(api, admin, analysis_id)
    for status in ("approved", "rejected", "escalated"):
        await decide(api, admin, status, status, escalation_reason="unsure")

    answer = await api.client.get("/api/decisions/pending", headers=admin)

    shown = [(item["analysis_id"], item["status"]) for item in answer.json()]
    assert shown == [("escalated", "escalated"), ("untouched", "pending")]


@together
async def test_the_queue_needs_a_token(shared: Api) -> None:
    assert_refused(await shared.client.get("/api/decisions/pending"), 401, "Not authenticated")


@together
@pytest.mark.parametrize(
    ("role", "status"),
    [("viewer", 403), ("service", 403), ("analyst", 200), ("auditor", 200), ("admin", 200)],
)
async def test_the_queue_is_for_analysts_administrators_and_auditors(
    shared: Api, role: str, status: int
) -> None:
    headers = await shared.newcomer(f"the-{role}", role)

    answer = await shared.client.get("/api/decisions/pending", headers=headers)

    assert answer.status_code == status
    if status == 403:
        assert_refused(answer, 403, "Insufficient permissions")


@together
@pytest.mark.parametrize("limit", ["0", "101", "-1", "abc", "1.5", "", "9" * 40, "0x10", "50 "])
async def test_a_limit_is_a_number_from_1_to_100(shared: Api, admin: dict[str, str], limit: str) -> None:
    answer = await shared.client.get(f"/api/decisions/pending?limit={limit}", headers=admin)

    assert wrong_fields(answer) == {"limit"}


@together
@pytest.mark.parametrize("limit", [1, 100])
async def test_limits_at_their_ends_are_taken(shared: Api, admin: dict[str, str], limit: int) -> None:
    answer = await shared.client.get(f"/api/decisions/pending?limit={limit}", headers=admin)

    assert answer.status_code == 200


@together
@pytest.mark.parametrize("priority", ["urgent", "HIGH", "", "high,low"])
async def test_an_unknown_priority_is_refused(shared: Api, admin: dict[str, str], priority: str) -> None:
    answer = await shared.client.get(f"/api/decisions/pending?priority={priority}", headers=admin)

    assert wrong_fields(answer) == {"priority"}


@together
@pytest.mark.parametrize(
    "cursor",
    ["", "garbage", "1", "4.1", "-1.1", "1.-1", "1.1.1", "0." + "9" * 19, "0." + "9" * 40, "1,1", " 1.1"],
)
async def test_a_cursor_is_one_of_ours(shared: Api, admin: dict[str, str], cursor: str) -> None:
    answer = await shared.client.get(f"/api/decisions/pending?cursor={cursor}", headers=admin)

    assert wrong_fields(answer) == {"cursor"}


@together
@pytest.mark.parametrize("cursor", ["3.999999999999999999", "0.0"])
async def test_a_page_past_the_end_is_empty(shared: Api, admin: dict[str, str], cursor: str) -> None:
    answer = await shared.client.get(f"/api/decisions/pending?cursor={cursor}", headers=admin)

    assert (answer.status_code, answer.json()) == (200, [])
    assert "link" not in answer.headers


@pytest.mark.parametrize("priority", [None, "high"])
async def test_pages_show_every_item_once_in_order(api: Api, priority: str | None) -> None:
    admin = await api.login()
    await asyncio.gather(
        *(submit(api, admin, f"{PRIORITIES[n % 4]}-{n}", priority=PRIORITIES[n % 4]) for n in range(110))
    )
    query = {"limit": "20", **({"priority": priority} if priority else {})}
    whole = [*await pending(api, admin, limit=100, **({"priority": priority} if priority else {}))]

    pages, address = [], "/api/decisions/pending?" + "&".join(f"{k}={v}" for k, v in query.items())
    while address:
        answer = await api.client.get(address, headers=admin)
        pages.append([item["analysis_id"] for item in answer.json()])
        address = _next(answer.headers.get("link"))

    listed = [analysis_id for page in pages for analysis_id in page]
    assert listed[:100] == whole
    assert len(set(listed)) == len(listed) == (28 - 1 if priority else 110)
    assert {len(page) for page in pages[:-1]} == {20}
    ranks = [("critical", "high", "medium", "low").index(item.split("-")[0]) for item in listed]
    assert ranks == sorted(ranks)


async def test_a_full_last_page_has_no_next_one(api: Api) -> None:
    admin = await api.login()
    for number in range(2):
        await submit(api, admin, f"item-{number}")

    answer = await api.client.get("/api/decisions/pending?limit=2", headers=admin)

    assert len(answer.json()) == 2
    assert "link" not in answer.headers


async def test_an_item_that_leaves_or_arrives_between_pages_moves_no_other(api: Api) -> None:
    admin = await api.login()
    for number in range(4):
        await submit(api, admin, f"item-{number}")
    first = await api.client.get("/api/decisions/pending?limit=2", headers=admin)
    await decide(api, admin, "item-0")
    await submit(api, admin, "critical", priority="critical")

    second = await api.client.get(_next(first.headers["link"]), headers=admin)

    assert [item["analysis_id"] for item in second.json()] == ["item-2", "item-3"]


def _next(link: str | None) -> str:
    """The next page's address (RFC 8288), or nothing."""
    if link is None:
        return ""
    match = re.fullmatch(r'<([^>]+)>; rel="next"', link)
    assert match is not None, link
    return match[1]


@pytest.fixture
async def busy(api: Api) -> Desk:
    """A queue of four: held by sam, assigned to sam, moved up, and of another kind."""
    desk = Desk(api)
    for name, role in (("admin", "admin"), ("engine", "service"), ("sam", "analyst"), ("ben", "analyst")):
        await desk.seat(name, role)
    for name in ("held", "assigned", "moved-up"):
        await desk.ask(name)
    await desk.ask("of-a-kind", item=KindItem(name="payout", payload='{"sum": 5}'))
    await desk.post("sam", "held/claim")
    await desk.post("admin", "assigned/assign", {"to": "sam", "reason": "x"})
    await desk.post("ben", "moved-up/escalate?escalation_reason=unsure")
    return desk


async def test_the_queue_shows_who_works_on_what_and_until_when(busy: Desk) -> None:
    items = {item["analysis_id"]: item for item in (await busy.get("ben", "pending")).json()}

    assert items["held"]["status"] == "in_review"
    lease = (await busy.get("ben", "held")).json()["lease"]
    assert items["held"]["lease"] == lease
    assert lease["holder"] == "sam"
    assert (items["assigned"]["status"], items["assigned"]["assigned_to"]) == ("pending", "sam")
    assert (items["moved-up"]["status"], items["moved-up"]["level"]) == ("escalated", 1)
    assert items["of-a-kind"]["payload"] == {"sum": 5}
    for name, item in items.items():
        assert item["subject_digest"] == (await busy.get("ben", name)).json()["subject_digest"]


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ({"mine": "true"}, ["held"]),
        ({"mine": "false"}, ["held", "assigned", "moved-up", "of-a-kind"]),
        ({"assigned": "SAM"}, ["assigned"]),
        ({"assigned": "ben"}, []),
        ({"mine": "true", "assigned": "sam"}, []),
        ({"kind": "payout"}, ["of-a-kind"]),
        ({"kind": "threat_analysis", "level": "0"}, ["held", "assigned"]),
        ({"level": "1"}, ["moved-up"]),
        ({"mine": "true", "kind": "payout"}, []),
    ],
)
async def test_the_queue_can_be_asked_for_a_part(busy: Desk, query: dict[str, str], names: list[str]) -> None:
    assert await pending(busy.api, busy.people["sam"].headers, **query) == names


async def test_the_next_page_is_of_the_same_part(busy: Desk) -> None:
    sam = busy.people["sam"].headers
    query = {"kind": "threat_analysis", "level": 0, "limit": 1}
    first = await busy.api.client.get("/api/decisions/pending", headers=sam, params=query)

    rest = await busy.api.client.get(_next(first.headers["link"]), headers=sam)

    assert [item["analysis_id"] for item in rest.json()] == ["assigned"]
    assert "link" not in rest.headers


@together
@pytest.mark.parametrize(
    ("query", "field"),
    [("level=-1", "level"), ("level=x", "level"), ("mine=perhaps", "mine"), ("assigned=nobody", "assigned")],
)
async def test_a_part_that_makes_no_sense_is_refused(
    shared: Api, admin: dict[str, str], query: str, field: str
) -> None:
    answer = await shared.client.get(f"/api/decisions/pending?{query}", headers=admin)

    assert wrong_fields(answer) == {field}


async def test_a_lease_and_a_deadline_end_by_the_clock_also_before_anybody_writes_it_down(
    timed: Api, clock: MovingClock
) -> None:
    desk = Desk(timed)
    for name, role in (("engine", "service"), ("sam", "analyst")):
        await desk.seat(name, role)
    await desk.ask("leased")
    asked = submitted(
        desk.people["engine"].person,
        decision_id=DecisionId("due"),
        policy=replace(policy(), deadline_seconds=600),
        at=clock(),
    )
    await desk.happened("due", asked)
    await desk.post("sam", "leased/claim")
    sam = desk.people["sam"].headers

    async def shown() -> list[tuple[str, str]]:
        answer = await timed.client.get("/api/decisions/pending", headers=sam)
        return [(item["analysis_id"], item["status"]) for item in answer.json()]

    await timed.services.progress.wait_for(["queue"], await timed.ledger.head(), 10.0)
    assert await shown() == [("leased", "in_review"), ("due", "pending")]
    clock.forward(seconds=300)
    assert await shown() == [("leased", "pending"), ("due", "pending")]
    clock.forward(seconds=300)
    assert await shown() == [("leased", "pending")]
    pulled = [await desk.post("sam", "next") for _ in range(2)]
    assert [answer.status_code for answer in pulled] == [200, 204]
    assert pulled[0].json()["lease"]["fencing_token"] == 2
