"""What the service says about itself: health, readiness, the database, metrics, docs."""

import re
from collections.abc import AsyncIterator

import pytest
from prometheus_client.parser import text_string_to_metric_families

from ledger.limiting.breaker import BreakerState
from ledger.limiting.limiter import Limiter
from ledger.limiting.shared import FAILURES, Shared
from tests.api.answers import PROBLEM, as_owner, assert_refused, ready, together
from tests.identity.house import MovingClock
from tests.support.databases import Database
from tests.support.http import Api, cheap_passwords, serving, submission, verdict


@pytest.fixture
async def cut_off(database: Database) -> AsyncIterator[Api]:
    """An application whose database has been taken away."""
    async with serving(database, passwords=cheap_passwords()) as api:
        await api.ledger.pool.close()
        yield api


async def test_health_tells_name_and_time(timed: Api, clock: MovingClock) -> None:
    answer = await timed.client.get("/health")

    assert answer.status_code == 200
    assert answer.json() == {
        "status": "healthy",
        "timestamp": clock().isoformat().replace("+00:00", "Z"),
        "service": "decision-ledger",
    }


async def test_a_live_process_says_so_even_without_its_database(cut_off: Api) -> None:
    for path in ("/health", "/health/live"):
        answer = await cut_off.client.get(path)
        assert answer.status_code == 200
        assert answer.json()["status"] in ("healthy", "alive")


async def test_a_ready_service_names_its_checks(api: Api) -> None:
    await ready(api)

    answer = await api.client.get("/health/ready")

    assert answer.status_code == 200
    body = answer.json()
    assert (body["status"], body["failing"]) == ("ready", [])
    assert {"database", "migrations", "feed", "projections"} <= set(body["checks"])
    assert set(body["checks"].values()) == {True}


async def test_a_service_without_its_database_is_not_ready_and_says_why(cut_off: Api) -> None:
    answer = await cut_off.client.get("/health/ready")

    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "2"
    body = answer.json()
    assert body["status"] == "not ready"
    assert "database" in body["failing"]
    assert body["checks"]["database"] is False


async def test_a_service_whose_projections_have_stopped_is_not_ready(api: Api) -> None:
    await ready(api)
    assert api.services.runner is not None
    await api.services.runner.stop()

    answer = await api.client.get("/health/ready")

    assert answer.status_code == 503
    assert answer.json()["failing"] == ["projections"]


@pytest.mark.parametrize(
    "change",
    [
        "delete from ledger.migrations where number = (select max(number) from ledger.migrations)",
        "update ledger.migrations set sha256 = 'another' where number = 1",
    ],
)
async def test_a_service_whose_database_is_not_at_its_shape_is_not_ready(
    api: Api, database: Database, change: str
) -> None:
    await ready(api)
    await as_owner(database, change)

    answer = await api.client.get("/health/ready")

    assert answer.status_code == 503
    assert answer.json()["failing"] == ["migrations"]


async def test_without_its_database_every_call_says_to_come_again(cut_off: Api) -> None:
    form = {"username": "admin", "password": "correct horse battery"}

    answer = await cut_off.client.post("/api/auth/login", data=form)

    assert_refused(answer, 503, "cannot be reached")
    assert answer.headers["retry-after"] == "2"


async def test_the_state_of_the_database_is_for_administrators(timed: Api, clock: MovingClock) -> None:
    answer = await timed.client.get("/health/database", headers=await timed.login())

    assert answer.status_code == 200
    body = answer.json()
    assert set(body) == {"status", "timestamp", "pool", "database"}
    assert (body["status"], body["timestamp"]) == ("healthy", clock().isoformat().replace("+00:00", "Z"))
    pool = body["pool"]
    assert set(pool) == {"min", "max", "size", "active", "idle", "utilization_percent"}
    assert pool["min"] <= pool["size"] <= pool["max"]
    assert pool["active"] + pool["idle"] == pool["size"]
    assert 0 <= pool["utilization_percent"] <= 100
    assert body["database"]["connected"] is True
    assert int(body["database"]["version"].split(".")[0]) >= 15
    assert body["database"]["connections"] >= 1


@together
@pytest.mark.parametrize("role", ["analyst", "viewer", "auditor", "service"])
async def test_the_state_of_the_database_is_nobody_elses_business(shared: Api, role: str) -> None:
    headers = await shared.newcomer(f"the-{role}", role)

    answer = await shared.client.get("/health/database", headers=headers)

    assert_refused(answer, 403, "Admin access required")


@together
async def test_the_state_of_the_database_needs_a_token(shared: Api) -> None:
    assert_refused(await shared.client.get("/health/database"), 401, "Not authenticated")


@together
async def test_metrics_are_prometheus_text_and_name_routes_not_items(
    shared: Api, admin: dict[str, str]
) -> None:
    await shared.client.get("/api/decisions/a-secret-item", headers=admin)

    answer = await shared.client.get("/metrics")

    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain")
    assert list(text_string_to_metric_families(answer.text))
    assert "a-secret-item" not in answer.text


@together
async def test_the_docs_page_loads_nothing_from_another_host(shared: Api) -> None:
    page = await shared.client.get("/api/docs")

    assert page.status_code == 200
    assert page.headers["content-type"].startswith("text/html")
    assert not re.findall(r"""(?:src|href)=["']?(?:https?:)?//""", page.text)
    assert "script-src 'self'" in page.headers["content-security-policy"]
    loaded = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert len(loaded) == 4
    assert "validatorUrl: null" in (await shared.client.get("/api/docs/start.js")).text
    for address in loaded:
        answer = await shared.client.get(address)
        assert answer.status_code == 200
        assert PROBLEM not in answer.headers["content-type"]


@together
async def test_the_docs_serve_nothing_but_their_own_files(shared: Api) -> None:
    assert_refused(await shared.client.get("/api/docs/package.json"), 404, "not found")


@together
async def test_refusals_of_unknown_calls_do_not_tell_what_there_is(shared: Api) -> None:
    for body in (submission("x"), verdict("x")):
        assert_refused(await shared.client.post("/api/unknown", json=body), 404, "not found")


async def test_a_redis_that_is_away_degrades_a_service_that_stays_ready_and_its_breaker_is_told(
    database: Database,
) -> None:
    limiter = Limiter(shared=Shared("redis://127.0.0.1:1/0", prefix="ledger:test"))
    async with serving(database, passwords=cheap_passwords(), settings={"limiter": limiter}) as api:
        await ready(api)
        for _ in range(FAILURES):
            assert (await api.client.get("/api/auth/me")).status_code == 401
        answer = await api.client.get("/health/ready")

    assert (answer.status_code, answer.json()["degraded"]) == (200, ["limits-by-process"])
    assert limiter._shared is not None
    assert limiter._shared.breaker.state is BreakerState.OPEN
    await limiter.stop()
