"""The application in this process, without a socket: for everything but the promises of whole processes."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from datetime import datetime
from ipaddress import ip_network
from typing import Final

import httpx
import msgspec
from litestar import Litestar

from ledger.api.app import routed
from ledger.api.door import Door
from ledger.api.lookups import Lookups
from ledger.api.services import Services
from ledger.delivery.live import Live
from ledger.domain.authority import Role
from ledger.domain.ids import Position, StreamName
from ledger.identity.following import Following
from ledger.identity.identity import Identity, utc_now
from ledger.identity.passwords import Passwords
from ledger.identity.registering import ensure_first_admin
from ledger.projections.health import State
from ledger.projections.progress import MAX_WAIT, Progress
from ledger.projections.reports import STANDING_STILL
from ledger.projections.runner import Runner
from ledger.projections.standby import Standby
from ledger.sealing.notary import Notary, default_origin
from ledger.sealing.receipts import Receipts
from ledger.store.ledger import Ledger
from ledger.tracing import Tracing
from ledger.webhooks.webhooks import Webhooks
from tests.support.databases import Database
from tests.support.documented import check_documented

ADMIN: Final = "admin"
PASSWORD: Final = "correct horse battery"
SECRET_KEY: Final = "a key for tests that is long enough"
HANG_GUARD: Final = 60.0


class Api(msgspec.Struct, kw_only=True):
    """A client of the application, its door, and the ledger behind it."""

    client: httpx.AsyncClient
    door: Door
    ledger: Ledger
    services: Services

    async def login(self, username: str = ADMIN, password: str = PASSWORD) -> dict[str, str]:
        """Log in; the header to send from now on."""
        answer = await self.client.post("/api/auth/login", data={"username": username, "password": password})
        assert answer.status_code == 200, answer.text
        return bearer(answer.json()["access_token"])

    async def newcomer(self, username: str, role: Role | str = Role.ANALYST) -> dict[str, str]:
        """Register somebody and log them in."""
        answer = await self.client.post(
            "/api/auth/register",
            headers=await self.login(),
            json=registration(username, role=str(role)),
        )
        assert answer.status_code == 200, answer.text
        return await self.login(username)


class Patient(Progress):
    """Waits for views that are being fed for as long as it takes, where a service waits for a second.

    A test is about what a call does, and reads what the views show of it: it must not fail because the machine had
    something else to do for a second. A view that is paused, or that nobody feeds, keeps a call no longer than ever.
    """

    runner: Runner

    async def wait_for(
        self,
        names: Sequence[str],
        position: Position,
        timeout: float = MAX_WAIT,  # noqa: ASYNC109 - as it is
        *,
        stream: StreamName | None = None,
    ) -> tuple[str, ...]:
        give_up = time.monotonic() + HANG_GUARD
        while (behind := await super().wait_for(names, position, timeout, stream=stream)) and any(
            self.position(name) < position and self._is_fed(name) for name in behind
        ):
            assert time.monotonic() < give_up, f"{behind} never come to {position}"
            await asyncio.sleep(0.005)
        return behind

    def _is_fed(self, name: str) -> bool:
        states = {view.name: view.state for view in self.runner.health()}
        return states[name] not in STANDING_STILL | {State.STOPPED} and not self.is_paused(name)


def cheap_passwords() -> Passwords:
    """Hashes that cost next to nothing, for tests that are about something else."""
    return Passwords(memory_kib=64, passes=1)


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def registration(username: str, **overrides: str) -> dict[str, str]:
    return {
        "username": username,
        "email": f"{username}@example.org",
        "password": PASSWORD,
        "full_name": f"{username} of the night shift",
        "role": "analyst",
        **overrides,
    }


def submission(analysis_id: str, **overrides: object) -> dict[str, object]:
    return {
        "analysis_id": analysis_id,
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
        **overrides,
    }


def verdict(analysis_id: str, status: str = "approved", **overrides: object) -> dict[str, object]:
    return {
        "decision_id": analysis_id,
        "status": status,
        "approved_actions": ["block_ip"],
        "notes": "Seen, agreed.",
        **overrides,
    }


async def read_and_check(answer: httpx.Response) -> None:
    """Let no answer pass that /openapi.json does not describe."""
    await answer.aread()
    await check_documented(answer)


_idle: Final[list[Litestar]] = []
"""Applications that no test uses any more: making one takes longer than most tests."""
BUILT_IN: Final = frozenset({"cors_origins", "max_body_bytes", "metrics_apart"})
"""What an application is made to; all else it asks its services for."""


@contextmanager
def _borrowed(services: Services, settings: Mapping[str, object]) -> Iterator[Litestar]:
    """Take an idle application for ``services``, or make one; what is made to settings of its own is used once."""
    is_usual = BUILT_IN.isdisjoint(settings)
    app = _idle.pop() if is_usual and _idle else routed(services)
    app.state["services"] = services
    try:
        yield app
    finally:
        if is_usual:
            _idle.append(app)


@asynccontextmanager
async def serving(
    database: Database,
    *,
    clock: Callable[[], datetime] = utc_now,
    passwords: Passwords | None = None,
    settings: Mapping[str, object] | None = None,
    standby_url: str | None = None,
    tracing: Tracing | None = None,
) -> AsyncIterator[Api]:
    """Serve ``database`` in this process, with an administrator; ``passwords`` may cost less than real ones.

    A standby is asked for reads once the test has had it judged.
    """
    ledger = await Ledger.open(database.service_url)
    ledger.tracing = tracing or ledger.tracing
    progress, following = Patient(ledger), Following(ledger)
    notary = Notary(ledger, origin=default_origin(ledger))
    async with ledger:
        identity = Identity.of(
            ledger, secret_keys=[SECRET_KEY], clock=clock, passwords=passwords, following=following
        )
        await ensure_first_admin(identity, ADMIN, PASSWORD)
        progress.runner = runner = Runner(ledger, progress)
        standby = None if standby_url is None else await Standby.open(ledger, standby_url, max_size=4)
        services = Services(
            ledger=ledger,
            progress=progress,
            runner=runner,
            identity=identity,
            webhooks=Webhooks.of(identity, secret_keys=[SECRET_KEY], allowed=[ip_network("127.0.0.0/8")]),
            notary=notary,
            clock=clock,
            service_name="decision-ledger",
            live=Live(ledger, following),
            lookups=Lookups(ledger, following),
            receipts=Receipts(ledger, notary),
            standby=standby,
            **(settings or {}),
        )
        progress.start()
        following.start()
        runner.start()
        live = [asyncio.create_task(begin()) for _, begin in services.live.tasks()]
        live.append(asyncio.create_task(notary.run_forever()))
        try:
            with _borrowed(services, settings or {}) as app:
                door = Door(
                    app,
                    max_in_flight=services.max_in_flight,
                    most_body_bytes=services.most_body_bytes,
                    tracing=ledger.tracing,
                )
                async with httpx.AsyncClient(
                    transport=httpx.ASGITransport(app=door),
                    base_url="http://ledger.test",
                    event_hooks={"response": [read_and_check]},
                ) as client:
                    yield Api(client=client, door=door, ledger=ledger, services=services)
        finally:
            for task in live:
                task.cancel()
            await asyncio.gather(*live, return_exceptions=True)
            await runner.stop()
            await following.stop()
            await progress.stop()
            if standby is not None:
                await standby.stop()
