"""Watching a service from outside while it works: its process, its connections, and what it is behind with."""

import asyncio
import re
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import asyncpg
import msgspec

from benchmarks.machine import resident
from benchmarks.result import percentile
from benchmarks.server import Database
from benchmarks.service import Service
from benchmarks.soak.growth import per_minute

MB: Final = 1_000_000
MOST_SAMPLES: Final = 600
"""Of one run; every pair of them is compared."""
CONNECTIONS: Final = """
    select count(*) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()"""
METRIC: Final = re.compile(r"^(\w+)(\{.*\})? ([0-9.e+-]+)$", re.MULTILINE)


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """How it stood at a moment, in seconds since the first one."""

    at: float
    memory: float  # MB
    descriptors: float
    connections: float
    projection_lag: float  # seconds, of the read model that is furthest behind
    sealing_lag: float  # seconds that the oldest event has waited for its checkpoint
    webhooks_waiting: float


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that must not grow; ``growth`` is by the minute."""

    median: float
    most: float
    growth: float


class Watcher:
    """Takes samples until it is cancelled."""

    def __init__(self, service: Service, database: Database, seconds: float) -> None:
        self._service, self._database = service, database
        self._every = max(1.0, seconds / MOST_SAMPLES)
        self._began = time.monotonic()
        self.samples: list[Sample] = []

    async def run(self) -> None:
        conn = await asyncpg.connect(self._database.owner_url)
        try:
            while True:
                self.samples.append(await self.sample(conn))
                await asyncio.sleep(self._every)
        finally:
            conn.terminate()

    async def sample(self, conn: asyncpg.Connection) -> Sample:
        metrics = await read_metrics(self._service)
        pid = self._service.pid
        return Sample(
            at=time.monotonic() - self._began,
            memory=resident(pid).get("now", 0) / MB,
            descriptors=descriptors(pid),
            connections=await conn.fetchval(CONNECTIONS),
            projection_lag=metrics.get("ledger_projection_lag_seconds", 0.0),
            sealing_lag=metrics.get("ledger_notary_seal_age_seconds", 0.0),
            webhooks_waiting=metrics.get("ledger_webhook_messages", 0.0),
        )


async def read_metrics(service: Service) -> dict[str, float]:
    """Read what the service tells of itself; of several labels the greatest, of messages those that wait."""
    found: dict[str, float] = {}
    answer = await service.client.get("/metrics")
    for name, labels, value in METRIC.findall(answer.text):
        if name != "ledger_webhook_messages" or 'state="waiting"' in labels:
            found[name] = max(found.get(name, 0.0), float(value))
    return found


def descriptors(pid: int) -> int:
    """Count what a process has open; 0 where the system does not say."""
    folder = Path(f"/proc/{pid}/fd")
    return sum(1 for _ in folder.iterdir()) if folder.exists() else 0


def figure(values: Sequence[float], moments: Sequence[float]) -> Figure:
    """Sum up one column of the samples."""
    return Figure(median=percentile(values, 0.5), most=max(values), growth=per_minute(moments, values))
