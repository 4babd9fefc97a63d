"""The measures of the notary, taken from the database whenever somebody asks for metrics."""

from datetime import datetime

from opentelemetry import metrics

from ledger.sealing.notary import Status
from ledger.sealing.patrol import Patrol

_meter = metrics.get_meter("ledger.notary")
_size = _meter.create_gauge("ledger_notary_sealed_size", description="Events under the last checkpoint")
_lag = _meter.create_gauge("ledger_notary_lag_events", description="Events that came after it")
_age = _meter.create_gauge(
    "ledger_notary_seal_age", unit="s", description="For how long the oldest of them has not been sealed"
)
_halted = _meter.create_gauge(
    "ledger_notary_halted", description="1 while it seals nothing until somebody looks"
)
_patrol_position = _meter.create_gauge(
    "ledger_sealing_patrol_position", description="The last sealed event that this process compared again"
)
_patrol_findings = _meter.create_gauge(
    "ledger_sealing_patrol_findings", description="Events that it found are not what was sealed"
)
_patrol_look_age = _meter.create_gauge(
    "ledger_sealing_patrol_look_age", unit="s", description="How long ago it came to the end of a look"
)
_patrol_round_age = _meter.create_gauge(
    "ledger_sealing_patrol_round_age",
    unit="s",
    description="How long ago it had looked at every sealed event, leaving none out, or was started",
)


def measure(status: Status, now: datetime) -> None:
    """Set every gauge."""
    _size.set(0 if status.sealed is None else status.sealed.size)
    _lag.set(status.lag)
    _age.set(status.seal_age(now))
    _halted.set(0 if status.halt is None else 1)


def measure_patrol(patrol: Patrol) -> None:
    """Set what a process knows that walks over the log."""
    _patrol_position.set(patrol.position)
    _patrol_findings.set(len(patrol.findings))
    _patrol_look_age.set(patrol.look_age())
    _patrol_round_age.set(patrol.round_age())
