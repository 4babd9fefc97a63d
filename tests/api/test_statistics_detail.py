"""Statistics in detail over HTTP: everybody reads them, people by their names; a service only of its own."""

import pytest

from tests.api.answers import decide, submit, together, wrong_fields
from tests.identity.house import MovingClock
from tests.support.http import Api

DETAIL = "/api/decisions/stats/detail"


async def told(api: Api, headers: dict[str, str], query: str = "") -> dict[str, object]:
    answer = await api.client.get(f"{DETAIL}{query}", headers=headers)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_the_detail_tells_what_is_open_and_what_was_done(timed: Api, clock: MovingClock) -> None:
    admin, engine = await timed.login(), await timed.newcomer("engine", "service")
    sam = await timed.newcomer("sam")
    for name, priority in (("a", "critical"), ("b", "high"), ("c", "low"), ("d", "low")):
        await submit(timed, admin, name, priority=priority, recommended_actions=["block_ip"])
    await submit(timed, engine, "own")
    clock.forward(minutes=5)
    await decide(timed, sam, "a", "approved", approved_actions=["block_ip"])
    await decide(timed, sam, "b", "rejected", approved_actions=[])
    await decide(timed, sam, "c", "escalated", escalation_reason="unsure")

    detail = await told(timed, sam)

    today = clock().date().isoformat()
    assert (detail["to"], detail["kind"], len(detail["by_day"])) == (today, None, 30)
    assert detail["pending"]["by_priority"] == {"critical": 0, "high": 1, "medium": 0, "low": 2}
    assert detail["pending"]["by_level"] == {"0": 2, "1": 1}
    total = detail["total"]
    assert (total["submitted"], total["approved"], total["rejected"], total["escalated"]) == (5, 1, 1, 1)
    assert total["time_to_decide"] == {"count": 2, "median_seconds": 300.0, "p95_seconds": 300.0}
    assert total["agreement"] == {"compared": 2, "agreed": 1, "share": 0.5}
    assert detail["by_day"][-1] == {"day": today, **total}
    assert detail["by_kind"] == [{"kind": "threat_analysis", **total}]
    (analyst,) = detail["by_analyst"]
    assert (analyst["username"], analyst["approvals"], analyst["rejections"]) == ("sam", 1, 1)
    assert (analyst["decided"], analyst["escalations"], analyst["claims"]) == (2, 1, 0)

    own = await told(timed, engine)
    assert (own["total"]["submitted"], own["pending"]["total"], own["by_analyst"]) == (1, 1, [])


@together
@pytest.mark.parametrize("role", ["analyst", "viewer", "auditor", "service"])
async def test_everybody_reads_them(shared: Api, role: str) -> None:
    detail = await told(shared, await shared.newcomer(f"reads-{role}", role))

    assert detail["total"]["submitted"] == 0


@together
async def test_a_range_has_both_its_days(shared: Api, admin: dict[str, str]) -> None:
    detail = await told(shared, admin, "?from=2026-02-27&to=2026-03-01&kind=unknown")

    assert [day["day"] for day in detail["by_day"]] == ["2026-02-27", "2026-02-28", "2026-03-01"]
    assert (detail["from"], detail["to"], detail["kind"]) == ("2026-02-27", "2026-03-01", "unknown")
    assert detail["by_kind"] == []


@together
async def test_a_year_is_the_most(shared: Api, admin: dict[str, str]) -> None:
    assert len((await told(shared, admin, "?from=2024-01-01&to=2024-12-31"))["by_day"]) == 366
    answer = await shared.client.get(f"{DETAIL}?from=2024-01-01&to=2025-01-01", headers=admin)

    assert wrong_fields(answer) == {"from"}


@together
@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("from=yesterday", "from"),
        ("from=20261130", "from"),
        ("from=2026-02-30", "from"),
        ("from=1969-12-31&to=1970-01-02", "from"),
        ("to=2200-01-01", "to"),
        ("to=2026-11-30T00:00:00Z", "to"),
        ("to=2026-11-3%0A", "to"),
        ("from=2026-11-30&to=2026-11-29", "from"),
        ("kind=", "kind"),
        ("kind=" + "x" * 201, "kind"),
        ("kind=%00", "kind"),
    ],
)
async def test_what_is_no_range_is_refused(
    shared: Api, admin: dict[str, str], query: str, field: str
) -> None:
    answer = await shared.client.get(f"{DETAIL}?{query}", headers=admin)

    assert wrong_fields(answer) == {field}


@together
async def test_the_first_days_of_all_can_be_asked_for(shared: Api, admin: dict[str, str]) -> None:
    detail = await told(shared, admin, "?to=1970-01-05")

    assert (detail["from"], len(detail["by_day"])) == ("1970-01-01", 5)
