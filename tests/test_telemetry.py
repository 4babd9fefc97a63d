"""One log format for everybody, no secret in it, and meters that can be read."""

import json
import subprocess
import sys
from datetime import UTC, datetime
from typing import Final

import msgspec
import pytest

from ledger.telemetry.logs import REDACTED, redact, without_secrets

NOW: Final = datetime(2026, 3, 1, tzinfo=UTC)


def run(script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """In a process of its own: what is set up is set up for the whole process."""
    return subprocess.run(
        [sys.executable, "-c", script, *arguments], capture_output=True, text=True, check=True, timeout=60
    )


SPEAK = """
import logging, sys
import structlog
from ledger.telemetry.configuring import configure
from ledger.tracing import Tracing, Trail, enter

telemetry = configure(service_name="a-service", level="info", format=sys.argv[1], trace_sample_ratio=1)
enter(Trail(Tracing(), request_id="r-1"))
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
from ledger.telemetry.configuring import configure
configure(service_name="a-service", level="info", format="console", trace_sample_ratio=1)
structlog.get_logger().info("http.answered", path=f"/{chr(0)}{chr(27)}[31m/x")
"""
    written = run(script, "console").stderr

    assert "/\\x00\\x1b[31m/x" in written
    assert not {"\x00", "\x1b"} & set(written)


def test_a_person_reads_ids_and_moments_as_they_are_written_elsewhere():
    script = """
from datetime import UTC, datetime
from uuid import UUID
import structlog
from ledger.telemetry.configuring import configure
configure(service_name="a-service", level="info", format="console", trace_sample_ratio=1)
until = datetime(2026, 3, 1, 8, 30, tzinfo=UTC)
structlog.get_logger().info("breaker.opened", webhook=UUID(int=7), until=until)
"""
    written = run(script, "console").stderr

    assert "webhook=00000000-0000-0000-0000-000000000007" in written
    assert "until=2026-03-01T08:30:00Z" in written


def test_a_line_says_on_which_trail_it_was_written():
    script = """
import structlog
from ledger.telemetry.configuring import configure
from ledger.tracing import Tracing, Trail, enter
configure(service_name="s", level="info", format="json", trace_sample_ratio=0)
trail = Trail(Tracing(), trace_id="4bf92f3577b34da6a3ce929d0e0e4736", request_id="r-1")
trail.session, trail.decision = "s-1", "decision-1"
enter(trail)
structlog.get_logger().info("inside")
structlog.get_logger().info("about.another", session="s-2")
"""
    inside, another = map(json.loads, run(script).stderr.splitlines())

    assert inside.items() >= {
        ("trace_id", "4bf92f3577b34da6a3ce929d0e0e4736"),
        ("request_id", "r-1"),
        ("session", "s-1"),
        ("decision", "decision-1"),
    }
    assert another["session"] == "s-2"


def test_a_line_is_json_whatever_is_in_it():
    script = """
import structlog
from ledger.telemetry.configuring import configure
configure(service_name="s", level="info", format="json", trace_sample_ratio=0)
log = structlog.get_logger()
log.info("half", path=chr(0xd800))
log.info("odd", seen={1, 2}.__class__, numbers={(1, 2): "a pair"}, nothing=float("nan"), raw=b"x")
"""
    half, odd = map(json.loads, run(script).stderr.splitlines())

    assert half["path"] == "\ud800"
    assert (odd["seen"], odd["event"]) == ("<class 'set'>", "odd")


def test_what_belongs_to_no_request_names_none():
    script = """
import structlog
from ledger.telemetry.configuring import configure
configure(service_name="s", level="info", format="json", trace_sample_ratio=0)
structlog.get_logger().info("outside")
"""
    assert json.loads(run(script).stderr).keys() == {"event", "level", "timestamp"}


@pytest.mark.parametrize(
    ("endpoint", "ratio", "is_on"),
    [(None, 1, False), ("http://127.0.0.1:9", 0, False), ("http://127.0.0.1:9", 0.5, True)],
)
def test_traces_are_recorded_where_there_is_a_collector_and_a_share(endpoint, ratio, is_on):
    script = f"""
from ledger.telemetry.configuring import configure
configured = configure(
    service_name="s", level="info", format="json", trace_sample_ratio={ratio}, otlp_endpoint={endpoint!r})
print(configured.tracing.is_on)
"""
    assert run(script).stdout.strip() == str(is_on)


def test_meters_are_read_as_prometheus_text():
    script = """
from opentelemetry import metrics
from prometheus_client import generate_latest
from ledger.telemetry.configuring import configure
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
    "piece",
    [
        "a", "token", "-token", "\"'", "\\", "%3A%2F%2F", "%3A%2F%2F%3A", "://a:", "postgres://a:", "redis://:@", "cookie: ",
        'password=\\"', '"token\\', "Basic ", "-eyJaaaaaaaa", "eyJ.", "PRIVATE+KEY+", "ldk_a", "token ", "=", "@", "\n", "a:",
    ],
)  # fmt: skip
def test_a_text_that_was_made_to_take_long_does_not(piece):
    """One that took the square of its length would be heard of: some of these took half a minute."""
    for first in ("", "cookie:", 'password=\\"', '"token', "postgres://a:", "%3A%2F%2F%3A"):
        made = f"{first}{piece * (60_000 // len(piece))} "

        assert len(without_secrets(made)) <= len(made) + 60_000


class Asked(msgspec.Struct):
    """Something of ours that has a secret in it."""

    name: str
    password: str


def test_secrets_are_found_in_whatever_a_line_is_given():
    said = {
        "headers": [(b"Cookie", b"sid=hunter2"), (b"accept", b"x"), ("Authorization", "hunter2")],
        "error": ValueError("postgres://sam:hunter2@db"),
        "asked": Asked(name="sam", password="hunter2"),
        "seen": {"Bearer hunter2"},
        "raw": b"BEARER hunter2",
        "moment": NOW,
    }

    told = redact(None, "info", said)

    assert "hunter2" not in repr(told)
    assert (told["asked"], told["moment"]) == ({"name": "sam", "password": REDACTED}, NOW)
    assert told["headers"][1] == [b"accept", b"x"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("GET /ws/sam?token=ey.J.x&after=4", f"GET /ws/sam?token={REDACTED}&after=4"),
        ("Authorization: Bearer ey.J-x_", f"Authorization: Bearer {REDACTED}"),
        ("postgres://sam:p@ss:word@db:5432/l", f"postgres://sam:{REDACTED}@db:5432/l"),
        ("BEARER ey.J-x_ and more", f"BEARER {REDACTED} and more"),
        ("bearer%20ey.J-x_", f"bearer%20{REDACTED}"),
        ("Authorization: Basic c2FtOmh1bnRlcjI=", f"Authorization: Basic {REDACTED}"),
        ("sent BASIC c2FtOmh1bnRlcjI= to it", f"sent BASIC {REDACTED} to it"),
        ("authorization: hunter2", f"authorization: {REDACTED}"),
        ("Proxy-Authorization: Digest hunter2", f"Proxy-Authorization: {REDACTED}"),
        ("[(b'authorization', b'Bearer ey.J-x_')]", f"[(b'authorization', b'Bearer {REDACTED}')]"),
        ("COOKIE: a=hunter2; b=c\nAccept: x", f"COOKIE: {REDACTED}\nAccept: x"),
        ("Set-Cookie: sid=hunter2; Path=/", f"Set-Cookie: {REDACTED}"),
        ("x-api-key: hunter2", f"x-api-key: {REDACTED}"),
        ("POSTGRESQL://sam:p@ss/word@db:5432/l", f"POSTGRESQL://sam:{REDACTED}@db:5432/l"),
        ("redis://:p%40ss%2Fword@redis:6379/0", f"redis://:{REDACTED}@redis:6379/0"),
        ("?to=postgres%3A%2F%2Fsam%3apw%40db", f"?to=postgres%3A%2F%2Fsam%3a{REDACTED}%40db"),
        ("?PASSWORD=hunter2&after=4", f"?PASSWORD={REDACTED}&after=4"),
        ("host=db password='hunter 2' user=sam", f"host=db password={REDACTED} user=sam"),
        ("LEDGER_SECRET_KEY=hunter2 is set", f"LEDGER_SECRET_KEY={REDACTED} is set"),
        ('{"refresh_token": "ey.J", "name": "Sam"}', f'{{"refresh_token": {REDACTED}, "name": "Sam"}}'),
        (r'"{\"password\":\"hunter2\"}"', rf'"{{\"password\":{REDACTED}\"}}"'),
        ("key ldk_0a1b_c2VjcmV0 is one", f"key ldk_0a1b_{REDACTED} is one"),
        ("ldk_0a1b_c2VjcmV0", f"ldk_0a1b_{REDACTED}"),
        ("whsec_c2VjcmV0", f"whsec_{REDACTED}"),
        ("PRIVATE+KEY+north+0a1b+c2VjcmV0", f"PRIVATE+KEY+north+0a1b+{REDACTED}"),
        ("eyJhbGciOiJF.eyJzdWIi.c2ln", f"eyJ{REDACTED}"),
        ("http://127.0.0.1:8002/api/docs", "http://127.0.0.1:8002/api/docs"),
        ("http://[::1]:8002/users/sam@example.org", "http://[::1]:8002/users/sam@example.org"),
        ("Basic principles of it", "Basic principles of it"),
        ("fencing_token=7 tokens=3", "fencing_token=7 tokens=3"),
        ("ldk_0a1b", "ldk_0a1b"),
        ("nothing to hide", "nothing to hide"),
    ],
)
def test_secrets_inside_text_are_blanked_and_the_rest_is_kept(text, expected):
    assert without_secrets(text) == expected
