"""Spans on their way to a collector: made with the ids that are asked for, sent from a thread of their own.

Nobody waits for a collector: what is recorded goes into a queue of bounded length, a thread sends it, and what finds the
queue full is dropped. A collector that is away is told in the log once, and once more when it is back.
"""

import threading
from collections.abc import Sequence
from typing import Final

import structlog
from opentelemetry import metrics
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import (
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    TraceFlags,
    set_span_in_context,
)

from ledger.tracing import Facts

log = structlog.get_logger()

PATH: Final = "/v1/traces"
SEND_SECONDS: Final = 5.0
"""How long one attempt to send may take, its repetitions within."""
EVERY_SECONDS: Final = 2.0
AT_ONCE: Final = 512
WAITING: Final = 4096
"""How many spans may wait to be sent; a thousand of them take about a megabyte."""
LAST_SECONDS: Final = 2.0
"""How long a stop waits for what has not been sent."""

_sent = metrics.get_meter("ledger.telemetry").create_counter(
    "ledger_spans_exported", description="Spans handed to the collector, by what came of it"
)


class Spans:
    """Makes spans by hand: nothing is sampled here, whoever asks for a span gets one."""

    def __init__(self, processor: SpanProcessor, resource: Resource) -> None:
        """Hand every span that has ended to ``processor``."""
        self._ids = _ChosenIds()
        self._provider = TracerProvider(
            sampler=ALWAYS_ON, resource=resource, shutdown_on_exit=False, id_generator=self._ids
        )
        self._provider.add_span_processor(processor)
        self._tracer = self._provider.get_tracer("ledger")

    def make(
        self,
        name: str,
        *,
        trace_id: str,
        parent: int | None,
        span_id: int | None,
        began: int | None,
        kind: SpanKind,
        facts: Facts,
    ) -> Span:
        """Begin a span (see ``tracing.MakeSpan``)."""
        trace = int(trace_id, 16)
        self._ids.choose(trace, span_id)
        around = NonRecordingSpan(
            SpanContext(trace, parent or 0, is_remote=True, trace_flags=TraceFlags(TraceFlags.SAMPLED))
        )
        return self._tracer.start_span(
            name, set_span_in_context(around), kind=kind, attributes=facts, start_time=began
        )

    def shutdown(self, *, seconds: float = LAST_SECONDS) -> None:
        """Send what waits, for so long at most; what is not sent then is lost."""
        last = threading.Thread(target=self._provider.shutdown, name="last-spans", daemon=True)
        last.start()
        last.join(seconds)
        if last.is_alive():
            log.warning("telemetry.spans.not_sent", seconds=seconds)


class _ChosenIds(RandomIdGenerator):
    """Gives the ids that were chosen for the next span, then random ones."""

    def __init__(self) -> None:
        self._trace_id: int | None = None
        self._span_id: int | None = None

    def choose(self, trace_id: int, span_id: int | None) -> None:
        self._trace_id, self._span_id = trace_id, span_id

    def generate_trace_id(self) -> int:
        chosen, self._trace_id = self._trace_id, None
        return super().generate_trace_id() if chosen is None else chosen

    def generate_span_id(self) -> int:
        chosen, self._span_id = self._span_id, None
        return super().generate_span_id() if chosen is None else chosen


class _Telling(SpanExporter):
    """Sends through another exporter, counts, and says when the collector goes away and when it is back."""

    def __init__(self, exporter: SpanExporter) -> None:
        self._exporter = exporter
        self._is_away = False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        result = self._exporter.export(spans)
        is_away = result is not SpanExportResult.SUCCESS
        _sent.add(len(spans), {"outcome": "lost" if is_away else "sent"})
        if is_away and not self._is_away:
            log.warning("telemetry.collector.away", lost=len(spans))
        if self._is_away and not is_away:
            log.info("telemetry.collector.back")
        self._is_away = is_away
        return result

    def shutdown(self) -> None:
        self._exporter.shutdown()


def to_collector(endpoint: str) -> SpanProcessor:
    """Send spans by OTLP over HTTP to ``endpoint``, the collector's URL without ``/v1/traces``."""
    exporter = OTLPSpanExporter(traces_url(endpoint), timeout=SEND_SECONDS, compression=Compression.Gzip)
    return BatchSpanProcessor(
        _Telling(exporter),
        max_queue_size=WAITING,
        schedule_delay_millis=EVERY_SECONDS * 1000,
        max_export_batch_size=AT_ONCE,
    )


def traces_url(endpoint: str) -> str:
    """Name where a collector takes traces; a URL that names it already is left as it is."""
    url = endpoint.rstrip("/")
    return url if url.endswith(PATH) else url + PATH
