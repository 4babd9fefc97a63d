"""Whether an append costs more when much is stored already."""

from contextlib import AsyncExitStack
from statistics import median
from typing import Final

from benchmarks.filling import fill
from benchmarks.peers.ours import Account, GroupCommit
from benchmarks.progress import Progress
from benchmarks.result import Bar, Part, Table, per_second, ratio
from benchmarks.scale import Scale
from benchmarks.server import Server
from benchmarks.workload import Sample, Texts, closed_loop, new_append

IN_FLIGHT: Final = 64
BAR: Final = 0.8


async def measure(server: Server, scale: Scale, progress: Progress) -> Part:
    """Fill a log for each size first, then append to each in turn."""
    texts = Texts(scale.payloads[0])
    rates: dict[tuple[int, bool], list[float]] = {}
    async with AsyncExitStack() as stack:
        logs: dict[int, GroupCommit] = {}
        for size in scale.stored:
            progress.say(f"growth: filling a log with {size:,} events")
            logs[size] = await stack.enter_async_context(GroupCommit(server))
            await fill(logs[size].database, size)
            await _append(logs[size], texts, min(0.3, scale.seconds), is_keyed=False)
        for _ in range(scale.rounds):
            for size, log in logs.items():
                for is_keyed in (False, True):
                    progress.say(f"growth: appending to {size:,} events")
                    await server.checkpoint()
                    sample = await _append(log, texts, scale.seconds, is_keyed=is_keyed)
                    rates.setdefault((size, is_keyed), []).append(sample.rate())
    return _part(rates, scale)


async def _append(log: GroupCommit, texts: Texts, seconds: float, *, is_keyed: bool) -> Sample:
    account = Account(await log.ledger.head())

    async def once(client: int) -> None:
        asked = new_append(texts, client, is_keyed=is_keyed)
        account.note(client, asked, await log.append(asked))

    sample = await closed_loop(IN_FLIGHT, seconds, once)
    await account.compare(log.ledger)
    return sample


def _part(rates: dict[tuple[int, bool], list[float]], scale: Scale) -> Part:
    empty, *_, largest = scale.stored
    rows = tuple(
        (
            f"{size:,}",
            *(
                f"{per_second(median(rates[size, is_keyed]))} "
                f"({ratio(rates[size, is_keyed], rates[empty, is_keyed]):.2f}×)"
                for is_keyed in (False, True)
            ),
        )
        for size in scale.stored
    )
    kinds = {False: "keyless", True: "keyed"}
    return Part(
        name="growth",
        tables=(
            Table(
                title=f"Appends a second, {IN_FLIGHT} in flight (in brackets: against the empty log)",
                columns=("events stored", "time-ordered ids", "ids from callers' keys"),
                rows=rows,
            ),
        ),
        figures={
            f"growth.{size}.{kinds[is_keyed]}": median(found) for (size, is_keyed), found in rates.items()
        },
        bars=(
            Bar(
                what=f"append at {largest:,} stored events, against an empty log",
                reached=ratio(rates[largest, False], rates[empty, False]),
                direction="at least",
                bar=BAR,
            ),
        ),
    )
