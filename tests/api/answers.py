"""What answers must look like, and the two calls that nearly every test makes."""

import asyncio
from typing import Final

import asyncpg
import httpx
import pytest
from httpx import Response

from tests.support.databases import Database
from tests.support.http import Api, submission, verdict

together = pytest.mark.asyncio(loop_scope="module")
"""Marks a test that uses the application of its module (``shared``)."""

PROBLEM: Final = "application/problem+json"
FIXED: Final = (
    *submission("any"),
    *("status", "decision_id", "approved_actions", "notes", "decided_by", "decided_at", "escalation_reason"),
)
"""The fields of items and responses that the wire contract fixes."""


def fixed(answer: Response | dict) -> dict:
    """What the wire contract fixes of an item or a response; whatever else is told is ours."""
    body = answer.json() if isinstance(answer, Response) else answer
    return {name: value for name, value in body.items() if name in FIXED}


def assert_refused(answer: Response, status: int, phrase: str = "") -> None:
    """A problem document with this status, saying this."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == PROBLEM
    problem = answer.json()
    assert phrase in problem["detail"]
    assert problem["status"] == status
    assert problem["type"] == f"urn:ledger:problem:{problem['code']}"
    assert problem["title"]
    assert problem["instance"] == answer.request.url.path
    assert problem["request_id"] == answer.headers["x-request-id"]


def wrong_fields(answer: Response) -> set[str]:
    """The fields that a 422 names."""
    assert_refused(answer, 422)
    errors = answer.json()["errors"]
    assert all(error["message"] for error in errors)
    return {error["field"] for error in errors}


async def submit(api: Api, by: dict[str, str], analysis_id: str, **overrides: object) -> Response:
    """Submit an item; the answer must be 200."""
    answer = await api.client.post(
        "/api/decisions/submit", headers=by, json=submission(analysis_id, **overrides)
    )
    assert answer.status_code == 200, answer.text
    return answer


async def decide(
    api: Api, by: dict[str, str], analysis_id: str, status: str = "approved", **overrides: object
) -> Response:
    """Decide an item, whatever the answer."""
    return await api.client.post(
        f"/api/decisions/{analysis_id}/decide", headers=by, json=verdict(analysis_id, status, **overrides)
    )


async def pending(api: Api, by: dict[str, str], **query: str | int) -> list[str]:
    """The ids in the queue, in its order."""
    answer = await api.client.get("/api/decisions/pending", headers=by, params=query)
    assert answer.status_code == 200, answer.text
    return [item["analysis_id"] for item in answer.json()]


async def pending_in_a_crowd(api: Api, by: dict[str, str]) -> list[str]:
    """As ``pending``, for one of many who ask at once: who is told to come again, as a busy machine does, comes again."""
    async with asyncio.timeout(60):
        while (
            answer := await api.client.get("/api/decisions/pending?limit=100", headers=by)
        ).status_code == 503:
            await asyncio.sleep(0.05)
    assert answer.status_code == 200, answer.text
    return [item["analysis_id"] for item in answer.json()]


async def log_in(api: Api, username: str, password: str) -> Response:
    """Send the login form, whatever the answer."""
    return await api.client.post("/api/auth/login", data={"username": username, "password": password})


async def raw(
    api: Api, method: str, target: bytes, *, headers: dict[str, str] | None = None, body: bytes = b""
) -> Response:
    """Send exactly this target, not tidied by the client."""
    url = httpx.URL("http://ledger.test").copy_with(raw_path=target)
    return await api.client.request(method, url, headers=headers, content=body)


async def ready(api: Api) -> None:
    """Wait until the service says that traffic may come."""
    async with asyncio.timeout(60):
        while (await api.client.get("/health/ready")).status_code != 200:
            await asyncio.sleep(0.02)


async def as_owner(database: Database, statement: str, *values: object) -> None:
    """Do something to the database that no service may."""
    conn = await asyncpg.connect(database.owner_url)
    try:
        await conn.execute(statement, *values)
    finally:
        await conn.close()


def degraded_where_nobody_seals(ready: Response) -> list[str]:
    """What a readiness tells of, but for the sealing: after a minute without any it is late, whatever a test is about."""
    return [name for name in ready.json()["degraded"] if name != "sealing-late"]
