"""What HTTP costs: the service beside a program that answers nothing, and beside the same API written plainly."""

import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from importlib.metadata import version
from statistics import median
from typing import Final, TypeAlias

import asyncpg
import msgspec

from benchmarks.lines import Answer, Lines, opened, request
from benchmarks.peers import nothing
from benchmarks.peers.programs import running
from benchmarks.progress import Progress
from benchmarks.result import Bar, Part, Table, milliseconds, per_second, percentile, ratio
from benchmarks.scale import Scale
from benchmarks.scenarios.http import submission
from benchmarks.server import Database, Server
from benchmarks.service import serving
from benchmarks.subject import LostOrDoubled, NotAvailable
from benchmarks.workload import Sample, closed_loop, costing, open_loop

CONNECTIONS: Final = 64
POOL: Final = 8
SUBMIT: Final = "/api/decisions/submit"
WARM_UP: Final = 0.5
STALE: Final = b"\r\nledger-view-stale:"
NOTHING: Final = "nothing"
POST: Final = "POST"
POST_APART: Final = "POST, workers apart"
GET: Final = "GET"
PLAIN_POST: Final = "POST, plainly written"
PLAIN_GET: Final = "GET, plainly written"
BODY: Final = msgspec.json.encode(submission("NAME")).split(b"NAME")
SUBMITTED: Final = "select count(*) from ledger.events where type = 'decision-submitted'"
NO_REQUEST: Final = request("GET", nothing.PATH)
ROWS: Final = "select count(*) from decisions"

Once: TypeAlias = Callable[[Lines], Awaitable[None]]


class Asked(msgspec.Struct, kw_only=True):
    """One call of one process, and what it gave round by round."""

    once: Once
    url: str
    pid: int
    rates: list[float] = []
    micros: list[float] = []
    waits: list[float] = []


class Visit(msgspec.Struct, kw_only=True):
    """Calls of one caller to one service; each answer is checked.

    ``late`` counts answers that came before every view showed what was written.
    """

    url: str
    pid: int
    token: str
    submitted: list[str] = []
    late: int = 0

    def asked(self, once: Once) -> Asked:
        return Asked(once=once, url=self.url, pid=self.pid)

    async def submit(self, lines: Lines) -> None:
        name = f"BENCH-{secrets.token_hex(8)}"
        body = name.encode().join(BODY)
        answer = await lines.ask(request("POST", SUBMIT, token=self.token, body=body))
        _must(answer, b'"analysis_id":"%b"' % name.encode() in answer.body)
        self.late += STALE in answer.head
        self.submitted.append(name)

    async def read(self, lines: Lines) -> None:
        name = secrets.choice(self.submitted)
        answer = await lines.ask(request("GET", f"/api/decisions/{name}", token=self.token))
        _must(answer, b'"analysis_id":"%b"' % name.encode() in answer.body)


async def measure(server: Server, scale: Scale, progress: Progress) -> Part:
    """Ask each in turn, round by round, with every connection; then each at half of its peak."""
    notes: list[str] = []
    async with AsyncExitStack() as stack:
        calls = await _calls(server, stack, notes)
        for asked in calls.values():
            await _closed(asked, min(WARM_UP, scale.seconds))
        for _ in range(scale.decisive_rounds):
            for name, asked in calls.items():
                progress.say(f"speed: {name}")
                await server.checkpoint()
                await _round(asked, scale.http_load_seconds / 2)
        for name, asked in calls.items():
            progress.say(f"speed: {name}, at half of its peak")
            await _half(asked, scale.http_load_seconds / 2)
    return _part(calls, notes)


async def _round(asked: Asked, seconds: float) -> None:
    sample, micros = await costing(asked.pid, _closed(asked, seconds))
    asked.rates.append(sample.rate())
    asked.micros.append(micros)


async def _closed(asked: Asked, seconds: float) -> Sample:
    async with opened(asked.url, CONNECTIONS) as lines:
        return await closed_loop(CONNECTIONS, seconds, lambda _: asked.once(lines))


async def _half(asked: Asked, seconds: float) -> None:
    async with opened(asked.url, CONNECTIONS) as lines:
        asked.waits += await open_loop(median(asked.rates) / 2, seconds, lambda _: asked.once(lines))


async def _calls(server: Server, stack: AsyncExitStack, notes: list[str]) -> dict[str, Asked]:
    program = await stack.enter_async_context(running(nothing.__name__))
    calls = {NOTHING: Asked(once=_ask_nothing, url=program.url, pid=program.pid)}
    visit = await stack.enter_async_context(_visiting(server, notes))
    calls |= {POST: visit.asked(visit.submit), GET: visit.asked(visit.read)}
    visit = await stack.enter_async_context(_visiting(server, notes, apart=True))
    calls[POST_APART] = visit.asked(visit.submit)
    try:
        visit = await stack.enter_async_context(_visiting_rows(server, notes))
    except NotAvailable as missing:
        notes.append(f"plainly written: not measured: {missing}")
        return calls
    return calls | {PLAIN_POST: visit.asked(visit.submit), PLAIN_GET: visit.asked(visit.read)}


