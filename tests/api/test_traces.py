"""One request, one trace: from the call to the append, and on to what follows from it, in whichever process."""

import secrets
from collections.abc import AsyncIterator
from typing import Final

import pytest
import pytest_asyncio
from opentelemetry.trace import SpanKind, StatusCode

from ledger.domain.ids import START
from ledger.projections.catalog import ALL
from ledger.reactions.releases import release_on
from tests.api.answers import assert_refused, submit, together
from tests.support.databases import Cluster
from tests.support.http import Api, cheap_passwords, serving
from tests.support.receiver import receiving
from tests.support.tracing import Kept, id_of, named, parent_of
from tests.webhooks.house import followed, sent

CALLER: Final = 0x00F067AA0BA902B7

pytestmark = together


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def kept() -> Kept:
    """Half of all traces, as their ids say."""
    return Kept(ratio=0.5)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def traced(postgres: Cluster, kept: Kept) -> AsyncIterator[Api]:
    async with (
        postgres.fresh() as database,
        serving(database, passwords=cheap_passwords(), tracing=kept.tracing) as served,
    ):
        yield served


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def engine(traced: Api) -> dict[str, str]:
    return await traced.newcomer("engine", "service")


def chosen(first: str) -> str:
    """A new trace id; the first digit of its lower half says whether it is recorded."""
    return secrets.token_hex(8) + first + secrets.token_hex(8)[1:]


def recorded() -> str:
    return chosen("0")


def passed_over() -> str:
    return chosen("f")


def in_trace(trace_id: str, flags: str = "01") -> dict[str, str]:
    return {"traceparent": f"00-{trace_id}-{CALLER:016x}-{flags}"}


async def test_a_command_s_trace_goes_from_the_call_to_the_views(
    traced: Api, kept: Kept, engine: dict[str, str]
) -> None:
    trace_id = recorded()

    await submit(traced, {**engine, **in_trace(trace_id)}, "TRACED")

    spans = await kept.until(trace_id, "append", "project queue", "project decisions")
    call, command, append = (
        named(spans, name) for name in ("POST /api/decisions/submit", "command decision", "append")
    )
    projected = [span for span in spans if span.name.startswith("project ")]
    assert parent_of(call) == CALLER
    assert [parent_of(command), parent_of(append)] == [id_of(call), id_of(command)]
    assert {parent_of(span) for span in projected} == {id_of(append)}
    assert {span.name.removeprefix("project ") for span in projected} <= {feed.name for feed in ALL}
    assert (call.kind, call.attributes["http.response.status_code"]) == (SpanKind.SERVER, 200)
    assert call.attributes["http.route"] == "/api/decisions/submit"
    assert call.attributes["ledger.decision"] == append.attributes["ledger.stream"]
    assert "TRACED" not in str([span.to_json() for span in spans])


async def test_a_webhook_is_told_in_the_trace_of_what_it_is_told(
    traced: Api, kept: Kept, engine: dict[str, str]
) -> None:
    trace_id, other = recorded(), passed_over()
    async with receiving() as receiver:
        admin = await traced.login()
        registered = await traced.client.post("/api/webhooks", headers=admin, json={"url": receiver.url})
        await submit(traced, {**engine, **in_trace(trace_id)}, "TOLD")
        await submit(traced, {**engine, **in_trace(other)}, "TOLD-TOO")
        await followed(traced.services.webhooks)
        await sent(traced.services.webhooks)
        await traced.client.delete(f"/api/webhooks/{registered.json()['webhook_id']}", headers=admin)

    spans = kept.of(trace_id)
    queued, delivered = named(spans, "queue webhook"), named(spans, "deliver webhook")
    assert parent_of(queued) == id_of(named(spans, "append"))
    assert parent_of(delivered) == id_of(queued)
    assert (delivered.kind, delivered.attributes["http.response.status_code"]) == (SpanKind.CLIENT, 204)
    assert [one.headers["traceparent"][:36] for one in receiver.received] == [
        f"00-{trace_id}-",
        f"00-{other}-",
    ]
    assert receiver.received[0].headers["traceparent"] == f"00-{trace_id}-{id_of(delivered):016x}-01"
    assert receiver.received[1].headers["traceparent"].endswith("-00")
    assert not kept.of(other)


