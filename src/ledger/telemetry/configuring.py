"""Logs, meters and traces set up for the whole process, once, at its start."""

import os
from importlib.metadata import version
from typing import Final

import msgspec
from opentelemetry import metrics
from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.sdk.environment_variables import OTEL_SDK_DISABLED
from opentelemetry.sdk.metrics import AlwaysOffExemplarFilter, MeterProvider
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, Resource

from ledger import measures
from ledger.telemetry.logs import Format, Level, configure_logs
from ledger.telemetry.spans import Spans, to_collector
from ledger.tracing import Tracing

NOTHING_RECORDED: Final = Tracing()


class Telemetry(msgspec.Struct, frozen=True, kw_only=True):
    """What was set up, to be shut down last; ``spans`` is ``None`` where no trace is recorded."""

    meters: MeterProvider
    spans: Spans | None
    tracing: Tracing

    def shutdown(self) -> None:
        """Send what waits to be sent, for two seconds at most; nothing is measured afterwards."""
        if self.spans is not None:
            self.spans.shutdown()
        self.meters.shutdown()


def configure(
    *,
    service_name: str,
    level: Level,
    format: Format,  # noqa: A002
    trace_sample_ratio: float,
    otlp_endpoint: str | None = None,
) -> Telemetry:
    """Set up logs on standard error, meters and traces, for the whole process.

    ``trace_sample_ratio`` (0 to 1) of all traces are recorded and sent to the collector at ``otlp_endpoint``; none
    without one. Meters are read in Prometheus' text form from ``prometheus_client``'s default registry.
    ``OTEL_SDK_DISABLED=true`` turns meters and traces off, as OpenTelemetry has it.
    """
    configure_logs(level=level, format=format)
    meters = MeterProvider(
        [PrometheusMetricReader()],
        resource=Resource({SERVICE_NAME: service_name}),
        exemplar_filter=AlwaysOffExemplarFilter(),
        shutdown_on_exit=False,
    )
    metrics.set_meter_provider(meters)
    is_off = os.environ.get(OTEL_SDK_DISABLED, "").strip().lower() == "true"
    measures.switch(on=not is_off)
    if is_off or otlp_endpoint is None or trace_sample_ratio == 0:
        return Telemetry(meters=meters, spans=None, tracing=NOTHING_RECORDED)
    resource = Resource({SERVICE_NAME: service_name, SERVICE_VERSION: version("decision-ledger")})
    spans = Spans(to_collector(otlp_endpoint), resource)
    return Telemetry(meters=meters, spans=spans, tracing=Tracing(spans.make, ratio=trace_sample_ratio))
