"""What time does to decisions: finds what is due and issues the commands, in any number of processes (ADR 0022).

A timer's events have ids made of its kind, its decision and the moment it was due, so that they are written once
whoever comes first; a command that comes too early, too late or again changes nothing. Nothing is kept between two
rounds but when to try again what did not work: a process that dies loses nothing.
"""

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final, assert_never
from uuid import UUID

import asyncpg
import msgspec
import structlog
from opentelemetry import metrics

from ledger.command_handling.answering import Handled
from ledger.command_handling.context import CommandContext
from ledger.command_handling.facts import Facts
from ledger.command_handling.handler import handle
from ledger.domain.decision.commands import DecisionCommand, Expire, LapseOverride, PassMilestone
from ledger.domain.decision.decide import DECISION
from ledger.domain.decision.events import DecisionEvent, Milestone
from ledger.domain.decision.timing import Timer
from ledger.domain.errors import LedgerError, Overloaded, Unavailable, VersionConflict
from ledger.domain.ids import StreamName
from ledger.identity.identity import SYSTEM
from ledger.projections.views.timers import After, Timers, due, next_after
from ledger.reactions.steady_clock import SteadyClock, ticks
from ledger.store.clocks import CLOCK
from ledger.store.envelope import Provenance
from ledger.store.ledger import Ledger
from ledger.store.pool import reading
from ledger.store.streams import keyed_command_id

log = structlog.get_logger()

_fired = metrics.get_meter("ledger.timers").create_counter(
    "ledger_timers_fired", description="Timers that this process wrote down, by what was due"
)

POLL_SECONDS: Final = 1.0
SETTLE_SECONDS: Final = 0.1
"""After an append the view needs a moment; and rounds come no faster than this, however much is appended."""
PAGE: Final = 200
AT_ONCE: Final = 20
"""How many decisions are seen to at the same time; their appends travel as one batch."""
AGAIN_SECONDS: Final = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0)
"""What did not work is tried again after so long, the last of them every time from then on."""
SEEN_TO_SECONDS: Final = 60.0
"""What was written down is not looked at again for so long: by then the view no longer shows it."""
START: Final = After(datetime(1970, 1, 1, tzinfo=UTC), StreamName(""))


class _Due(msgspec.Struct, frozen=True):
    """One timer that is due: its place in the memory of what was tried."""

    stream: StreamName
    timer: Timer
    at: datetime


class _Tried(msgspec.Struct, frozen=True):
    """What came of a timer, and when to look again; ``failures`` in a row, none when it was written."""

    again_at: float
    failures: int = 0