async def test_a_reaction_and_what_it_appends_are_in_the_trace_of_their_cause(
    traced: Api, kept: Kept, engine: dict[str, str]
) -> None:
    trace_id = recorded()
    await submit(traced, engine, "HELD")
    ana = await traced.newcomer("ana")
    await traced.client.post("/api/decisions/HELD/claim", headers=ana)
    await traced.client.post("/api/auth/logout", headers={**ana, **in_trace(trace_id)})

    await release_on(traced.ledger, traced.services.clock, START)

    spans = await kept.until(trace_id, "react releases")
    logged_out = named(spans, "POST /api/auth/logout")
    command = named(spans, "command session")
    reaction = named(spans, "react releases")
    (cause, effect) = sorted((span for span in spans if span.name == "append"), key=lambda one: one.end_time)
    assert [parent_of(command), parent_of(cause)] == [id_of(logged_out), id_of(command)]
    assert parent_of(reaction) == id_of(cause)
    assert parent_of(named(spans, "command decision")) == id_of(reaction)
    assert parent_of(effect) == id_of(named(spans, "command decision"))


@pytest.mark.parametrize("flags", ["00", "01"])
async def test_no_flag_of_a_caller_changes_what_is_recorded(
    traced: Api, kept: Kept, engine: dict[str, str], flags: str
) -> None:
    kept_one, other = recorded(), passed_over()
    for trace_id in (kept_one, other):
        await traced.client.get("/api/auth/me", headers={**engine, **in_trace(trace_id, flags)})

    assert (len(kept.of(kept_one)), len(kept.of(other))) == (1, 0)


@pytest.mark.parametrize("token", [{}, {"Authorization": "Bearer not-a-token"}], ids=["none", "wrong"])
async def test_who_has_no_good_token_chooses_no_trace(traced: Api, kept: Kept, token: dict[str, str]) -> None:
    trace_id = recorded()

    answer = await traced.client.get("/api/auth/me", headers={**token, **in_trace(trace_id)})
    login = await traced.client.post(
        "/api/auth/login", data={"username": "admin", "password": "wrong"}, headers=in_trace(trace_id)
    )

    assert_refused(answer, 401)
    assert_refused(login, 401)
    assert not kept.of(trace_id)


@pytest.mark.parametrize(
    ("call", "status", "name"),
    [
        ("GET /nowhere/at-all", 404, "GET none"),
        ("GET /api/auth/me", 401, "GET /api/auth/me"),
        ("GET /health", 200, "GET /health"),
        ("HEAD /health", 200, "HEAD /health"),
        ("POST /api/decisions/submit", 401, "POST /api/decisions/submit"),
    ],
)
async def test_requests_of_nobody_are_recorded_in_their_share(
    traced: Api, kept: Kept, call: str, status: int, name: str
) -> None:
    before = len(kept.spans)
    for _ in range(40):  # of which none is recorded once in a million million times
        answer = await traced.client.request(*call.split(" "))

    found = [span for span in kept.spans[before:] if span.name == name]
    assert answer.status_code == status
    assert 0 < len(found) < 40
    assert {parent_of(span) for span in found} == {0}
    assert {span.attributes["http.response.status_code"] for span in found} == {status}


@pytest.mark.parametrize("path", ["/health/live", "/health/ready", "/metrics"])
async def test_what_machines_ask_all_the_time_is_not_traced(traced: Api, kept: Kept, path: str) -> None:
    for _ in range(3):
        await traced.client.get(path, headers=in_trace(recorded()))

    assert not [span for span in kept.spans if span.name.endswith(path)]


async def test_a_refusal_is_no_fault_of_the_service(traced: Api, kept: Kept, engine: dict[str, str]) -> None:
    trace_id = recorded()
    await submit(traced, engine, "TWICE")

    again = await traced.client.post(
        "/api/decisions/TWICE/decide", headers={**engine, **in_trace(trace_id)}, json={}
    )

    assert again.status_code == 403
    assert named(kept.of(trace_id), "POST /api/decisions/{analysis_id}/decide").status.status_code is (
        StatusCode.UNSET
    )


async def test_a_login_s_events_are_in_a_trace_of_its_own(traced: Api, kept: Kept) -> None:
    chosen_by_nobody = recorded()
    before = await traced.ledger.head()

    await traced.client.post(
        "/api/auth/login",
        data={"username": "admin", "password": "correct horse battery"},
        headers=in_trace(chosen_by_nobody),
    )

    traces = await traced.ledger.pool.fetch(
        "select correlation_id from ledger.events where position > $1", before
    )
    assert traces
    assert chosen_by_nobody not in {row["correlation_id"] for row in traces}
