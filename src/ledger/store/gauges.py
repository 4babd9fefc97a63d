"""The measures of writing: commands by what came of them, what is appended, who waits, and the pool."""

from types import TracebackType
from typing import Final, Self

from opentelemetry import metrics

from ledger.domain.errors import (
    Corrupt,
    LedgerError,
    OutcomeUnknown,
    Overloaded,
    Unavailable,
    VersionConflict,
)
from ledger.domain.ids import StreamName
from ledger.measures import Counter
from ledger.store.ledger import Ledger
from ledger.tracing import Part, here

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


DECISION: Final = "decision"
GAVE_WAY: Final = "gave-way"

_commands = Counter(
    "ledger_commands", "Commands, by aggregate and what came of them", ["aggregate", "outcome"]
)


class Command(Part):
    """A command while it is carried out: counted, and a span of its own; what it raises goes on."""

    __slots__ = ("_aggregate", "_has_given_way", "_target")

    def __init__(self, aggregate: str, target: StreamName) -> None:
        """Prepare to carry out a command of ``aggregate`` on ``target``."""
        super().__init__(f"command {aggregate}", {"ledger.stream": target})
        self._aggregate, self._target, self._has_given_way = aggregate, target, False

    def give_way(self) -> None:
        """Leave the command to another attempt, which is the one that counts."""
        self._has_given_way = True

    async def __aenter__(self) -> Self:
        """Begin, and let the log know which decision this is about."""
        trail = here()
        if trail is not None and self._aggregate == DECISION:
            trail.concerns(self._target)
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Count what came of it."""
        outcome = GAVE_WAY if self._has_given_way else _outcome_of(error)
        if outcome != GAVE_WAY:
            _commands.add((self._aggregate, outcome))
        self.note("ledger.outcome", outcome)
        self.__exit__(kind, error, trace)


def _outcome_of(error: BaseException | None) -> str:
    if error is None:
        return "done"
    return next((name for kind, name in OUTCOMES if isinstance(error, kind)), "failed")


def measure(ledger: Ledger) -> None:
    """Set the gauges of what waits and of the pool of this process."""
    appender, pool = ledger.appender, ledger.pool
    size, idle = pool.get_size(), pool.get_idle_size()
    _queued.set(appender.queued())
    _limit.set(appender.max_queue)
    _connections.set(size - idle, {"use": "busy"})
    _connections.set(idle, {"use": "idle"})
    _most.set(pool.get_max_size())
