"""The measures of reading from a standby; a process that has none sets none of them."""

from typing import Final

from opentelemetry import metrics
from opentelemetry.metrics import CallbackOptions, Observation

from ledger.projections.standby import Standby

_meter = metrics.get_meter("ledger.standby")
_asked = _meter.create_gauge(
    "ledger_standby_asked", description="1 while reads go to the standby, 0 while the primary answers them"
)
_behind = _meter.create_gauge(
    "ledger_standby_behind_seconds",
    description="How long ago the standby last showed all that the primary did",
)
_answers: Final[dict[str, int]] = {}


def _reads(_: CallbackOptions) -> list[Observation]:
    return [Observation(count, {"answered": answered}) for answered, count in tuple(_answers.items())]


_meter.create_observable_counter(
    "ledger_standby_reads",
    [_reads],
    description="Reads that the standby might answer, by who did and why",
)


def measure(standby: Standby) -> None:
    """Set the gauges of the standby of this process."""
    _asked.set(int(standby.away is None))
    _behind.set(standby.seconds_behind())
    _answers.update({answered.value: count for answered, count in standby.answers.items()})