async def _ask_nothing(lines: Lines) -> None:
    answer = await lines.ask(NO_REQUEST)
    _must(answer, answer.body == nothing.BODY)


@asynccontextmanager
async def _visiting(server: Server, notes: list[str], *, apart: bool = False) -> AsyncIterator[Visit]:
    """Serve a ledger, and hold it against what was acknowledged when the block has ended."""
    async with server.ledger() as database:
        folder = server.folder / f"speed-{database.name}"
        folder.mkdir()
        async with serving(database, folder, apart=apart) as service:
            visit = Visit(url=service.url, pid=service.pid, token=await service.login())
            yield visit
            await _count(database, SUBMITTED, visit)
    where = "with the workers apart" if apart else "in one process"
    notes.append(
        f"{where}, {visit.late} of {len(visit.submitted)} answers came before every view showed them."
    )


@asynccontextmanager
async def _visiting_rows(server: Server, notes: list[str]) -> AsyncIterator[Visit]:
    async with server.scratch() as database:
        environment = {"BENCH_URL": database.owner_url, "BENCH_POOL": str(POOL)}
        async with running("benchmarks.peers.rows", environment) as program:
            notes.append(
                f"plainly written: FastAPI {version('fastapi')}, SQLAlchemy {version('sqlalchemy')} with asyncpg, "
                f"a pool of {POOL} connections; one process on uvloop and httptools, no log, one row a decision."
            )
            visit = Visit(url=program.url, pid=program.pid, token=program.token)
            yield visit
            await _count(database, ROWS, visit)


async def _count(database: Database, statement: str, visit: Visit) -> None:
    conn = await asyncpg.connect(database.owner_url)
    try:
        stored = await conn.fetchval(statement)
    finally:
        await conn.close()
    if stored != len(visit.submitted):
        raise LostOrDoubled(f"{stored} stored, {len(visit.submitted)} acknowledged")


def _must(answer: Answer, holds: bool) -> None:  # noqa: FBT001 - reads as an assertion
    if answer.status != b"200" or not holds:
        raise LostOrDoubled(f"{answer.status.decode()}: {answer.body[:200].decode()}")


def _part(calls: Mapping[str, Asked], notes: list[str]) -> Part:
    none = calls[NOTHING].rates
    rows = tuple(
        (
            name,
            per_second(median(asked.rates)),
            f"{ratio(asked.rates, none):.2f}×",
            f"{median(asked.micros):,.0f}",
            milliseconds(percentile(asked.waits, 0.5)),
            milliseconds(percentile(asked.waits, 0.99)),
        )
        for name, asked in calls.items()
    )
    columns = (
        "what",
        "a second",
        "against nothing",
        "µs of its process",
        "p50 at half, ms",
        "p99 at half, ms",
    )
    figures: dict[str, float] = {}
    for name, asked in calls.items():
        key = f"speed.{name.replace(', ', '_').replace(' ', '_').lower()}"
        figures[f"{key}.per_second"] = median(asked.rates)
        figures[f"{key}.cpu_us"] = median(asked.micros)
        figures[f"{key}.p99_ms"] = percentile(asked.waits, 0.99) * 1000
    return Part(
        name="speed",
        tables=(
            Table(
                title=f"Answers at {CONNECTIONS} connections, every one checked", columns=columns, rows=rows
            ),
        ),
        figures=figures,
        bars=tuple(_bars(calls)),
        notes=(
            "nothing: a program of the same server and framework that answers a constant.",
            "a POST: the caller is known by their token, the event flushed, every view of it level.",
            *notes,
        ),
    )


def _bars(calls: Mapping[str, Asked]) -> list[Bar]:
    none = calls[NOTHING].rates
    wanted: list[tuple[str, str, list[float], float, float | None]] = [
        (POST, NOTHING, none, 0.15, 0.3),
        (POST_APART, NOTHING, none, 0.3, None),
        (GET, NOTHING, none, 0.5, None),
    ]
    if PLAIN_POST in calls:
        wanted.append((POST, "the same plainly written", calls[PLAIN_POST].rates, 1.5, None))
    return [
        Bar(
            what=f"{name} at {CONNECTIONS} connections, against {other}",
            reached=ratio(calls[name].rates, theirs),
            direction="at least",
            bar=bar,
            aim=aim,
        )
        for name, other, theirs, bar, aim in wanted
    ]
