"""Clients that submit and read all the time, repeat what got 503 with the same key, and remember every answer."""

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Iterator
from contextlib import contextmanager
from typing import Final

import asyncpg
import httpx2
import msgspec

from tests.support.items import item
from tests.support.reliability import Row
from tests.support.service import HANG_GUARD, Service

SUBMITTERS: Final = 4
READS: Final = ("/api/decisions/pending?limit=5", "/api/decisions/FIRST", "/api/decisions/stats/summary")
PAUSE: Final = 0.03
"""Seconds between two calls of one client: many enough to be hit by any fault, few enough for two cores."""
AGAIN: Final = 0.2
"""Seconds until a refused submission is repeated; sooner than Retry-After says, or the fault would hardly be seen."""
QUIET: Final = 1.0
NO_ANSWER: Final = 0
ENDED: Final = 200
LOG_IN: Final = 401
"""Clients log in again, as they do when a token has expired."""
UNLIMITED: Final = {"LEDGER_REQUESTS_PER_MINUTE": "1000000"}
"""A setting that the service needs for one client that asks for many."""


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What one call got, and when; ``code`` of a refusal is empty where it brought no Retry-After."""

    call: str
    began: float
    ended: float
    status: int
    code: str = ""

    @property
    def is_right(self) -> bool:
        return self.status == ENDED


class Trouble:
    """One fault, from before it began until all was as before."""

    def __init__(self, load: "Traffic") -> None:
        self.began = time.monotonic()
        self._load = load
        self._over = self._normal = self.began

    def over(self) -> None:
        """Say that the fault is gone."""
        self._over = time.monotonic()

    def wait(self) -> None:
        self._normal = self._load.normal_since(self._over)
        self._load.rest()

    def answers(self) -> list[Answer]:
        return [answer for answer in tuple(self._load.answers) if answer.ended > self.began]

    def check(self, *, within: float, refusals: Collection[int] = (503,)) -> None:
        """Every answer was right or an honest refusal, none came after ``within`` seconds, none that was right lied."""
        self.check_answers(within=within, refusals=refusals)
        found_once(self._load)

    def check_answers(self, *, within: float, refusals: Collection[int] = (503,)) -> None:
        """As ``check``, for a fault after which something acknowledged is lost."""
        odd = Counter(
            (answer.call, answer.status, answer.code)
            for answer in self.answers()
            if not answer.is_right and (answer.status not in refusals or not answer.code)
        )
        assert not odd, f"neither right nor an honest refusal: {odd}"
        slow = max(self.answers(), key=lambda answer: answer.ended - answer.began)
        assert slow.ended - slow.began <= within, f"too slow: {slow}"

    def codes(self) -> set[str]:
        return {answer.code for answer in self.answers() if not answer.is_right}

    def seen(self) -> str:
        """Say which answers there were."""
        return _seen(self.answers())

    def row(self, fault: str, *, lost: str = "nothing", sees: str | None = None) -> Row:
        answers = self.answers()
        hurt = any(not answer.is_right for answer in answers)
        return Row(
            fault=fault,
            clients_see=sees or self.seen(),
            slowest=max(answer.ended - answer.began for answer in answers),
            lost=lost,
            normal_after=max(0.0, self._normal - self._over) if hurt else None,
        )


class Traffic:
    """Under way in a thread of its own from ``start`` to ``stop``."""

    def __init__(self, running: Service, owner_url: str) -> None:
        self.answers: list[Answer] = []
        self.acknowledged: list[str] = []
        self.owner_url = owner_url
        self._running, self._token = running, running.login()
        self._stopping, self._going = threading.Event(), threading.Event()
        self._resting: set[str] = set()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._all()), name="traffic", daemon=True)
        self._numbers = iter(range(1, 10**9))

    def start(self) -> None:
        with self._running.client(self._token) as client:
            assert client.post("/api/decisions/submit", json=item("FIRST")).status_code == 200
        self.acknowledged.append("FIRST")
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join(HANG_GUARD)
        assert not self._thread.is_alive(), f"a client still waits, or is refused: {self._story()}"

    @contextmanager
    def flowing(self) -> Iterator[None]:
        """Let the clients work in the block, which begins when all is well."""
        since = time.monotonic()
        self._going.set()
        _until(lambda: self._right_since(since) >= 20, lambda: f"nothing gets through: {self._story()}")
        try:
            yield
        finally:
            self._going.clear()

    def rest(self) -> None:
        """Have the clients begin nothing new; what was refused is repeated until it is acknowledged."""
        self._going.clear()
        _until(
            lambda: len(self._resting) == SUBMITTERS + len(READS),
            lambda: f"a client still waits, or is refused: {self._story()}",
        )

    def _story(self) -> str:
        said = "\n".join(self._running.output.drained()[-40:])
        return f"{self.answers[-8:]}\n{said}"

    @contextmanager
    def trouble(self) -> Iterator[Trouble]:
        """A fault happens in the block, which calls ``over``; its end is when all is as it was before."""
        trouble = Trouble(self)
        yield trouble
        trouble.wait()

    def normal_since(self, over: float) -> float:
        """Wait until all is well, readiness too; the moment from which it was."""
        with self._running.client() as client:
            _until(
                lambda: client.get("/health/ready").status_code == 200,
                lambda: f"it is not ready again: {client.get('/health/ready').text} {self._story()}",
            )
        ready = time.monotonic()
        _until(lambda: self._is_quiet(over), lambda: f"it is not normal again: {self._story()}")
        last = max((answer.ended for answer in tuple(self.answers) if not answer.is_right), default=over)
        return max(last, ready if ready - over > QUIET else over)

    def total(self) -> int:
        """Ask the service how many there are."""
        with self._running.client(self._token) as client:
            return int(client.get("/api/status").json()["total_decisions"])

    def _is_quiet(self, over: float) -> bool:
        """Say whether nothing was refused for a while, though all kinds of calls were answered."""
        since = max(over, time.monotonic() - QUIET)
        recent = [answer for answer in tuple(self.answers) if answer.ended > since]
        calls = {answer.call for answer in recent if answer.began > over}
        is_long_enough = time.monotonic() - over >= QUIET
        return is_long_enough and calls == {"submit", *READS} and all(answer.is_right for answer in recent)

    def _right_since(self, since: float) -> int:
        return sum(answer.is_right and answer.began > since for answer in tuple(self.answers))

    async def _all(self) -> None:
        async with (
            httpx2.AsyncClient(base_url=self._running.url, timeout=HANG_GUARD, trust_env=False) as client,
            asyncio.TaskGroup() as group,
        ):
            for number in range(SUBMITTERS):
                group.create_task(self._submit(client, f"submitter {number}"))
            for path in READS:
                group.create_task(self._read(client, path))

    async def _submit(self, client: httpx2.AsyncClient, me: str) -> None:
        while await self._may_go_on(me):
            name = f"LOAD-{next(self._numbers)}"
            while not await self._ask("submit", lambda name=name: self._submission(client, name)):
                if self._stopping.is_set():
                    return
                await asyncio.sleep(AGAIN)
            self.acknowledged.append(name)
            await asyncio.sleep(PAUSE)

    async def _read(self, client: httpx2.AsyncClient, path: str) -> None:
        while await self._may_go_on(path):
            await self._ask(path, lambda: client.get(path, headers=self._login()))
            await asyncio.sleep(PAUSE)

    async def _submission(self, client: httpx2.AsyncClient, name: str) -> httpx2.Response:
        headers = {"Idempotency-Key": name, **self._login()}
        return await client.post("/api/decisions/submit", json=item(name), headers=headers)

    def _login(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._token}"}

    async def _may_go_on(self, me: str) -> bool:
        """Rest as long as all do; false in the end."""
        while not self._going.is_set() and not self._stopping.is_set():
            self._resting.add(me)
            await asyncio.sleep(PAUSE)
        self._resting.discard(me)
        return not self._stopping.is_set()

    async def _ask(self, call: str, send: Callable[[], Awaitable[httpx2.Response]]) -> bool:
        began = time.monotonic()
        try:
            got = await send()
        except httpx2.TransportError as error:
            status, code = NO_ANSWER, type(error).__name__
        else:
            status = got.status_code
            is_honest = status == LOG_IN or "retry-after" in got.headers
            code = str(got.json()["code"]) if status != ENDED and is_honest else ""
        answer = Answer(call=call, began=began, ended=time.monotonic(), status=status, code=code)
        self.answers.append(answer)
        if status == LOG_IN:
            self._token = await asyncio.to_thread(self._running.login)
        return answer.is_right


@contextmanager
def traffic(running: Service, owner_url: str) -> Iterator[Traffic]:
    """Clients for ``running``, at rest; ``owner_url`` is for whoever looks afterwards what is there."""
    load = Traffic(running, owner_url)
    load.start()
    try:
        yield load
    finally:
        load.stop()


def found_once(load: Traffic) -> None:
    """Each acknowledged submission is in the log once, and nothing else is; the clients rest."""
    rows, streams = in_the_log(load.owner_url)
    there = len(load.acknowledged)
    assert len(set(load.acknowledged)) == there
    assert (rows, streams) == (there, there)
    assert load.total() == there


def in_the_log(owner_url: str) -> tuple[int, int]:
    """Count submissions, and their streams."""
    return asyncio.run(submissions_in(owner_url))


async def submissions_in(owner_url: str) -> tuple[int, int]:
    """As ``in_the_log``, where a loop runs."""
    conn = await asyncpg.connect(owner_url)
    try:
        row = await conn.fetchrow(
            "select count(*) as events, count(distinct stream) as streams from ledger.events"
            " where type = 'decision-submitted'"
        )
    finally:
        await conn.close()
    assert row is not None
    return row["events"], row["streams"]


def _seen(answers: list[Answer]) -> str:
    refusals: dict[int, set[str]] = {}
    for answer in answers:
        if not answer.is_right:
            refusals.setdefault(answer.status, set()).add(f"`{answer.code}`")
    told = [f"{status} {', '.join(sorted(codes))}" for status, codes in sorted(refusals.items())]
    return "; ".join(["200", *told])


def _until(claim: Callable[[], bool], otherwise: Callable[[], str]) -> None:
    deadline = time.monotonic() + HANG_GUARD
    while not claim():
        assert time.monotonic() < deadline, otherwise()
        time.sleep(0.05)
