"""Spans that are kept where a test can look at them, or wait for them."""

import asyncio
from collections.abc import Sequence

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor

from ledger.telemetry.spans import Spans
from ledger.tracing import Tracing


class Kept(SpanProcessor):
    """A tracing and what it has recorded, in the order in which it ended."""

    def __init__(self, ratio: float = 1.0) -> None:
        self.spans: list[ReadableSpan] = []
        self.tracing = Tracing(Spans(self, Resource({})).make, ratio=ratio)
        self._news = asyncio.Event()

    def on_end(self, span: ReadableSpan) -> None:
        self.spans.append(span)
        self._news.set()

    def of(self, trace_id: str) -> Sequence[ReadableSpan]:
        wanted = int(trace_id, 16)
        return [span for span in self.spans if span.context.trace_id == wanted]

    async def until(self, trace_id: str, *names: str) -> Sequence[ReadableSpan]:
        """Wait until a trace has spans of all these names."""
        async with asyncio.timeout(20):
            while not set(names) <= {span.name for span in self.of(trace_id)}:
                self._news.clear()
                await self._news.wait()
        return self.of(trace_id)


def id_of(span: ReadableSpan) -> int:
    return span.context.span_id


def parent_of(span: ReadableSpan) -> int:
    """The id of the span that it is a part of; 0: of none."""
    return 0 if span.parent is None else span.parent.span_id


def named(spans: Sequence[ReadableSpan], name: str) -> ReadableSpan:
    (found,) = [span for span in spans if span.name == name]
    return found
