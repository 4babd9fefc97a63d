"""How many appends a second, beside the peers, in rounds that take turns."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from statistics import median
from typing import Final, TypeAlias

import msgspec

from benchmarks.peers.eventsourcing_library import EventsourcingLibrary
from benchmarks.peers.message_db import MessageDb
from benchmarks.peers.ours import GroupCommit, OneCall
from benchmarks.peers.pgbench import PgbenchBare, PgbenchEvent
from benchmarks.progress import Progress
from benchmarks.result import Bar, Part, Table, per_second, ratio
from benchmarks.scale import KB, Scale
from benchmarks.server import Server
from benchmarks.subject import NotAvailable, Subject
from benchmarks.workload import Texts

Rates: TypeAlias = dict[str, list[float]]

OURS: Final = GroupCommit.name
ONE_CALL: Final = OneCall.name
PGBENCH: Final = PgbenchEvent.name
LIBRARY: Final = EventsourcingLibrary.name
MESSAGES: Final = MessageDb.name
DECISIVE: Final = 64
WARM_UP: Final = 0.3  # seconds, at most
POOLED: Final[Mapping[str, Callable[[Server, int], Subject]]] = {
    LIBRARY: EventsourcingLibrary,
    MESSAGES: MessageDb,
}
# peer, bar, aim; at 64 in flight, or at 1 where it says so
AT_SIXTY_FOUR: Final = (
    (ONE_CALL, 3.5, 6.0),
    (PGBENCH, 0.9, 1.5),
    (LIBRARY, 15.0, None),
    (MESSAGES, 6.0, None),
)
ALONE: Final = ((ONE_CALL, 0.9, 1.3),)


class Load(msgspec.Struct, frozen=True, kw_only=True):
    """One setting, and how long it is measured."""

    in_flight: int
    texts: Texts
    seconds: float
    rounds: int


async def measure(server: Server, scale: Scale, progress: Progress) -> Part:
    """Measure every setting; the smallest payload at every number in flight, the larger ones at 64."""
    notes: list[str] = []
    rates: dict[tuple[int, int], Rates] = {}
    async with AsyncExitStack() as stack:
        prepared: list[Subject] = [GroupCommit(server), OneCall(server)]
        prepared += await _peers(server, scale, progress, notes)
        subjects = [await stack.enter_async_context(subject) for subject in prepared]
        for in_flight, size in settings(scale):
            progress.say(f"append: {in_flight} in flight, {size / KB:g} kB")
            is_decisive = size == scale.payloads[0] and in_flight in {1, DECISIVE}
            rounds = scale.decisive_rounds if is_decisive else scale.rounds
            load = Load(in_flight=in_flight, texts=Texts(size), seconds=scale.seconds, rounds=rounds)
            rates[in_flight, size] = await take_turns(server, subjects, load)
        notes += [f"{subject.name}: {subject.configuration}." for subject in subjects]
    return Part(
        name="throughput",
        tables=(_table(rates),),
        figures=_figures(rates),
        bars=tuple(_bars(rates, scale)),
        notes=tuple(notes),
    )


def settings(scale: Scale) -> list[tuple[int, int]]:
    smallest, *larger = scale.payloads
    decisive = DECISIVE if DECISIVE in scale.in_flight else scale.in_flight[-1]
    return [(n, smallest) for n in scale.in_flight] + [(decisive, size) for size in larger]


async def take_turns(server: Server, subjects: Sequence[Subject], load: Load) -> Rates:
    """Measure one after the other, round after round, each round beginning with another one."""
    rates: Rates = {subject.name: [] for subject in subjects}
    for subject in subjects:
        await subject.run(load.in_flight, load.texts, min(WARM_UP, load.seconds))
    for number in range(load.rounds):
        start = number % len(subjects)
        for subject in (*subjects[start:], *subjects[:start]):
            await server.checkpoint()
            rates[subject.name].append((await subject.run(load.in_flight, load.texts, load.seconds)).rate())
    return rates


async def _peers(server: Server, scale: Scale, progress: Progress, notes: list[str]) -> list[Subject]:
    """Prepare those that can be measured here, each with the pool it is best with."""
    peers: list[Subject] = []
    candidates: list[tuple[str, Callable[[int], Subject], tuple[int, ...]]] = [
        (PGBENCH, lambda _: PgbenchEvent(server), scale.pool_sizes[:1]),
        (PgbenchBare.name, lambda _: PgbenchBare(server), scale.pool_sizes[:1]),
        *(
            (name, lambda size, make=make: make(server, size), scale.pool_sizes)
            for name, make in POOLED.items()
        ),
    ]
    for name, make, sizes in candidates:
        progress.say(f"{name}: preparing")
        tried: dict[int, float] = {}
        try:
            for size in sizes:
                async with make(size) as peer:
                    tried[size] = await _tried(peer, scale) if len(sizes) > 1 else 0.0
        except NotAvailable as missing:
            notes.append(f"{name}: not measured, {missing}.")
            continue
        if len(sizes) > 1:
            found = ", ".join(f"{size}: {per_second(rate)}/s" for size, rate in tried.items())
            notes.append(f"{name}: pool sizes tried: {found}.")
        peers.append(make(max(tried, key=lambda size: tried[size])))
    return peers


async def _tried(peer: Subject, scale: Scale) -> float:
    return (await peer.run(DECISIVE, Texts(scale.payloads[0]), scale.seconds / 2)).rate()


def _table(rates: Mapping[tuple[int, int], Rates]) -> Table:
    names = list(next(iter(rates.values())))
    rows = [
        (name, *(_cell(found[name], found[OURS], is_ours=name == OURS) for found in rates.values()))
        for name in names
    ]
    return Table(
        title="Appends a second by in flight × payload (in brackets: ours as a multiple of theirs)",
        columns=("", *(f"{in_flight} × {size / KB:g} kB" for in_flight, size in rates)),
        rows=tuple(rows),
    )


def _cell(theirs: Sequence[float], ours: Sequence[float], *, is_ours: bool) -> str:
    rate = per_second(median(theirs))
    return rate if is_ours else f"{rate} ({ratio(ours, theirs):.1f}×)"


def _figures(rates: Mapping[tuple[int, int], Rates]) -> dict[str, float]:
    return {
        f"append.{name}.{in_flight}.{size}": median(found[name])
        for (in_flight, size), found in rates.items()
        for name in found
    }


def _bars(rates: Mapping[tuple[int, int], Rates], scale: Scale) -> list[Bar]:
    bars: list[Bar] = []
    for in_flight, peers in ((DECISIVE, AT_SIXTY_FOUR), (1, ALONE)):
        found = rates.get((in_flight, scale.payloads[0]), {})
        bars += [
            Bar(
                what=f"{in_flight} in flight, against {peer}",
                reached=ratio(found[OURS], found[peer]),
                direction="at least",
                bar=bar,
                aim=aim,
            )
            for peer, bar, aim in peers
            if peer in found
        ]
    return bars
