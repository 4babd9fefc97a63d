"""Decisions that wait for a moment, in a real log, and what timers have made of them."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from msgspec.structs import replace

from ledger.domain.decision.decide import DECISION
from ledger.domain.decision.events import DecisionEvent
from ledger.domain.ids import DecisionId, StreamName
from ledger.domain.terms import DefaultOutcome, Policy, Risk
from ledger.projections.views.timers import TIMERS
from ledger.reactions.timers import Timekeeper
from ledger.store.ledger import Ledger
from ledger.store.streams import Recorded, append, draft, read_log, read_stream, recorded
from tests.builders import policy, submitted
from tests.projections.given import bring_level
from tests.support.events import by_somebody
from tests.support.recorded import happened


class Wall:
    """A clock on the wall: real time, and as wrong as a test makes it."""

    def __init__(self) -> None:
        self.wrong_by = timedelta(0)

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.wrong_by


class Ticks:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def ago(seconds: float) -> datetime:
    return datetime.now(UTC) - timedelta(seconds=seconds)


def terms(
    *,
    target: int | None = None,
    deadline: int | None = None,
    ladder: tuple[str, ...] = (),
    climbs: bool = False,
    default: DefaultOutcome = DefaultOutcome.DENY,
    pause: int = 3_600,
) -> Policy:
    """``climbs``: at half time and at the breach."""
    return replace(
        policy(),
        target_seconds=target,
        deadline_seconds=deadline,
        ladder=ladder,
        escalates_at_half=climbs,
        escalates_at_breach=climbs,
        default_outcome=default,
        risk=Risk.LOW,
        information_seconds=pause,
    )


async def waits(
    ledger: Ledger, name: str, rules: Policy, *more: DecisionEvent, since: datetime
) -> StreamName:
    """A decision that was asked for at ``since``, and what happened to it meanwhile."""
    stream = ledger.decision_stream(DecisionId(name))
    await happened(ledger, stream, submitted(decision_id=DecisionId(name), policy=rules, at=since), *more)
    return stream


async def many_wait(ledger: Ledger, count: int, rules: Policy, *, since: datetime) -> list[StreamName]:
    """So many decisions, each asked for a millisecond after the one before."""
    ids = [DecisionId(f"many-{number}") for number in range(count)]
    streams = [ledger.decision_stream(one) for one in ids]
    read = [await read_stream(ledger, stream) for stream in streams]
    events = [
        submitted(decision_id=one, policy=rules, at=since + timedelta(milliseconds=number))
        for number, one in enumerate(ids)
    ]
    drafts = [draft(stream, [event], by_somebody()) for stream, event in zip(read, events, strict=True)]
    await asyncio.gather(*(append(ledger, drafted) for drafted in drafts))
    return streams


async def told(ledger: Ledger, stream: StreamName) -> list[Recorded[DecisionEvent]]:
    """What the log holds of one decision."""
    stored = (await read_stream(ledger, stream)).events
    return [recorded(one, DECISION.event_types) for one in stored]


async def last_of(ledger: Ledger, stream: StreamName) -> DecisionEvent:
    return (await told(ledger, stream))[-1].event


async def types_since(ledger: Ledger, position: int) -> list[tuple[str, StreamName]]:
    """What was appended after a position, in order."""
    async with ledger.pool.acquire() as conn:
        log = await read_log(conn, ledger.ledger_id, after=position, wanted=(), limit=10_000)
    return [(stored.type, stored.stream) for stored in log]


async def level_and_round(ledger: Ledger, *keepers: Timekeeper) -> None:
    """Bring the view level and let each go round once, all at the same time."""
    await bring_level(ledger, TIMERS)
    await asyncio.gather(*(keeper.round() for keeper in keepers))


async def rounds(ledger: Ledger, keeper: Timekeeper, count: int) -> None:
    """Go round so often, with a level view every time."""
    for _ in range(count):
        await level_and_round(ledger, keeper)


def streams_of(told: Sequence[tuple[str, StreamName]], name: str) -> list[StreamName]:
    return [stream for type_name, stream in told if type_name == name]
