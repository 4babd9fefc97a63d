"""What every answer carries: its request id, its hardening headers, and where its event lies."""

import asyncio
from collections.abc import AsyncIterator
from hashlib import sha256

import httpx
import msgspec
import pytest

from ledger.domain.ids import DecisionId
from ledger.store.envelope import open_envelope
from ledger.store.streams import Stored, read_stream
from tests.api.answers import as_owner, assert_refused, decide, submit, together
from tests.support.databases import Database
from tests.support.http import Api, cheap_passwords, serving, submission

HARDENING = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}


@together
@pytest.mark.parametrize(
    ("status", "call", "body"),
    [
        (200, "GET /api/auth/me", b""),
        (200, "GET /health", b""),
        (200, "GET /metrics", b""),
        (200, "GET /openapi.json", b""),
        (204, "OPTIONS /api/decisions/submit", b""),
        (404, "GET /nowhere", b""),
        (404, "GET /api/decisions/unknown", b""),
        (405, "DELETE /api/decisions/submit", b""),
        (413, "POST /api/decisions/submit", b" " * 1_100_000),
        (415, "POST /api/decisions/submit", b"{}"),
        (422, "GET /api/decisions/pending?limit=0", b""),
    ],
)
async def test_every_kind_of_answer_is_hardened(
    shared: Api, admin: dict[str, str], status: int, call: str, body: bytes
) -> None:
    answer = await shared.client.request(*call.split(), headers=admin, content=body)

    assert answer.status_code == status
    assert {name: answer.headers.get(name) for name in HARDENING} == HARDENING
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert len(answer.headers.get_list("x-request-id")) == 1
    assert "server" not in answer.headers


@together
@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE"])
async def test_another_method_is_told_which_ones_there_are(shared: Api, method: str) -> None:
    answer = await shared.client.request(method, "/api/auth/login")

    assert_refused(answer, 405)
    assert "POST" in answer.headers["allow"]


@together
@pytest.mark.parametrize("request_id", ["a", "A-z_0.9:x"[:4], "018f-77", "x" * 128])
async def test_a_sane_request_id_is_kept(shared: Api, request_id: str) -> None:
    answer = await shared.client.get("/nowhere", headers={"X-Request-ID": request_id})

    assert answer.headers["x-request-id"] == request_id
    assert answer.json()["request_id"] == request_id


@together
@pytest.mark.parametrize("request_id", ["", " ", "x" * 129, "a b", "<script>", "a\tb", 'a"b', b"\xff", "a/b"])
async def test_an_insane_request_id_is_replaced(shared: Api, request_id: str | bytes) -> None:
    sent = request_id if isinstance(request_id, bytes) else request_id.encode()

    answer = await shared.client.get("/nowhere", headers=[(b"x-request-id", sent)])

    told = answer.headers["x-request-id"]
    assert len(told) == 32
    assert int(told, 16)


@together
async def test_two_requests_have_two_ids(shared: Api) -> None:
    ids = {(await shared.client.get("/health")).headers["x-request-id"] for _ in range(5)}

    assert len(ids) == 5


async def test_a_command_tells_the_position_and_leaf_hash_of_its_last_event(api: Api) -> None:
    admin = await api.login()

    submitted = await submit(api, admin, "beacon-17")
    decided = await decide(api, admin, "beacon-17")

    stored = await _decision(api, "beacon-17")
    assert [event.type for event in stored] == ["decision-submitted", "vote-cast", "decision-resolved"]
    for answer, event in ((submitted, stored[0]), (decided, stored[2])):
        assert answer.headers["ledger-position"] == str(event.position)
        assert answer.headers["ledger-leaf-hash"] == event.leaf.hex()
        assert answer.headers["etag"] == f'"{event.version}"'
        assert len(event.leaf) == sha256().digest_size
    assert "ledger-view-stale" not in submitted.headers


async def test_the_trace_of_a_request_is_in_the_envelope_of_its_events(api: Api) -> None:
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    headers = {**await api.login(), "traceparent": f"00-{trace}-00f067aa0ba902b7-01"}

    await submit(api, headers, "beacon-17")

    assert await _correlation(api, "beacon-17") == trace


@pytest.mark.parametrize(
    "traceparent",
    ["", "garbage", "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01", "00-4bf9-00f067aa0ba902b7-01"],
)
async def test_without_a_good_trace_an_envelope_begins_a_new_one(api: Api, traceparent: str) -> None:
    headers = {**await api.login(), "traceparent": traceparent}

    await submit(api, headers, "beacon-17")

    assert int(await _correlation(api, "beacon-17"), 16)


