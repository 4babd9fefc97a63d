"""Which traces are recorded, whose ids count, and what belongs to what."""

import threading
from typing import Final
from uuid import UUID

import pytest
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanProcessor
from opentelemetry.sdk.trace.sampling import TraceIdRatioBased
from opentelemetry.trace import StatusCode
from structlog.testing import capture_logs

from ledger.telemetry.spans import Spans, traces_url
from ledger.tracing import (
    Appending,
    Parent,
    Part,
    Tracing,
    Trail,
    enter,
    here,
    leave,
    new_trace_id,
    parent_in,
    span_id_of,
)
from tests.support.tracing import Kept, id_of, parent_of

TRACE: Final = "4bf92f3577b34da6a3ce929d0e0e4736"
SPAN: Final = 0x00F067AA0BA902B7
COMMAND: Final = UUID("01890000-0000-7000-8000-000000000001")


def ignored(*_: object, **__: object) -> None:
    raise AssertionError("a span was made")


@pytest.mark.parametrize("ratio", [0, 0.01, 0.5, 0.999, 1])
@pytest.mark.parametrize("low", ["0" * 16, "028f5c28f5c28f5b", "028f5c28f5c28f5d", "8" + "0" * 15, "f" * 16])
def test_a_share_of_traces_is_the_one_that_opentelemetry_would_choose(ratio: float, low: str) -> None:
    trace_id = "4bf92f3577b34da6" + low
    theirs = TraceIdRatioBased(ratio).should_sample(None, int(trace_id, 16), "x").decision.is_sampled()

    assert Tracing(ignored, ratio=ratio).records(trace_id) is theirs


def test_nothing_is_recorded_where_nobody_collects() -> None:
    assert not Tracing(ratio=1).records(TRACE)
    assert Tracing(ratio=1).begin("x", Parent(TRACE, 0)) is None


def test_what_has_no_trace_is_not_recorded() -> None:
    assert not Tracing(ignored, ratio=1).records("")


def test_no_span_is_made_of_a_trace_that_is_not_recorded() -> None:
    tracing = Tracing(ignored, ratio=0)
    token = enter(Trail(tracing, trace_id=TRACE))

    with Part("command"), Appending(COMMAND), tracing.following(Parent(TRACE, SPAN), "react") as trail:
        tracing.record("project", Parent(TRACE, SPAN), began=1)
    leave(token)

    assert trail.span is None


def test_a_traceparent_names_the_trace_and_the_span_that_called() -> None:
    assert parent_in(f"00-{TRACE}-00f067aa0ba902b7-01") == Parent(TRACE, SPAN)


@pytest.mark.parametrize(
    "header",
    [
        "",
        TRACE,
        f"00-{'0' * 32}-00f067aa0ba902b7-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"ff-{TRACE}-00f067aa0ba902b7-01",
        f"00-{TRACE.upper()}-00f067aa0ba902b7-01",
        f"00-{TRACE}-00f067aa0ba902b7-01\n",
        f"00-{TRACE}-00f067aa0ba902b7",
        f"00-{TRACE}-00f067aa0ba902b7-01-",
    ],
)
def test_what_is_no_traceparent_names_nothing(header: str) -> None:
    assert parent_in(header) is None


def test_a_traceparent_says_whether_the_trace_is_recorded() -> None:
    assert Parent(TRACE, SPAN).traceparent(is_recorded=True) == f"00-{TRACE}-00f067aa0ba902b7-01"
    assert Parent(TRACE, SPAN).traceparent(is_recorded=False) == f"00-{TRACE}-00f067aa0ba902b7-00"


def test_new_traces_differ_and_can_be_carried_on() -> None:
    first, second = new_trace_id(), new_trace_id()

    assert first != second
    assert parent_in(Parent(first, SPAN).traceparent(is_recorded=True)) == Parent(first, SPAN)


def test_everybody_makes_the_same_span_of_a_command() -> None:
    assert span_id_of(COMMAND) == 0x8189000000007001
    assert span_id_of(UUID(int=0)) == 1  # 0 is no span


def test_parts_nest_and_the_append_has_its_command_s_id() -> None:
    kept = Kept()
    trail = Trail(kept.tracing, trace_id=TRACE)
    trail.span = kept.tracing.begin("request", Parent(TRACE, 0))
    token = enter(trail)
    with Part("command", {"ledger.stream": "decision-1"}), Appending(COMMAND) as append:
        append.has_landed = True
    leave(token)
    trail.end()

    append_span, command, request = kept.of(TRACE)
    assert [span.name for span in (request, command, append_span)] == ["request", "command", "append"]
    assert (parent_of(request), parent_of(command)) == (0, id_of(request))
    assert (parent_of(append_span), id_of(append_span)) == (id_of(command), span_id_of(COMMAND))
    assert command.attributes == {"ledger.stream": "decision-1"}
    assert request.start_time <= command.start_time <= append_span.start_time
    assert append_span.end_time <= command.end_time <= request.end_time


def test_an_append_that_came_too_late_is_not_the_one_that_others_are_parts_of() -> None:
    kept = Kept()
    with (
        kept.tracing.following(Parent(TRACE, SPAN), "react"),
        pytest.raises(ZeroDivisionError),
        Appending(COMMAND),
    ):
        _ = 1 // 0

    append, react = kept.of(TRACE)
    assert id_of(append) != span_id_of(COMMAND)
    assert (append.status.status_code, react.status.status_code) == (StatusCode.ERROR, StatusCode.UNSET)


def test_what_fails_is_marked_and_leaves_the_task_as_it_was() -> None:
    kept = Kept()

    def fail() -> None:
        with kept.tracing.following(Parent(TRACE, SPAN), "react"), Part("command"):
            assert here() is not None
            raise ValueError

    with pytest.raises(ValueError):  # noqa: PT011 - it is the one above
        fail()

    assert [span.status.status_code for span in kept.of(TRACE)] == [StatusCode.ERROR, StatusCode.ERROR]
    assert here() is None


class _Hanging(SpanProcessor):
    """A way to a collector that takes a connection and never answers."""

    def __init__(self) -> None:
        self.is_over = threading.Event()

    def shutdown(self) -> None:
        self.is_over.wait(60)


def test_a_stop_leaves_a_collector_that_hangs() -> None:
    hanging = _Hanging()

    with capture_logs() as lines:
        Spans(hanging, Resource({})).shutdown(seconds=0.01)
    hanging.is_over.set()

    assert [line["event"] for line in lines] == ["telemetry.spans.not_sent"]


@pytest.mark.parametrize(
    ("endpoint", "url"),
    [
        ("http://collector:4318", "http://collector:4318/v1/traces"),
        ("http://collector:4318/", "http://collector:4318/v1/traces"),
        ("https://collector.example/otlp/v1/traces", "https://collector.example/otlp/v1/traces"),
    ],
)
def test_the_path_of_traces_is_added_to_a_collector_s_url(endpoint: str, url: str) -> None:
    assert traces_url(endpoint) == url
