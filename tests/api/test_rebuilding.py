"""Rebuilding and verifying over HTTP."""

import asyncio

import pytest

from ledger.domain.authority import Role
from ledger.operations.rebuilder import Rebuilder
from tests.projections.given import until
from tests.support.http import Api, submission

ADMIN = "/admin/projections"


@pytest.fixture
async def submitted(api: Api) -> None:
    """Three decisions, and views that show them."""
    for name in ("one", "two", "three"):
        answer = await api.client.post(
            "/api/decisions/submit", json=submission(name), headers=await api.login()
        )
        assert answer.status_code == 200, answer.text
    await until(api.services.runner.is_ready)


async def post(api: Api, path: str, body: object = None, status: int = 200) -> dict[str, object]:
    answer = await api.client.post(f"{ADMIN}/{path}", json=body, headers=await api.login())
    assert answer.status_code == status, answer.text
    found: dict[str, object] = answer.json()
    return found


async def get(api: Api, path: str, status: int = 200) -> dict[str, object]:
    answer = await api.client.get(f"{ADMIN}/{path}", headers=await api.login())
    assert answer.status_code == status, answer.text
    found: dict[str, object] = answer.json()
    return found


async def worked(api: Api) -> None:
    assert await Rebuilder(api.ledger).work_once()


async def test_a_rebuild_is_begun_watched_and_found_equal(api: Api, submitted: None) -> None:
    begun = await post(api, "queue/rebuild", {"reason": "to be sure"})
    assert (begun["status"], begun["projection_name"]) == ("rebuilding", "queue")
    waiting = await get(api, "queue/rebuild")
    assert (waiting["status"], waiting["kind"], waiting["is_worked_on"]) == ("asked", "rebuild", False)

    await worked(api)

    done = await get(api, "queue/rebuild")
    assert (done["status"], done["error"], done["events_parked"]) == ("switched", None, 0)
    assert done["diff"] == {
        "is_equal": True,
        "tables": [
            {
                "table": "queue_v2",
                "rows_before": 3,
                "rows_after": 3,
                "only_before": 0,
                "only_after": 0,
                "differing": 0,
            }
        ],
        "sample": [],
    }


async def test_a_reset_answers_as_the_predecessors_did(api: Api, submitted: None) -> None:
    answer = await post(api, "statistics/reset")

    assert set(answer) == {"status", "message", "projection_name", "reset_at"}
    assert answer["status"] == "reset"
    await worked(api)
    assert (await get(api, "statistics/rebuild"))["kind"] == "reset"


async def test_what_was_switched_is_rolled_back(api: Api, submitted: None) -> None:
    await post(api, "queue/rebuild/rollback", status=409)
    await post(api, "queue/rebuild")
    await worked(api)

    assert (await post(api, "queue/rebuild/rollback", {}))["status"] == "rolling_back"
    await worked(api)
    done = await get(api, "queue/rebuild")
    assert (done["kind"], done["status"]) == ("rollback", "switched")


async def test_what_is_under_way_is_cancelled_and_not_begun_twice(api: Api, submitted: None) -> None:
    refused = await post(api, "queue/rebuild/cancel", status=409)
    assert refused["code"] == "no-rebuild-under-way"
    await post(api, "queue/rebuild")
    assert (await post(api, "queue/rebuild", status=409))["code"] == "rebuild-under-way"
    assert (await post(api, "queue/reset", status=409))["code"] == "rebuild-under-way"

    assert (await post(api, "queue/rebuild/cancel", {"reason": "not now"}))["status"] == "cancelled"
    assert (await get(api, "queue/rebuild"))["status"] == "cancelled"


async def test_a_repeated_request_begins_one_rebuild(api: Api, submitted: None) -> None:
    headers = await api.login() | {"Idempotency-Key": "k"}
    answers = [await api.client.post(f"{ADMIN}/queue/rebuild", json={}, headers=headers) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [200, 200]
    assert answers[0].json() == answers[1].json()


async def test_verifying_says_what_was_looked_at_and_what_is_wrong(api: Api, submitted: None) -> None:
    clean = await get(api, "queue/verify?all=true")
    assert (clean["is_clean"], clean["streams_compared"]) == (True, None)

    await api.ledger.pool.execute("update views.queue_v2 set level = 9 where analysis_id = 'two'")
    found = await get(api, "queue/verify")

    assert found["is_clean"] is False
    (one,) = found["diff"]["sample"]
    assert (one["kind"], one["columns"]) == ("differs", ["level"])


async def test_what_is_not_there_is_not_found(api: Api) -> None:
    for method, path in (
        ("POST", "nothing/reset"),
        ("POST", "nothing/rebuild"),
        ("POST", "nothing/rebuild/cancel"),
        ("POST", "nothing/rebuild/rollback"),
        ("GET", "nothing/rebuild"),
        ("GET", "nothing/verify"),
        ("GET", "queue/rebuild"),
    ):
        answer = await api.client.request(method, f"{ADMIN}/{path}", headers=await api.login())

        assert (path, answer.status_code) == (path, 404)
        assert "not found" in answer.json()["detail"]


async def test_a_wrong_body_is_told(api: Api) -> None:
    bodies: list[object] = [{"reason": 7}, {"accept_failures": "yes"}, {"other": 1}, []]
    for body in bodies:
        answer = await api.client.post(f"{ADMIN}/queue/rebuild", json=body, headers=await api.login())

        assert (body, answer.status_code) == (body, 422)


async def test_auditors_look_and_do_nothing(api: Api, submitted: None) -> None:
    await post(api, "queue/rebuild")
    auditor = await api.newcomer("aud", role=Role.AUDITOR)

    for path in ("queue/rebuild", "queue/verify"):
        assert (await api.client.get(f"{ADMIN}/{path}", headers=auditor)).status_code == 200
    for path in ("queue/reset", "queue/rebuild", "queue/rebuild/cancel", "queue/rebuild/rollback"):
        answer = await api.client.post(f"{ADMIN}/{path}", json={}, headers=auditor)
        assert answer.status_code == 403


async def test_what_is_done_is_on_the_record_with_who_did_it(api: Api, submitted: None) -> None:
    await post(api, "queue/rebuild", {"reason": "odd rows"})
    await asyncio.gather(worked(api))

    rows = await api.ledger.pool.fetch(
        "select type, actor from ledger.events where type like 'rebuild-%' order by position"
    )
    assert [row["type"] for row in rows] == ["rebuild-started", "rebuild-switched"]
    assert rows[0]["actor"] != "operator"
    assert rows[1]["actor"] == "system"