async def test_an_allowed_origin_may_read_the_answers_and_others_may_not(database: Database) -> None:
    settings = {"cors_origins": ("https://console.example.org",)}
    async with serving(database, passwords=cheap_passwords(), settings=settings) as api:
        admin = await api.login()
        allowed = await submit(api, {**admin, "Origin": "https://console.example.org"}, "one")
        other = await submit(api, {**admin, "Origin": "https://console.example.org.evil.test"}, "two")
        preflight = await api.client.options(
            "/api/decisions/submit",
            headers={
                "Origin": "https://console.example.org",
                "Access-Control-Request-Method": "POST",
                "Access-Control-Request-Headers": "authorization, content-type, idempotency-key, if-match",
            },
        )
        refused = await api.client.options(
            "/api/decisions/submit",
            headers={"Origin": "https://evil.test", "Access-Control-Request-Method": "POST"},
        )

    assert allowed.headers["access-control-allow-origin"] == "https://console.example.org"
    exposed = {name.strip().lower() for name in allowed.headers["access-control-expose-headers"].split(",")}
    assert {"etag", "link", "ledger-position", "ledger-leaf-hash", "ledger-view-stale"} <= exposed
    assert "access-control-allow-credentials" not in allowed.headers
    assert "access-control-allow-origin" not in other.headers
    assert preflight.status_code == 204
    assert preflight.headers["access-control-allow-origin"] == "https://console.example.org"
    assert preflight.headers["x-content-type-options"] == "nosniff"
    assert "access-control-allow-origin" not in refused.headers


async def test_without_configured_origins_no_browser_of_another_site_reads_anything(api: Api) -> None:
    answer = await api.client.get("/health", headers={"Origin": "https://console.example.org"})

    assert not [name for name in answer.headers if name.startswith("access-control")]


async def test_who_does_not_get_in_is_told_when_to_come_again(database: Database) -> None:
    async with serving(database, passwords=cheap_passwords(), settings={"max_in_flight": 0}) as api:
        answer = await api.client.post("/api/decisions/submit", json=submission("x"))

    assert_refused(answer, 503, "More is asked than can be written down in time")
    assert answer.headers["retry-after"] == "2"
    assert {name: answer.headers.get(name) for name in HARDENING} == HARDENING


async def test_who_was_answered_makes_room_for_the_next(database: Database) -> None:
    async with serving(database, passwords=cheap_passwords(), settings={"max_in_flight": 1}) as api:
        admin = await api.login()
        paths = ("/health", "/nowhere", "/api/decisions/pending?limit=0", "/api/auth/me", "/api/status")
        answers = [await api.client.get(path, headers=admin) for path in paths]

    assert [answer.status_code for answer in answers] == [200, 404, 422, 200, 200]


async def test_larger_bodies_beyond_the_bound_are_turned_away_and_small_ones_are_not(
    database: Database,
) -> None:
    arriving, go_on = asyncio.Event(), asyncio.Event()

    async def slowly() -> AsyncIterator[bytes]:
        yield body("first")[:100]
        arriving.set()
        await go_on.wait()
        yield body("first")[100:]

    def body(analysis_id: str, length: int = 40_000) -> bytes:
        return msgspec.json.encode(submission(analysis_id, forensic_summary="x" * length))

    async def submit(content: bytes | AsyncIterator[bytes]) -> httpx.Response:
        headers = {**admin, "Content-Type": "application/json"}
        return await api.client.post("/api/decisions/submit", headers=headers, content=content)

    async with serving(database, passwords=cheap_passwords(), settings={"most_body_bytes": 60_000}) as api:
        admin = await api.login()
        first = asyncio.create_task(submit(slowly()))
        await arriving.wait()
        second, small = await submit(body("second")), await submit(body("small", length=9))
        go_on.set()
        answers = [await first, small, await submit(body("second")), await submit(body("third"))]

    assert_refused(second, 503, "So many large bodies are under way already")
    assert (second.json()["code"], second.headers["retry-after"]) == ("too-many-bodies", "2")
    assert [answer.status_code for answer in answers] == [200] * 4


async def test_a_fault_of_ours_is_told_without_its_inside(api: Api, database: Database) -> None:
    admin = await api.login()
    await as_owner(database, "alter table views.statistics_v2 rename column priority to urgency")

    answer = await api.client.get("/api/status", headers=admin)

    assert_refused(answer, 500, "Something went wrong inside")
    assert "priority" not in answer.text
    assert {name: answer.headers.get(name) for name in HARDENING} == HARDENING


async def _decision(api: Api, analysis_id: str) -> tuple[Stored, ...]:
    return (await read_stream(api.ledger, api.ledger.decision_stream(DecisionId(analysis_id)))).events


async def _correlation(api: Api, analysis_id: str) -> str:
    (stored,) = await _decision(api, analysis_id)
    return open_envelope(stored.envelope or b"").correlation_id
