"""The trace of a request: its own, or the caller's once it is known who calls (ADR 0031).

Whoever chooses the id of a trace chooses whether it is recorded. So a ``traceparent`` counts only from a caller with good
credentials; everybody else's requests begin traces of our own. The flag in it says what the caller records: what we record
is the installation's choice, and no flag changes it.
"""

import time
from typing import Final

from opentelemetry.trace import SpanKind

from ledger.identity.sessions import Principal
from ledger.tracing import Parent, Tracing, Trail, here, parent_in

SERVER_FAULTS: Final = 500


class RequestTrail(Trail):
    """The trail of a request, from its first byte; its span begins as soon as its trace is certain."""

    __slots__ = ("_began", "_caller", "_method")

    def __init__(self, tracing: Tracing, method: str, request_id: str) -> None:
        """Begin a trail with a trace of its own."""
        super().__init__(tracing, request_id=request_id)
        self._began = time.perf_counter()
        self._method, self._caller = method, 0

    def seconds(self) -> float:
        """Say for how long the request has been here."""
        return time.perf_counter() - self._began

    def known(self, principal: Principal, traceparent: str | None) -> None:
        """Note who calls, and go on with their trace if they bring one."""
        self.session = "" if principal.session is None else str(principal.session)
        caller = None if traceparent is None else parent_in(traceparent)
        if caller is not None:
            self.trace_id, self._caller = caller.trace_id, caller.span_id

    def open(self, route: str) -> None:
        """Begin the span, if the trace is recorded; its time is that of the whole request."""
        if self.span is None and self.tracing.records(self.trace_id):
            self.span = self.tracing.begin(
                f"{self._method} {route}",
                Parent(self.trace_id, self._caller),
                began=time.time_ns() - int(self.seconds() * 1e9),
                kind=SpanKind.SERVER,
                facts={
                    "http.request.method": self._method,
                    "http.route": route,
                    "ledger.request_id": self.request_id,
                },
            )

    def close(self, route: str, status: int) -> None:
        """End the span with what was answered; what no route has seen gets one only now."""
        self.open(route)
        if self.span is None:
            return
        self.note("http.response.status_code", status)
        self.span.set_attributes(
            {
                f"ledger.{name}": value
                for name, value in (("session", self.session), ("decision", self.decision))
                if value
            }
        )
        if status >= SERVER_FAULTS:
            self.fail()
        self.end()


def request_trail() -> RequestTrail | None:
    """Give the trail of the request at work; ``None``: it is none that came through the door."""
    trail = here()
    return trail if isinstance(trail, RequestTrail) else None
