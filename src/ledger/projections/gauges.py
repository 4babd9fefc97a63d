"""The measures of every projection, taken from the database whenever somebody asks for metrics."""

from collections.abc import Sequence
from datetime import datetime

from opentelemetry import metrics

from ledger.projections.reports import Report
from ledger.projections.views.timers import Backlog

_meter = metrics.get_meter("ledger.projections")
_lag_events = _meter.create_gauge(
    "ledger_projection_lag_events", description="Events that a projection has not accounted for"
)
_lag_seconds = _meter.create_gauge(
    "ledger_projection_lag", unit="s", description="Age of the first event it has not accounted for"
)
_parked = _meter.create_gauge(
    "ledger_projection_parked_events", description="Events that wait for a repair, culprits among them"
)
_culprits = _meter.create_gauge(
    "ledger_projection_active_failures", description="Events that could not be applied"
)
_oldest = _meter.create_gauge(
    "ledger_projection_oldest_parked_age", unit="s", description="Age of the oldest of them"
)
_alive = _meter.create_gauge(
    "ledger_projection_alive", description="1 while some process feeds it and its loop goes round"
)
_paused = _meter.create_gauge("ledger_projection_paused", description="1 while somebody has paused it")
_due = _meter.create_gauge(
    "ledger_timers_due", description="Decisions of which something has fallen due and is not written down"
)
_oldest_due = _meter.create_gauge(
    "ledger_timers_oldest_due_age", unit="s", description="For how long the oldest of them has been due"
)


def measure(reports: Sequence[Report]) -> None:
    """Set every gauge to what ``reports`` say."""
    for report in reports:
        labels = {"projection": report.name}
        _lag_events.set(report.lag_events(), labels)
        _lag_seconds.set(report.lag_seconds, labels)
        _parked.set(report.parked, labels)
        _culprits.set(report.active_failures, labels)
        _oldest.set(report.oldest_parked_seconds or 0.0, labels)
        _alive.set(int(report.is_alive), labels)
        _paused.set(int(report.paused_at is not None), labels)


def measure_unreachable(names: Sequence[str]) -> None:
    """Say of every projection that nobody can be feeding it: the database does not answer."""
    for name in names:
        _alive.set(0, {"projection": name})


def measure_timers(backlog: Backlog, now: datetime) -> None:
    """Set the gauges of what is due to what there is at ``now``."""
    _due.set(backlog.timers)
    _oldest_due.set(0.0 if backlog.oldest is None else (now - backlog.oldest).total_seconds())
