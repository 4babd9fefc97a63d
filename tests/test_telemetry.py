"""One log format for everybody, no secret in it, and meters that can be read."""

import json
import subprocess
import sys

import pytest

from ledger.telemetry import REDACTED, redact, without_secrets


def run(script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """In a process of its own: what is set up is set up for the whole process."""
    return subprocess.run(
        [sys.executable, "-c", script, *arguments], capture_output=True, text=True, check=True, timeout=60
    )


SPEAK = """
import logging, sys
import structlog
from ledger.telemetry import configure

telemetry = configure(service_name="a-service", level="info", format=sys.argv[1], trace_sample_ratio=1)
structlog.contextvars.bind_contextvars(request_id="r-1")
log = structlog.get_logger()
log.debug("too.quiet")
log.info("service.started", port=8002, password="hunter2", fencing_token=7)
logging.getLogger("uvicorn.error").info("Listening on %s", "http://127.0.0.1")
logging.getLogger("uvicorn.access").info("one line too many")
try:
    raise ValueError("postgresql://ledger_service:hunter2@localhost/ledger")
except ValueError:
    log.exception("start.failed")
telemetry.shutdown()
"""


def test_our_lines_and_the_libraries_lines_have_one_json_form():
    lines = [json.loads(line) for line in run(SPEAK, "json").stderr.splitlines()]

    assert [line["event"] for line in lines] == [
        "service.started",
        "Listening on http://127.0.0.1",
        "start.failed",
    ]
    assert {line["request_id"] for line in lines} == {"r-1"}
    assert [line["level"] for line in lines] == ["info", "info", "error"]
    assert all(line["timestamp"].endswith("Z") for line in lines)
    assert lines[1]["logger"] == "uvicorn.error"


@pytest.mark.parametrize("format_", ["json", "console"])
def test_no_log_line_holds_a_password(format_):
    written = run(SPEAK, format_).stderr

    assert "hunter2" not in written
    assert "ledger_service:" + REDACTED in written
    assert "service.started" in written


def test_a_person_reads_one_plain_line_an_event():
    first = run(SPEAK, "console").stderr.splitlines()[0]

    assert "[info     ] service.started" in first
    assert "fencing_token=7" in first
    assert "port=8002" in first
    assert "\x1b" not in first  # no colours where no terminal is


def test_a_terminal_is_sent_no_control_character_of_others():
    script = """
import structlog
from ledger.telemetry import configure
configure(service_name="a-service", level="info", format="console", trace_sample_ratio=1)
structlog.get_logger().info("http.answered", path=f"/{chr(0)}{chr(27)}[31m/x")
"""
    written = run(script, "console").stderr

    assert "/\\x00\\x1b[31m/x" in written
    assert not {"\x00", "\x1b"} & set(written)


def test_log_lines_of_a_traced_request_name_its_trace():
    script = """
import structlog
from opentelemetry import trace
from ledger.telemetry import configure
configure(service_name="s", level="info", format="json", trace_sample_ratio=0)
with trace.get_tracer("t").start_as_current_span("request") as span:
    structlog.get_logger().info("inside")
    print(trace.format_trace_id(span.get_span_context().trace_id))
"""
    done = run(script)

    assert json.loads(done.stderr)["trace_id"] == done.stdout.strip()


@pytest.mark.parametrize(("ratio", "sampled"), [("0", "False"), ("1", "True")])
def test_a_request_without_a_decision_of_its_own_is_sampled_by_ratio(ratio, sampled):
    script = """
import sys
from opentelemetry import trace
from ledger.telemetry import configure
configure(service_name="s", level="info", format="json", trace_sample_ratio=float(sys.argv[1]))
with trace.get_tracer("t").start_as_current_span("request") as span:
    print(span.get_span_context().trace_flags.sampled)
"""
    assert run(script, ratio).stdout.strip() == sampled


def test_meters_are_read_as_prometheus_text():
    script = """
from opentelemetry import metrics
from prometheus_client import generate_latest
from ledger.telemetry import configure
telemetry = configure(service_name="a-service", level="info", format="json", trace_sample_ratio=0)
metrics.get_meter("ledger").create_counter("ledger_commands").add(3)
print(generate_latest().decode())
telemetry.shutdown()
print("after:", generate_latest().decode())
"""
    before, after = run(script).stdout.split("after:")

    assert "ledger_commands_total{" in before
    assert 'target_info{service_name="a-service"}' in before
    assert "ledger_commands_total" not in after


def test_secrets_are_found_by_name_however_deep_they_lie():
    said = {
        "password": "a",
        "Authorization": "b",
        "secret_key": "c",
        "database_url": "d",
        "request_key": b"e",
        "body": {"items": [{"refresh_token": "f", "name": "kept"}]},
        "token_type": "bearer",
        "token": None,
        "event": "x",
    }

    assert redact(None, "info", said) == {
        "password": REDACTED,
        "Authorization": REDACTED,
        "secret_key": REDACTED,
        "database_url": REDACTED,
        "request_key": REDACTED,
        "body": {"items": [{"refresh_token": REDACTED, "name": "kept"}]},
        "token_type": "bearer",
        "token": None,
        "event": "x",
    }


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("GET /ws/sam?token=ey.J.x&after=4", f"GET /ws/sam?token={REDACTED}&after=4"),
        ("Authorization: Bearer ey.J-x_", f"Authorization: Bearer {REDACTED}"),
        ("postgres://sam:p@ss:word@db:5432/l", f"postgres://sam:{REDACTED}@db:5432/l"),
        ("http://127.0.0.1:8002/api/docs", "http://127.0.0.1:8002/api/docs"),
        ("nothing to hide", "nothing to hide"),
    ],
)
def test_secrets_inside_text_are_blanked_and_the_rest_is_kept(text, expected):
    assert without_secrets(text) == expected
