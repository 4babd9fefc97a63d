"""Who is given the metrics, and on which port."""

from collections.abc import AsyncIterator

import httpx
import pytest
import pytest_asyncio
from litestar import Litestar

from ledger.api.app import create_metrics_app
from ledger.api.metrics import digest_of, metrics_text
from ledger.api.permissions import RoutesAndPermissionsDiffer, check_permissions
from tests.api.answers import assert_refused, together
from tests.support.databases import Cluster
from tests.support.http import Api, bearer, cheap_passwords, serving

TOKEN = "a-token-of-metrics"
pytestmark = together


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def apart(postgres: Cluster) -> AsyncIterator[Api]:
    """An application whose metrics are elsewhere, and there for a token."""
    settings = {"metrics_apart": True, "metrics_digest": digest_of(TOKEN)}
    async with (
        postgres.fresh() as database,
        serving(database, passwords=cheap_passwords(), settings=settings) as api,
    ):
        yield api


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def metrics(apart: Api) -> AsyncIterator[httpx.AsyncClient]:
    """What is served on the port of metrics."""
    transport = httpx.ASGITransport(app=create_metrics_app(apart.services))
    async with httpx.AsyncClient(transport=transport, base_url="http://metrics.test") as client:
        yield client


async def test_metrics_that_are_elsewhere_are_not_on_the_service_s_port(apart: Api) -> None:
    with_token = await apart.client.get("/metrics", headers=bearer(TOKEN))

    assert_refused(await apart.client.get("/metrics"), 404, "not found")
    assert_refused(with_token, 404, "not found")


async def test_the_port_of_metrics_gives_them_for_their_token(metrics: httpx.AsyncClient) -> None:
    answer = await metrics.get("/metrics", headers=bearer(TOKEN))

    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain")
    assert "python_info" in answer.text


@pytest.mark.parametrize(
    "path", ["/health/live", "/api/docs", "/openapi.json", "/api/decisions/pending", "/"]
)
async def test_the_port_of_metrics_serves_nothing_else(metrics: httpx.AsyncClient, path: str) -> None:
    assert_refused(await metrics.get(path, headers=bearer(TOKEN)), 404, "not found")


@pytest.mark.parametrize("headers", [{}, {"Authorization": TOKEN}, {"Authorization": f"Basic {TOKEN}"}])
async def test_without_a_token_there_are_no_metrics(
    metrics: httpx.AsyncClient, headers: dict[str, str]
) -> None:
    answer = await metrics.get("/metrics", headers=headers)

    assert_refused(answer, 401, "Not authenticated")
    assert answer.headers["www-authenticate"].startswith("Bearer")


@pytest.mark.parametrize("token", [TOKEN[:-1], TOKEN + "x", TOKEN.upper(), "x"])
async def test_another_token_gives_no_metrics(metrics: httpx.AsyncClient, token: str) -> None:
    answer = await metrics.get("/metrics", headers=bearer(token))

    assert_refused(answer, 401, "Metrics are given to whoever has their token")
    assert answer.json()["code"] == "wrong-metrics-token"


async def test_a_token_of_metrics_is_no_session(apart: Api) -> None:
    assert (await apart.client.get("/api/status", headers=bearer(TOKEN))).status_code == 401


async def test_a_session_is_no_token_of_metrics(apart: Api, metrics: httpx.AsyncClient) -> None:
    assert (await metrics.get("/metrics", headers=await apart.login())).status_code == 401


async def test_a_route_that_is_served_elsewhere_is_not_missed_and_not_served_twice() -> None:
    app = Litestar([metrics_text], openapi_config=None)

    with pytest.raises(RoutesAndPermissionsDiffer, match="GET /metrics"):
        check_permissions(app, elsewhere=frozenset({"GET /metrics"}))
