"""A collector of traces: takes OTLP over HTTP as others do, and keeps what it was sent."""

import gzip
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.trace.v1.trace_pb2 import Span

HANG_GUARD: Final = 60.0


class Collector:
    """What came in; ``of`` waits for it."""

    def __init__(self) -> None:
        self.url = ""
        self.resources: list[dict[str, str]] = []
        self._spans: list[Span] = []
        self._news = threading.Condition()

    def take(self, body: bytes) -> None:
        request = ExportTraceServiceRequest.FromString(body)
        with self._news:
            for one in request.resource_spans:
                self.resources.append({fact.key: fact.value.string_value for fact in one.resource.attributes})
                self._spans += [span for scope in one.scope_spans for span in scope.spans]
            self._news.notify_all()

    def of(self, trace_id: str, *names: str) -> Sequence[Span]:
        """The spans of a trace, once there are some of all these names."""

        def found() -> list[Span]:
            return [span for span in self._spans if span.trace_id.hex() == trace_id]

        with self._news:
            assert self._news.wait_for(lambda: set(names) <= {span.name for span in found()}, HANG_GUARD), (
                f"only {sorted(span.name for span in found())}"
            )
            return found()


@contextmanager
def collecting() -> Iterator[Collector]:
    """A collector on a free port of this machine."""
    collector = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            assert self.path == "/v1/traces"
            collector.take(gzip.decompress(body) if self.headers["content-encoding"] == "gzip" else body)
            answer = ExportTraceServiceResponse().SerializeToString()
            self.send_response(200)
            self.send_header("content-type", "application/x-protobuf")
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        collector.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield collector
        finally:
            server.shutdown()
            thread.join()
