"""What people and machines wait for over HTTP: the load cases, every answer checked; and the service's memory."""

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from statistics import median
from typing import Final

import httpx2

from benchmarks.machine import resident
from benchmarks.progress import Progress
from benchmarks.result import Bar, Part, Table, per_second
from benchmarks.scale import Scale
from benchmarks.server import Server
from benchmarks.service import ADMIN, Service, serving
from benchmarks.subject import LostOrDoubled
from benchmarks.workload import Sample, closed_loop

SUBMISSIONS: Final = 50
READS: Final = 100
MIXED: Final = 60
LOGINS: Final = 100
LOGINS_AT_ONCE: Final = f"{LOGINS} logins of one account at once"
MOST_LOGIN_SECONDS: Final = 5
IN_FLIGHT: Final = 64
MB: Final = 1_000_000
MOST_MEMORY: Final = 300  # MB

Case = Callable[[], Awaitable[None]]


class Visit:
    """One token's calls; each checks its own answer."""

    def __init__(self, service: Service, token: str) -> None:
        self._service = service
        self._headers = {"Authorization": f"Bearer {token}"}
        self.submitted: list[str] = []

    async def submit(self) -> None:
        name = f"BENCH-{secrets.token_hex(8)}"
        answer = await self._service.client.post(
            "/api/decisions/submit", json=submission(name), headers=self._headers
        )
        _must(answer, answer.status_code == 200 and answer.json()["analysis_id"] == name)
        self.submitted.append(name)

    async def read(self, name: str) -> None:
        answer = await self._get(f"/api/decisions/{name}")
        _must(answer, answer.json()["analysis_id"] == name)

    async def count(self) -> None:
        answer = await self._get("/api/decisions/stats/summary")
        _must(answer, isinstance(answer.json(), dict))

    async def verdict(self, name: str) -> None:
        body = {"decision_id": name, "status": "approved", "approved_actions": ["block_ip"], "notes": "Seen."}
        answer = await self._service.client.post(
            f"/api/decisions/{name}/decide", json=body, headers=self._headers
        )
        _must(answer, answer.status_code == 200)

    async def decide(self, name: str) -> None:
        await self.verdict(name)
        response = await self._get(f"/api/decisions/{name}/response")
        _must(response, (response.json()["status"], response.json()["decided_by"]) == ("approved", ADMIN))

    async def _get(self, path: str) -> httpx2.Response:
        answer = await self._service.client.get(path, headers=self._headers)
        _must(answer, answer.status_code == 200)
        return answer


async def measure(server: Server, scale: Scale, progress: Progress) -> Part:
    """Run every load case, then submissions for a while; read the service's memory before and after."""
    took: dict[str, list[float]] = {}
    async with server.ledger() as database, serving(database, server.folder) as service:
        visit = Visit(service, await service.login())
        await visit.submit()
        at_rest = resident(service.pid).get("now", 0)
        for _ in range(scale.http_rounds):
            for name, case in _cases(service, visit).items():
                progress.say(f"http: {name}")
                began = time.perf_counter()
                await case()
                took.setdefault(name, []).append(time.perf_counter() - began)
        progress.say(f"http: submissions for {scale.http_load_seconds:g} seconds")
        sample = await closed_loop(IN_FLIGHT, scale.http_load_seconds, lambda _: visit.submit())
        peak = resident(service.pid).get("peak", 0)
    return _part(took, sample, at_rest, peak)


def _cases(service: Service, visit: Visit) -> Mapping[str, Case]:
    tokens: set[str] = set()

    async def submissions() -> None:
        await asyncio.gather(*(visit.submit() for _ in range(SUBMISSIONS)))

    async def reads() -> None:
        names = visit.submitted[-SUBMISSIONS:]
        await asyncio.gather(*(visit.read(names[number % len(names)]) for number in range(READS)))

    async def mixed() -> None:
        third = MIXED // 3
        mine, others = visit.submitted[-third:], visit.submitted[-2 * third : -third]
        await asyncio.gather(
            *(visit.submit() for _ in range(third)),
            *(visit.decide(name) for name in mine),
            *(visit.read(name) for name in others[: third // 2]),
            *(visit.count() for _ in range(third // 2)),
        )

    async def logins() -> None:
        tokens.update(await asyncio.gather(*(service.login() for _ in range(LOGINS))))
        if len(tokens) != LOGINS:
            raise LostOrDoubled(f"{len(tokens)} different tokens after {LOGINS} logins")

    return {
        f"{SUBMISSIONS} submissions at once": submissions,
        f"{READS} reads at once": reads,
        f"{MIXED} mixed operations at once": mixed,
        LOGINS_AT_ONCE: logins,
    }


def _must(answer: httpx2.Response, holds: bool) -> None:  # noqa: FBT001 - reads as an assertion
    if not holds:
        raise LostOrDoubled(f"{answer.url.path} answered {answer.status_code}: {answer.text[:200]}")


def _part(took: Mapping[str, list[float]], sample: Sample, at_rest: int, peak: int) -> Part:
    cases = Table(
        title="Seconds, every answer checked",
        columns=("what", "seconds", "a second"),
        rows=tuple(
            (name, f"{median(found):.2f}", per_second(int(name.split()[0]) / median(found)))
            for name, found in took.items()
        ),
    )
    memory = Table(
        title="The service's process",
        columns=("what", "value"),
        rows=(
            (f"submissions a second, {IN_FLIGHT} in flight", per_second(sample.rate())),
            ("memory at rest", f"{at_rest / MB:.0f} MB"),
            ("memory at its peak", f"{peak / MB:.0f} MB"),
        ),
    )
    bars = (
        Bar(
            what="the service's memory at its peak",
            reached=peak / MB,
            direction="at most",
            bar=MOST_MEMORY,
            unit="MB",
        ),
        Bar(
            what=LOGINS_AT_ONCE,
            reached=median(took[LOGINS_AT_ONCE]),
            direction="at most",
            bar=MOST_LOGIN_SECONDS,
            unit="s",
        ),
    )
    figures = {f"http.{name}.seconds": median(found) for name, found in took.items()} | {
        "http.submissions_per_second": sample.rate(),
        "http.memory_at_rest_mb": at_rest / MB,
        "http.memory_at_peak_mb": peak / MB,
    }
    note = "One process serves, another one asks, on the same cores; passwords are checked at full strength."
    return Part(name="http", tables=(cases, memory), figures=figures, bars=bars, notes=(note,))


def submission(name: str) -> dict[str, object]:
    return {
        "analysis_id": name,
        "incident_id": "INC-2041",
        "threat_level": "APT",
        "source_ip": "203.0.113.17",
        "attributed_actor": "Quiet Heron",
        "confidence": 89.5,
        "iocs": ["203.0.113.17", "cdn-update.example.net"],
        "ttps": ["T1071.001", "T1105"],
        "recommended_actions": ["Block the address", "Quarantine the build host"],
        "forensic_summary": "Beacon every 61 seconds from a build host to a domain registered yesterday.",
        "priority": "high",
        "created_at": "2026-03-01T08:30:00Z",
    }
