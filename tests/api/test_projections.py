"""How read models are doing, over HTTP, and what administrators do about it."""

import pytest

from ledger.projections import failures
from ledger.projections.catalog import ALL
from tests.projections.given import until
from tests.support.http import Api, submission, verdict

HEALTH = "/health/projections"
ADMIN = "/admin/projections"


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is tried again by itself while a test looks."""
    monkeypatch.setattr(failures, "RETRY_WAITS", (3600.0,) * 5)


async def submit(api: Api, analysis_id: str) -> None:
    answer = await api.client.post(
        "/api/decisions/submit", json=submission(analysis_id), headers=await api.login()
    )
    assert answer.status_code == 200, answer.text


async def breaks(api: Api, analysis_id: str) -> None:
    """Let the database refuse one decision's row in the view."""
    stream = api.ledger.decision_stream(analysis_id)
    await api.ledger.pool.execute(
        f"alter table views.decisions_v2 add constraint no_{analysis_id} check (stream <> '{stream}')"
    )


async def get(api: Api, path: str) -> object:
    answer = await api.client.get(path, headers=await api.login())
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_all_is_well_in_the_beginning(api: Api) -> None:
    await until(api.services.runner.is_ready)
    status = await get(api, f"{ADMIN}/status")

    assert status["overall_status"] == "healthy"
    assert (status["total_projections"], status["healthy_projections"]) == (len(ALL), len(ALL))
    assert (status["total_active_failures"], status["offline_projections"]) == (0, 0)
    names = [one["projection_name"] for one in await get(api, HEALTH + "/")]
    assert names == sorted(feed.name for feed in ALL)


async def test_a_culprit_degrades_its_projection_and_is_listed_with_all_it_is(api: Api) -> None:
    await breaks(api, "one")
    await submit(api, "one")
    await submit(api, "two")

    found = await get(api, f"{HEALTH}/decisions")
    assert (found["health_status"], found["active_failures"], found["events_parked"]) == ("degraded", 1, 1)
    assert (await get(api, f"{ADMIN}/status"))["overall_status"] == "degraded"
    assert (await get(api, f"{HEALTH}/queue"))["health_status"] == "healthy"
    (failure,) = await get(api, f"{HEALTH}/decisions/failures")
    assert failure["stream"] == api.ledger.decision_stream("one")
    assert (failure["error_type"], failure["category"]) == ("CheckViolationError", "constraint")
    assert (failure["attempts"], failure["followers"], failure["state"]) == (1, 0, "retrying")
    assert failure["resolved_at"] is None


async def test_an_answer_says_that_a_view_does_not_show_it(api: Api) -> None:
    await breaks(api, "one")
    answer = await api.client.post("/api/decisions/submit", json=submission("one"), headers=await api.login())
    assert answer.headers["Ledger-View-Stale"] == "decisions"

    answer = await api.client.post("/api/decisions/submit", json=submission("two"), headers=await api.login())
    assert "Ledger-View-Stale" not in answer.headers, "its own sequence is not parked"


async def test_what_is_parked_is_folded_from_its_stream(api: Api) -> None:
    await breaks(api, "one")
    await submit(api, "one")
    analyst = await api.newcomer("ana")
    answer = await api.client.post("/api/decisions/one/decide", json=verdict("one"), headers=analyst)
    assert answer.status_code == 200

    assert (await get(api, "/api/decisions/one"))["status"] == "approved"
    assert (await get(api, "/api/decisions/one/response"))["status"] == "approved"


async def test_the_checkpoint_names_the_last_event(api: Api) -> None:
    await submit(api, "one")
    found = await get(api, f"{HEALTH}/queue/checkpoint")
    last = await api.ledger.pool.fetchrow("select * from ledger.events order by position desc limit 1")

    assert last is not None
    assert found["last_event_sequence"] == last["position"]
    assert (found["last_event_id"], found["last_event_type"]) == (str(last["event_id"]), last["type"])
    assert found["events_processed"] == 1


@pytest.mark.parametrize("path", ["", "/checkpoint", "/failures"])
async def test_a_projection_that_is_not_there_is_not_found(api: Api, path: str) -> None:
    answer = await api.client.get(f"{HEALTH}/nothing{path}", headers=await api.login())

    assert (answer.status_code, answer.json()["code"]) == (404, "projection-not-found")


async def test_lists_say_when_they_are_not_whole(api: Api) -> None:
    stream = api.ledger.decision_stream("one")
    for table in ("queue_v2", "statistics_v2"):
        await api.ledger.pool.execute(
            f"alter table views.{table} add constraint broken check (stream <> '{stream}')"
        )
    admin = await api.login()
    for path, view in (("/api/decisions/pending", "queue"), ("/api/decisions/stats/summary", "statistics")):
        assert "Ledger-View-Stale" not in (await api.client.get(path, headers=admin)).headers
        await submit(api, f"{view}-good")
    await submit(api, "one")
    for path, view in (("/api/decisions/pending", "queue"), ("/api/decisions/stats/summary", "statistics")):
        assert (await api.client.get(path, headers=admin)).headers["Ledger-View-Stale"] == view


async def test_a_loop_that_dies_is_red_everywhere(api: Api) -> None:
    """Readiness at once; health and metrics once its lease has run out, in every process."""
    await until(api.services.runner.is_ready)
    assert (await api.client.get("/health/ready")).status_code == 200

    api.services.runner._loops["queue"].cancel()
    await until(lambda: not api.services.runner.is_ready())

    ready = await api.client.get("/health/ready")
    assert (ready.status_code, ready.json()["failing"]) == (503, ["projections"])
    while (found := await get(api, f"{HEALTH}/queue"))["is_alive"]:
        assert found["projection_name"] == "queue"
    assert (found["health_status"], found["state"]) == ("offline", "nobody feeds it")
    assert (await get(api, f"{ADMIN}/status"))["overall_status"] == "offline"
    assert await get(api, f"{HEALTH}/decisions") != found
