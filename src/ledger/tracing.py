"""Where in which trace the work at hand belongs, and the spans of those traces that are recorded (ADR 0031).

Theory. Whether a trace is recorded is asked before anything is made for it, and is answered by its id and the ratio alone.
The id is stored with every event, so whoever meets one later (a projection, a reaction, a webhook, in whichever process)
answers alike. Under which span an event was appended is not stored: the id of that span is made of the command's. So a
trace goes on behind the answer, and no stored form knows of it.

``Trail`` says what is known of a task's work: every line of the log tells it, and what is done meanwhile finds the span
that it is a part of.
"""

import os
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar, Token
from types import MappingProxyType, TracebackType
from typing import Final, Protocol, Self
from uuid import UUID

import msgspec
from opentelemetry.trace import Span, SpanKind, Status, StatusCode

# W3C Trace Context, section 3.2: version ff is none, and neither the id of a trace nor that of a span is all zeros.
TRACEPARENT: Final = re.compile(
    r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-[0-9a-f]{2}"
)
HALF: Final = 64
LOWER_HALF: Final = 2**HALF - 1
BEHIND_EVERY_DIGIT: Final = "g"

Facts = Mapping[str, str | int]
NO_FACTS: Final[Facts] = MappingProxyType({})

_here: ContextVar["Trail | None"] = ContextVar("trail", default=None)


class Parent(msgspec.Struct, frozen=True):
    """A span that others are parts of, as it is known elsewhere."""

    trace_id: str
    span_id: int

    def traceparent(self, *, is_recorded: bool) -> str:
        """Write it as the header that carries it on."""
        return f"00-{self.trace_id}-{self.span_id:016x}-{int(is_recorded):02x}"


class MakeSpan(Protocol):
    """Begins a span; what is ``None`` is chosen here, and ``began`` is in nanoseconds of the epoch."""

    def __call__(
        self,
        name: str,
        *,
        trace_id: str,
        parent: int | None,
        span_id: int | None,
        began: int | None,
        kind: SpanKind,
        facts: Facts,
    ) -> Span: ...


class Tracing:
    """What this process records of traces; ``Tracing()`` records nothing."""

    def __init__(self, make: MakeSpan | None = None, *, ratio: float = 0.0) -> None:
        """Record the share ``ratio`` (0 to 1) of all traces by ``make``."""
        self._make = make
        self._bound = f"{round(ratio * 2**HALF):016x}" if ratio < 1 else BEHIND_EVERY_DIGIT

    @property
    def is_on(self) -> bool:
        """Say whether any trace is recorded."""
        return self._make is not None

    def records(self, trace_id: str) -> bool:
        """Say whether this trace is: by OpenTelemetry's own ratio of ids, so that others can choose the same ones."""
        return self._make is not None and trace_id != "" and trace_id[16:] < self._bound

    def begin(
        self,
        name: str,
        parent: Parent,
        *,
        span_id: int | None = None,
        began: int | None = None,
        kind: SpanKind = SpanKind.INTERNAL,
        facts: Facts = NO_FACTS,
    ) -> Span | None:
        """Begin a span, if its trace is recorded; a ``parent`` with the id 0 is none, and the span its trace's first."""
        if self._make is None or not self.records(parent.trace_id):
            return None
        return self._make(
            name,
            trace_id=parent.trace_id,
            parent=parent.span_id or None,
            span_id=span_id,
            began=began,
            kind=kind,
            facts=facts,
        )

    def record(
        self, name: str, parent: Parent, *, span_id: int | None = None, began: int, facts: Facts = NO_FACTS
    ) -> None:
        """Record what has been done since ``began``, if its trace is recorded."""
        span = self.begin(name, parent, span_id=span_id, began=began, facts=facts)
        if span is not None:
            span.end()

    @contextmanager
    def following(
        self, parent: Parent, name: str, *, kind: SpanKind = SpanKind.INTERNAL, facts: Facts = NO_FACTS
    ) -> Iterator["Trail"]:
        """Do what follows from an event: in its trace, and as a span of its own if that is recorded."""
        trail = Trail(self, trace_id=parent.trace_id)
        trail.span = self.begin(name, parent, kind=kind, facts=facts)
        token = _here.set(trail)
        try:
            yield trail
        except BaseException:
            trail.fail()
            raise
        finally:
            _here.reset(token)
            trail.end()


