"""What a real service says about itself under traffic: its log, its counters, and its traces to a collector."""

import asyncio
import json
import re
import time
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import msgspec
import pytest
import pytest_asyncio
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.support.collector import Collector, collecting
from tests.support.databases import Cluster, Database
from tests.support.http import submission, verdict
from tests.support.receiver import Receiver, receiving
from tests.support.service import HANG_GUARD, Service, on_database, service

pytestmark = [pytest.mark.processes, pytest.mark.long, pytest.mark.asyncio(loop_scope="module")]

TRACE: Final = "4bf92f3577b34da60000000000000001"
"""Recorded at any ratio but 0."""
OTHER: Final = "4bf92f3577b34da6ffffffffffffffff"
"""Recorded at none but 1."""
WAY: Final = (
    *("POST /api/decisions/submit", "command decision", "append", "project queue"),
    *("queue webhook", "deliver webhook"),
)
SAMPLE: Final = re.compile(r"^(\w+)(?:\{(.*)\})? (\S+)$", re.MULTILINE)
STARTED: Final = " is ready after "
CALLS: Final = 40


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """What one run of a service has told, in all ways it has."""

    lines: list[dict[str, object]]
    unread: list[str]
    metrics: str
    spans: list[Span]
    resources: list[dict[str, str]]
    received: list[Mapping[str, str]]
    request_ids: list[str]
    exit_code: int

    def answered(self) -> list[dict[str, object]]:
        return [line for line in self.lines if line["event"] == "http.answered"]

    def value(self, name: str, *labels: str) -> float:
        """Add up what is counted under these labels."""
        return sum(
            float(value)
            for found, said, value in SAMPLE.findall(self.metrics)
            if found == name and all(label in said for label in labels)
        )

    def named(self, name: str) -> Span:
        (found,) = [span for span in self.spans if span.name == name]
        return found


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def told(postgres: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Told:
    """One run for all facts: traffic of many at once, a webhook, and a stop."""
    folder = tmp_path_factory.mktemp("telemetry")
    async with postgres.fresh() as database, receiving() as receiver:
        with collecting() as collector:
            return await asyncio.to_thread(_run, database, folder, collector, receiver)


def _run(database: Database, folder: Path, collector: Collector, receiver: Receiver) -> Told:
    settings = {
        **on_database(database, folder),
        "LEDGER_LOG_FORMAT": "json",
        "LEDGER_OTLP_ENDPOINT": collector.url,
        "LEDGER_TRACE_SAMPLE_RATIO": "0.5",
        "LEDGER_WEBHOOK_ALLOWED_NETWORKS": "127.0.0.1",
    }
    with service(settings=settings) as running:
        request_ids = _traffic(running, receiver.url)
        spans = collector.of(TRACE, *WAY)
        _told_of(OTHER, receiver)
        assert not collector.of(OTHER)
        with running.client() as client:
            metrics = client.get("/metrics").text
        exit_code = running.stop()
        text = running.output.rest()
    said = text[text.index(STARTED) :].splitlines()[1:]
    return Told(
        lines=[json.loads(line) for line in said if line.startswith("{")],
        unread=[line for line in said if not line.startswith("{")],
        metrics=metrics,
        spans=list(spans),
        resources=collector.resources,
        received=[one.headers for one in receiver.received],
        request_ids=request_ids,
        exit_code=exit_code,
    )


def _told_of(trace_id: str, receiver: Receiver) -> None:
    """Wait until the receiver was told of what happened in a trace: its webhook is queued behind others."""
    deadline = time.monotonic() + HANG_GUARD
    while not any(trace_id in one.headers["traceparent"] for one in tuple(receiver.received)):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _traffic(running: Service, hook: str) -> list[str]:
    """Ask many things at once, good and bad; the ids of all requests as their answers say them."""
    token = running.login()

    def ask(number: int) -> str:
        with running.client(token) as client:
            if number % 4 == 0:
                return client.post("/api/decisions/submit", json=submission(f"LOAD-{number}")).headers[
                    "x-request-id"
                ]
            path = ("/api/decisions/pending", "/nowhere", "/api/decisions/LOAD-0")[number % 3]
            return client.get(path).headers["x-request-id"]

    with running.client(token) as client:
        assert client.post("/api/webhooks", json={"url": hook}).status_code == 200
        for name, trace_id in (("TRACED", TRACE), ("UNTRACED", OTHER)):
            headers = {"traceparent": f"00-{trace_id}-00f067aa0ba902b7-01", "X-Request-ID": f"of-{name}"}
            client.post("/api/decisions/submit", json=submission(name), headers=headers)
        decided = client.post("/api/decisions/TRACED/decide", json=verdict("TRACED"))
        assert decided.status_code == 200, decided.text
        with ThreadPoolExecutor(8) as pool:
            return list(pool.map(ask, range(CALLS)))


async def test_every_line_is_json(told: Told) -> None:
    assert told.unread == []
    assert all({"event", "level", "timestamp"} <= line.keys() for line in told.lines)


async def test_every_request_has_one_line_with_its_id_and_a_trace(told: Told) -> None:
    lines = Counter(line["request_id"] for line in told.answered())

    assert set(lines.values()) == {1}
    assert {*told.request_ids, "of-TRACED", "of-UNTRACED"} <= lines.keys()
    assert all(re.fullmatch("[0-9a-f]{32}", str(line["trace_id"])) for line in told.answered())


async def test_a_command_s_line_names_session_and_decision(told: Told) -> None:
    of = {line["request_id"]: line for line in told.answered()}

    assert (of["of-TRACED"]["trace_id"], of["of-UNTRACED"]["trace_id"]) == (TRACE, OTHER)
    assert of["of-TRACED"]["session"] == of["of-UNTRACED"]["session"]
    assert str(of["of-TRACED"]["decision"]).startswith("decision-")
    assert of["of-TRACED"]["decision"] != of["of-UNTRACED"]["decision"]


async def test_no_line_holds_what_was_submitted_or_a_token(told: Told) -> None:
    written = json.dumps(told.lines)

    assert "Quiet Heron" not in written
    assert "Bearer" not in written
    assert "eyJ" not in written  # what every token of ours begins with


async def test_counters_moved(told: Told) -> None:
    submitted = ('route="/api/decisions/submit"', 'status="200"')

    assert told.value("ledger_http_requests_total", *submitted) == CALLS / 4 + 2
    assert told.value("ledger_http_requests_total", 'status="404"', 'route="none"') > 0
    assert told.value("ledger_http_request_duration_seconds_count", submitted[0]) == CALLS / 4 + 2
    assert told.value("ledger_commands_total", 'aggregate="decision"', 'outcome="done"') == CALLS / 4 + 3
    assert told.value("ledger_append_batch_appends_sum") >= CALLS / 4 + 3
    assert told.value("ledger_append_duration_seconds_count") == told.value(
        "ledger_append_batch_appends_count"
    )
    assert told.value("ledger_webhook_attempts_total", 'outcome="delivered"') >= 1
    assert told.value("ledger_spans_exported_total", 'outcome="lost"') == 0


async def test_a_trace_goes_from_the_call_to_the_webhook(told: Told) -> None:
    call, command, append, projected, queued, delivered = map(told.named, WAY)

    assert call.parent_span_id.hex() == "00f067aa0ba902b7"
    assert [span.parent_span_id for span in (command, append, projected, queued, delivered)] == [
        *(call.span_id, command.span_id, append.span_id, append.span_id, queued.span_id)
    ]
    assert call.start_time_unix_nano <= command.start_time_unix_nano <= append.start_time_unix_nano
    assert append.end_time_unix_nano <= command.end_time_unix_nano <= call.end_time_unix_nano


async def test_the_receiver_of_a_webhook_can_go_on_with_the_trace(told: Told) -> None:
    carried = [headers["traceparent"] for headers in told.received]

    assert f"00-{TRACE}-{told.named('deliver webhook').span_id.hex()}-01" in carried
    assert [one[-2:] for one in carried if OTHER in one] == ["00"]


async def test_the_collector_is_told_whose_spans_they_are(told: Told) -> None:
    assert {one["service.name"] for one in told.resources} == {"decision-ledger"}


async def test_it_stops_as_ever(told: Told) -> None:
    assert told.exit_code == 0


async def test_a_collector_that_is_away_is_told_once_and_keeps_nobody(
    postgres: Cluster, tmp_path: Path
) -> None:
    def run(database: Database) -> tuple[int, list[str]]:
        settings = {
            **on_database(database, tmp_path),
            "LEDGER_OTLP_ENDPOINT": "http://127.0.0.1:9",
            "LEDGER_TRACE_SAMPLE_RATIO": "1",
            "LEDGER_LOG_FORMAT": "json",
        }
        with (
            service("--only", "api", settings=settings) as running,
            running.client(running.login()) as client,
        ):
            asked = [client.get("/api/auth/me").status_code for _ in range(20)]
            running.output.until("telemetry.collector.away")
            asked += [client.get("/api/auth/me").status_code for _ in range(20)]
            assert asked == [200] * 40
            return running.stop(), running.output.rest().splitlines()

    async with postgres.fresh() as database:
        code, lines = await asyncio.to_thread(run, database)

    assert code == 0
    assert sum("telemetry.collector.away" in line for line in lines) == 1
    assert not [line for line in lines if "opentelemetry" in line]
