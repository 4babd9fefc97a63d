"""One soak from its beginning to its end: a service, everybody at work, a peak, the load, the account."""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Final

import asyncpg
import msgspec

from benchmarks import machine
from benchmarks.posts import receiving
from benchmarks.progress import Progress
from benchmarks.scenarios.http import submission
from benchmarks.server import Database, Server
from benchmarks.service import Service, serving
from benchmarks.soak import account, people
from benchmarks.soak.account import Acknowledged
from benchmarks.soak.listening import Follower, Receiver
from benchmarks.soak.load import Desk, Outcome, Plan, run_load, sustained
from benchmarks.soak.people import Administrator, Engine
from benchmarks.soak.verdict import BOUNDS, SHARE, WARM_UP, Soak
from benchmarks.soak.watching import Figure, Sample, Watcher, figure

KEY_BYTES: Final = 48
LEAST_RATE: Final = 1.0
"""Rounds a second, on a machine that had no time for the peak."""


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """How long, and by how many."""

    seconds: float = 600.0
    peak_seconds: float = 30.0
    desks: int = 32


def production() -> dict[str, str]:
    """Make the settings of a production service on this machine."""
    return {
        "LEDGER_ENVIRONMENT": "production",
        "LEDGER_SECRET_KEY": secrets.token_urlsafe(KEY_BYTES),
        "LEDGER_REGISTRATIONS_PER_MINUTE": "10000",  # everybody who takes part, at once
        "LEDGER_WEBHOOK_ALLOWED_NETWORKS": "127.0.0.1",
    }


async def soak(server: Server, wanted: Wanted, progress: Progress) -> Soak:
    """Measure the peak, keep up a share of it for so long, and draw up the account."""
    began, receiver = time.monotonic(), Receiver()
    async with (
        server.ledger() as database,
        serving(database, server.folder, production()) as service,
        receiving(receiver.take) as hook,
    ):
        progress.say(f"soak: registering {2 * wanted.desks} accounts")
        administrator = Administrator(service)
        desks = await people.seat(service, await administrator.headers(), wanted.desks)
        await people.ask_for_webhooks(service, await administrator.headers(), hook)
        engine = Engine(desks[0].key)
        followers = Follower(service, administrator.headers), Follower(service, engine.headers)
        work = Work(server=server, database=database, service=service, desks=desks)
        async with _beside(followers[0].run()), _beside(followers[1].run()):
            peak, load, samples = await work.done(wanted, progress)
            progress.say("soak: drawing up the account")
            drawn = await account.draw_up(
                service,
                database=database,
                told=Acknowledged.of((peak, load)),
                followers=followers,
                receiver=receiver,
                folder=server.folder,
            )
    kept = [sample for sample in samples if sample.at >= wanted.seconds * WARM_UP]
    return Soak(
        minutes=wanted.seconds / 60,
        desks=wanted.desks,
        peak=peak,
        load=load,
        figures=_figures(kept),
        watched=kept[-1].at - kept[0].at,
        account=drawn,
        machine=await _machine(server),
        seconds=time.monotonic() - began,
    )


class Work(msgspec.Struct, frozen=True, kw_only=True):
    """A service and everybody who works with it."""

    server: Server
    database: Database
    service: Service
    desks: tuple[Desk, ...]

    async def done(self, wanted: Wanted, progress: Progress) -> tuple[Outcome, Outcome, list[Sample]]:
        """Have the peak and the load done; and how the service stood meanwhile."""
        progress.say(f"soak: the peak, {wanted.peak_seconds:g} seconds")
        peak = await self._load("PEAK", None, wanted.peak_seconds)
        rate = max(LEAST_RATE, SHARE * sustained(peak.rounds))
        progress.say(f"soak: {rate:.0f} rounds a second for {wanted.seconds / 60:g} minutes")
        watcher = Watcher(self.service, self.database, wanted.seconds)
        async with _beside(watcher.run()):
            load = await self._load("SOAK", rate, wanted.seconds)
        return peak, load, [sample for sample in watcher.samples if sample.at <= wanted.seconds]

    async def _load(self, prefix: str, rounds: float | None, seconds: float) -> Outcome:
        folder = self.server.folder
        plan = Plan(
            desks=self.desks,
            password=self.service.password,
            prefix=prefix,
            rounds=rounds,
            outcome=str(folder / f"{prefix}.json"),
            item=submission(""),
        )
        return await run_load(self.service.url, plan, seconds, folder)


def _figures(samples: list[Sample]) -> dict[str, Figure]:
    moments = [sample.at for sample in samples]
    return {name: figure([getattr(sample, name) for sample in samples], moments) for name in BOUNDS}


@asynccontextmanager
async def _beside(work: Coroutine[None, None, None]) -> AsyncIterator[None]:
    """Let it run for the time of the block; what it fails with ends the block."""
    async with asyncio.TaskGroup() as group:
        task = group.create_task(work)
        yield
        task.cancel()


async def _machine(server: Server) -> dict[str, str]:
    conn = await asyncpg.connect(server.owner_url)
    try:
        return machine.describe(server.folder, str(await conn.fetchval("show server_version")))
    finally:
        await conn.close()