class Timekeeper:
    """Sees to what is due, in one process; others may do the same at the same time.

    What is due is due by two clocks, the database's and this machine's: a clock that runs ahead waits for the other.
    """

    def __init__(
        self, ledger: Ledger, clock: Callable[[], datetime], ticks: Callable[[], float] = ticks
    ) -> None:
        """Prepare to fire the timers of ``ledger`` by ``clock``; ``ticks`` are seconds that never leap."""
        self._ledger, self._ticks = ledger, ticks
        self._clock = SteadyClock(clock, ticks)
        self._tried: dict[_Due, _Tried] = {}
        self._database, self._asked_at = START.due_at, 0.0

    async def run_forever(self) -> None:
        """Fire what is due when it is, until cancelled; a round that fails is logged, and the next one tries again."""
        while True:
            rings = self._ledger.appended.rings()
            try:
                wait = await self.round()
            except (LedgerError, asyncpg.PostgresError) as failed:
                log.warning("timers.round.failed", error=type(failed).__name__)
                wait, rings = POLL_SECONDS, self._ledger.appended.rings()
            await self._rest(rings, wait)

    async def round(self) -> float:
        """Fire everything that is due now, the oldest first; return for how many seconds nothing is.

        Raises:
            Unavailable, Overloaded: the ledger cannot take it now.
        """
        moment = await self._look()
        broken: list[BaseException] = []
        seen: set[_Due] = set()
        upcoming: list[datetime] = []
        after: After | None = START
        while after is not None:
            async with reading(self._ledger.pool) as conn:
                page, after = await due(conn, self._ledger.ledger_id, moment, after=after, limit=PAGE)
            upcoming += (at for row in page for at in row.due().values() if at > moment)
            for first in range(0, len(page), AT_ONCE):
                broken += await self._fire_all(page[first : first + AT_ONCE], moment, seen)
        self._tried = {one: tried for one, tried in self._tried.items() if one in seen}
        if broken:
            raise broken[0]
        return await self._until_next(moment, upcoming)

    async def _look(self) -> datetime:
        """Ask the database's clock, and say what has been reached by both."""
        async with reading(self._ledger.pool) as conn:
            self._database, self._asked_at = await conn.fetchval(CLOCK), self._ticks()
        return self._now()

    def _now(self) -> datetime:
        """Say what time it is by the slower of the two clocks."""
        return min(self._clock(), self._database + timedelta(seconds=self._ticks() - self._asked_at))

    async def _until_next(self, moment: datetime, upcoming: list[datetime]) -> float:
        async with reading(self._ledger.pool) as conn:
            found = await next_after(conn, self._ledger.ledger_id, moment)
        earliest = min([*upcoming, *([] if found is None else [found])], default=None)
        if earliest is None:
            return POLL_SECONDS
        return min(POLL_SECONDS, max(0.0, (earliest - self._now()).total_seconds()))

    async def _rest(self, rings: int, seconds: float) -> None:
        """Wait so long, or until shortly after something was appended: it may fall due sooner.

        Not sooner while something does not work: there may be thousands, and each round goes through them all.
        """
        if any(tried.failures for tried in self._tried.values()):
            await asyncio.sleep(seconds)
        elif await self._ledger.appended.wait_past(rings, seconds):
            await asyncio.sleep(min(seconds, SETTLE_SECONDS))

    async def _fire_all(
        self, rows: Sequence[Timers], moment: datetime, seen: set[_Due]
    ) -> list[BaseException]:
        """See to some decisions at once; what nobody has foreseen is returned and keeps no other one waiting."""
        outcomes = await asyncio.gather(
            *(self._fire(row, moment, seen) for row in rows), return_exceptions=True
        )
        failures = [outcome for outcome in outcomes if outcome is not None]
        for failure in failures:
            if isinstance(failure, Unavailable | Overloaded):
                raise failure
        return failures

    async def _fire(self, row: Timers, moment: datetime, seen: set[_Due]) -> None:
        """See to what is due of one decision, in order, as far as it goes."""
        for one in _in_order(row, moment):
            seen.add(one)
            tried = self._tried.get(one)
            if tried is not None and self._ticks() < tried.again_at:
                if tried.failures:
                    return
                continue
            if not await self._try(one, 0 if tried is None else tried.failures):
                return

    async def _try(self, one: _Due, failures: int) -> bool:
        """Issue one command and remember what came of it; say whether it is written down."""
        try:
            handled = await self._issue(one)
        except (Unavailable, Overloaded):
            raise
        except VersionConflict:  # somebody keeps writing there: the next round comes soon
            handled = None
        except LedgerError as failed:
            log.warning("timer.failed", code=failed.code, **_facts(one, failures))
            handled = None
        if handled is not None and handled.events:
            self._tried[one] = _Tried(self._ticks() + SEEN_TO_SECONDS)
            return True
        wait = AGAIN_SECONDS[min(failures, len(AGAIN_SECONDS) - 1)]
        self._tried[one] = _Tried(self._ticks() + wait, failures + 1)
        return False

    async def _issue(self, one: _Due) -> Handled[DecisionEvent]:
        issued: list[datetime] = []

        def build(facts: Facts) -> DecisionCommand:
            issued.append(facts.now)
            return _command(one.timer, facts.now)

        handled = await handle(
            self._ledger,
            CommandContext(
                decider=DECISION,
                target=one.stream,
                clock=lambda: max(one.at, self._now()),
                provenance=_provenance(one),
            ),
            build,
        )
        if handled.events and handled.events[0].event.at in issued:  # else another process was first
            _fired.add(1, {"timer": one.timer.value})
            log.info("timer.fired", position=handled.position, **_facts(one, 0))
        return handled


async def run_forever(ledger: Ledger, clock: Callable[[], datetime]) -> None:
    """Fire timers by ``clock`` until cancelled."""
    await Timekeeper(ledger, clock).run_forever()


def _in_order(row: Timers, moment: datetime) -> list[_Due]:
    """List what is due of a decision, the earliest first; past its deadline nothing else counts."""
    found = [_Due(row.stream, timer, at) for timer, at in row.due().items() if at <= moment]
    if found and found[-1].timer is Timer.DEADLINE:
        return found[-1:]
    return sorted(found, key=lambda one: one.at)


def _command(timer: Timer, now: datetime) -> DecisionCommand:
    match timer:
        case Timer.HALF_TIME:
            return PassMilestone(now=now, milestone=Milestone.HALF_TIME)
        case Timer.BREACH:
            return PassMilestone(now=now, milestone=Milestone.BREACH)
        case Timer.DEADLINE:
            return Expire(now=now)
        case Timer.COUNTERSIGN:
            return LapseOverride(now=now)
        case _:
            assert_never(timer)


def _provenance(one: _Due) -> Provenance:
    """Say that nobody asked; the ids are those of this timer at this moment, whoever issues it."""
    decision = UUID(one.stream.partition("-")[2])
    command_id = keyed_command_id(decision, f"{one.timer.value} {one.at.astimezone(UTC).isoformat()}")
    return Provenance(actor=SYSTEM, command_id=command_id, is_keyed=True)


def _facts(one: _Due, failures: int) -> dict[str, object]:
    return {
        "timer": one.timer.value,
        "stream": one.stream,
        "due_at": one.at.isoformat(),
        "failures": failures,
    }
