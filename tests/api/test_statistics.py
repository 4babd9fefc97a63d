"""Statistics and status: open and completed decisions, counted as they are asked for."""

import pytest

from tests.api.answers import assert_refused, decide, submit, together
from tests.identity.house import MovingClock
from tests.support.http import Api

ZERO = {
    "total_pending": 0,
    "critical_pending": 0,
    "high_pending": 0,
    "medium_pending": 0,
    "low_pending": 0,
    "total_completed": 0,
    "avg_response_time_minutes": 0,
    "decisions_last_24h": 0,
}
SUMMARY = "/api/decisions/stats/summary"


async def test_statistics_of_nothing_are_zero(api: Api) -> None:
    answer = await api.client.get(SUMMARY, headers=await api.login())

    assert answer.status_code == 200
    assert answer.json() == ZERO


async def test_statistics_count_what_is_open_and_what_is_completed(timed: Api, clock: MovingClock) -> None:
    admin = await timed.login()
    for analysis_id, priority in (
        ("approved", "critical"),
        ("rejected", "high"),
        ("escalated", "critical"),
        ("waiting", "medium"),
        ("waiting too", "low"),
    ):
        await submit(timed, admin, analysis_id, priority=priority, created_at="1999-01-01T00:00:00Z")
    clock.forward(minutes=6)
    await decide(timed, admin, "approved", "approved")
    clock.forward(minutes=3)
    await decide(timed, admin, "rejected", "rejected")
    await decide(timed, admin, "escalated", "escalated", escalation_reason="unsure")

    answer = await timed.client.get(SUMMARY, headers=admin)

    assert answer.json() == {
        "total_pending": 3,
        "critical_pending": 1,
        "high_pending": 0,
        "medium_pending": 1,
        "low_pending": 1,
        "total_completed": 2,
        "avg_response_time_minutes": 7.5,
        "decisions_last_24h": 5,
    }


async def test_a_submission_counts_for_twenty_four_hours(timed: Api, clock: MovingClock) -> None:
    await submit(timed, await timed.login(), "yesterday")
    clock.forward(hours=23, minutes=59)
    admin = await timed.login()
    before = (await timed.client.get(SUMMARY, headers=admin)).json()
    clock.forward(minutes=1)

    after = (await timed.client.get(SUMMARY, headers=admin)).json()

    assert (before["decisions_last_24h"], after["decisions_last_24h"]) == (1, 0)
    assert after["total_pending"] == 1


async def test_a_final_verdict_after_an_escalation_completes_it_once(api: Api) -> None:
    sam, kim = await api.newcomer("sam"), await api.newcomer("kim")
    await submit(api, sam, "unsure")
    await decide(api, sam, "unsure", "escalated", escalation_reason="unsure")
    await decide(api, kim, "unsure")

    summary = (await api.client.get(SUMMARY, headers=sam)).json()

    assert (summary["total_pending"], summary["total_completed"]) == (0, 1)


async def test_a_service_counts_its_own(api: Api) -> None:
    engine, scanner = await api.newcomer("engine", "service"), await api.newcomer("scanner", "service")
    sam = await api.newcomer("sam")
    for analysis_id in ("one", "two"):
        await submit(api, engine, analysis_id, priority="critical")
    await decide(api, sam, "one")

    own = (await api.client.get(SUMMARY, headers=engine)).json()
    others = (await api.client.get(SUMMARY, headers=scanner)).json()
    status = (await api.client.get("/api/status", headers=engine)).json()

    assert (own["total_pending"], own["critical_pending"], own["total_completed"]) == (1, 1, 1)
    assert others == ZERO
    assert (status["pending_decisions"], status["total_decisions"], status["total_responses"]) == (1, 2, 1)


async def test_a_service_sees_its_own_items_and_no_others(api: Api) -> None:
    engine, scanner = await api.newcomer("engine", "service"), await api.newcomer("scanner", "service")
    await submit(api, engine, "beacon-17")
    await decide(api, await api.login(), "beacon-17")

    for path in ("/api/decisions/beacon-17", "/api/decisions/beacon-17/response"):
        assert (await api.client.get(path, headers=engine)).status_code == 200
        assert_refused(await api.client.get(path, headers=scanner), 404, "not found")


@together
@pytest.mark.parametrize("role", ["admin", "analyst", "viewer", "auditor"])
async def test_every_person_reads_items_responses_statistics_and_status(shared: Api, role: str) -> None:
    admin = await shared.login()
    await submit(shared, admin, f"for-{role}")
    await decide(shared, admin, f"for-{role}")
    headers = await shared.newcomer(f"a-{role}", role)

    for path in (
        f"/api/decisions/for-{role}",
        f"/api/decisions/for-{role}/response",
        SUMMARY,
        "/api/status",
    ):
        assert (await shared.client.get(path, headers=headers)).status_code == 200


@together
@pytest.mark.parametrize("path", ["x", "x/response", "stats/summary", "pending"])
async def test_reading_needs_a_token(shared: Api, path: str) -> None:
    answer = await shared.client.get(f"/api/decisions/{path}")

    assert_refused(answer, 401, "Not authenticated")


async def test_status_counts_decisions_responses_and_people(timed: Api, clock: MovingClock) -> None:
    await timed.newcomer("sam")
    admin = await timed.login()
    for analysis_id in ("approved", "escalated", "waiting"):
        await submit(timed, admin, analysis_id, priority="critical")
    await decide(timed, admin, "approved")
    await decide(timed, admin, "escalated", "escalated", escalation_reason="unsure")

    answer = await timed.client.get("/api/status", headers=admin)

    assert answer.status_code == 200
    assert answer.json() == {
        "timestamp": clock().isoformat().replace("+00:00", "Z"),
        "pending_decisions": 2,
        "critical_pending": 2,
        "total_users": 2,
        "total_decisions": 3,
        "total_responses": 2,
    }


@together
async def test_status_needs_a_token(shared: Api) -> None:
    assert_refused(await shared.client.get("/api/status"), 401, "Not authenticated")
