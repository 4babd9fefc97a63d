"""The measures of writing: commands by what came of them, what is appended, who waits, and the pool."""

from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Final

from opentelemetry import metrics
from opentelemetry.metrics import CallbackOptions, Observation

from ledger.domain.errors import (
    Corrupt,
    LedgerError,
    OutcomeUnknown,
    Overloaded,
    Unavailable,
    VersionConflict,
)
from ledger.store.ledger import Ledger

_meter = metrics.get_meter("ledger.store")
_queued = _meter.create_gauge("ledger_append_queued", description="Appends that wait for a batch")
_limit = _meter.create_gauge(
    "ledger_append_queue_limit", description="Appends that may wait; further ones get 503"
)
_connections = _meter.create_gauge("ledger_pool_connections", description="Connections of the pool, by use")
_most = _meter.create_gauge("ledger_pool_connections_limit", description="Connections that the pool may open")

OUTCOMES: Final[tuple[tuple[type[LedgerError], str], ...]] = (
    (VersionConflict, "conflict"),
    (Overloaded, "unavailable"),
    (Unavailable, "unavailable"),
    (OutcomeUnknown, "unavailable"),
    (Corrupt, "failed"),
    (LedgerError, "refused"),
)
"""What a command that raises this counts as."""


_counts: Final[Counter[tuple[str, str]]] = Counter()
"""By aggregate and outcome; read when somebody asks, because an instrument costs more than all the rest of counting."""


def _commands(_: CallbackOptions) -> Iterator[Observation]:
    for (aggregate, outcome), count in tuple(_counts.items()):
        yield Observation(count, {"aggregate": aggregate, "outcome": outcome})


_meter.create_observable_counter(
    "ledger_commands", [_commands], description="Commands, by aggregate and what came of them"
)


@asynccontextmanager
async def counted(aggregate: str) -> AsyncIterator[None]:
    """Count the command that the block carries out; what it raises goes on."""
    outcome = "failed"
    try:
        yield
        outcome = "done"
    except LedgerError as reason:
        outcome = next(name for kind, name in OUTCOMES if isinstance(reason, kind))
        raise
    finally:
        _counts[aggregate, outcome] += 1


def measure(ledger: Ledger) -> None:
    """Set the gauges of what waits and of the pool of this process."""
    appender, pool = ledger.appender, ledger.pool
    size, idle = pool.get_size(), pool.get_idle_size()
    _queued.set(appender.queued())
    _limit.set(appender.max_queue)
    _connections.set(size - idle, {"use": "busy"})
    _connections.set(idle, {"use": "idle"})
    _most.set(pool.get_max_size())