class Trail:
    """What is known of a task's work; ``span`` is ``None`` where its trace is not recorded, a text empty where unknown."""

    __slots__ = ("decision", "request_id", "session", "span", "trace_id", "tracing")

    def __init__(self, tracing: Tracing, *, trace_id: str = "", request_id: str = "") -> None:
        """Begin a trail, in a new trace unless it is known which."""
        self.tracing = tracing
        self.trace_id = trace_id or new_trace_id()
        self.request_id = request_id
        self.session = self.decision = ""
        self.span: Span | None = None

    def concerns(self, decision: str) -> None:
        """Note which decision this is about; where there are several, the first stands for all."""
        self.decision = self.decision or decision

    def parent(self) -> Parent:
        """Name the span that what is done now is a part of; its id is 0 where nothing is recorded."""
        return Parent(self.trace_id, 0 if self.span is None else self.span.get_span_context().span_id)

    def part(self, span: Span) -> "Trail":
        """Go on inside ``span``."""
        part = Trail(self.tracing, trace_id=self.trace_id, request_id=self.request_id)
        part.session, part.decision, part.span = self.session, self.decision, span
        return part

    def traceparent(self, parent: Parent) -> str:
        """Write what carries the trace on to others: this span, or the ``parent`` of it where none is recorded."""
        at = parent if self.span is None else self.parent()
        return at.traceparent(is_recorded=self.span is not None)

    def note(self, name: str, fact: str | int) -> None:
        """Add a fact to the span, if there is one."""
        if self.span is not None:
            self.span.set_attribute(name, fact)

    def fail(self) -> None:
        """Say that what the span tells of went wrong."""
        if self.span is not None:
            self.span.set_status(Status(StatusCode.ERROR))

    def end(self) -> None:
        """End the span, if there is one."""
        if self.span is not None:
            self.span.end()


class Part:
    """A part of what the task does: a span, where its trace is recorded, and nearly nothing where not."""

    __slots__ = ("_facts", "_name", "_token", "_trail")

    def __init__(self, name: str, facts: Facts = NO_FACTS) -> None:
        """Prepare a span by this name, to be entered."""
        self._name, self._facts = name, facts
        self._trail: Trail | None = None
        self._token: Token[Trail | None] | None = None

    def __enter__(self) -> Self:
        """Begin."""
        around = _here.get()
        if around is None or around.span is None:
            return self
        span = around.tracing.begin(self._name, around.parent(), facts=self._facts)
        if span is not None:
            self._trail = around.part(span)
            self._token = _here.set(self._trail)
        return self

    def note(self, name: str, fact: str) -> None:
        """Add a fact that came out only now."""
        if self._trail is not None:
            self._trail.note(name, fact)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End, as failed if something was raised."""
        if self._trail is None or self._token is None:
            return
        if kind is not None:
            self._trail.fail()
        _here.reset(self._token)
        self._trail.end()


class Appending(Part):
    """The append of a command, a part that others will be parts of: once it has landed, its id is the command's."""

    __slots__ = ("_began", "_command", "has_landed")

    def __init__(self, command_id: UUID, facts: Facts = NO_FACTS) -> None:
        """Prepare to append what the command ``command_id`` came to."""
        super().__init__("append", facts)
        self._command = command_id
        self._began = 0
        self.has_landed = False

    def __enter__(self) -> Self:
        """Begin; the span is made in the end, when it is known whether this append is the one."""
        around = _here.get()
        if around is not None and around.span is not None:
            self._trail, self._began = around, time.time_ns()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Record what came of it."""
        if self._trail is None:
            return
        span_id = span_id_of(self._command) if self.has_landed else None
        span = self._trail.tracing.begin(
            self._name, self._trail.parent(), span_id=span_id, began=self._began, facts=self._facts
        )
        if span is not None:
            if kind is not None:
                span.set_status(Status(StatusCode.ERROR))
            span.end()


def here() -> Trail | None:
    """Give the trail of the task at work; ``None``: nobody knows what it belongs to."""
    return _here.get()


def enter(trail: Trail) -> Token[Trail | None]:
    """Let the task at work be on this trail, until ``leave``."""
    return _here.set(trail)


def leave(token: Token[Trail | None]) -> None:
    """Let the task be where it was before."""
    _here.reset(token)


def new_trace_id() -> str:
    """Begin a trace."""
    return os.urandom(16).hex()


def span_id_of(id_: UUID) -> int:
    """Make the id of a span of another id: everybody who knows that one makes the same."""
    return (id_.int >> HALF) ^ (id_.int & LOWER_HALF) or 1


def parent_in(traceparent: str) -> Parent | None:
    """Read a ``traceparent`` header; ``None``: it is none."""
    match = TRACEPARENT.fullmatch(traceparent)
    return None if match is None else Parent(match[1], int(match[2], 16))
