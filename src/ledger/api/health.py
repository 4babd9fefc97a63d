"""What the service says about itself."""

from contextlib import suppress
from datetime import datetime
from functools import cache
from typing import Final

import asyncpg
import msgspec
from litestar import Controller, Response, get
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from ledger.api.call import Call, json_response, own_only
from ledger.api.services import Services
from ledger.api.types import HttpRequest
from ledger.domain.errors import Unavailable
from ledger.projections.catalog import ALL
from ledger.projections.gauges import measure, measure_timers, measure_unreachable
from ledger.projections.reports import report
from ledger.projections.views import directory, statistics, timers
from ledger.sealing import gauges as sealing_gauges
from ledger.sealing import witness_gauges
from ledger.sealing.timestamps import newest_by_authority
from ledger.sealing.witnesses import Witnessed, witnessed
from ledger.store.ledger import Ledger
from ledger.store.migrate import Migration, MigrationChanged, all_migrations, pending
from ledger.store.pool import reading
from ledger.webhooks import gauges

MOST_DUE: Final = 10_000
"""Further than this the backlog of timers is not counted."""


class Healthy(msgspec.Struct, frozen=True, kw_only=True):
    """The service answers."""

    status: str
    timestamp: datetime
    service: str


class Readiness(msgspec.Struct, frozen=True, kw_only=True):
    """Which checks pass; ``failing`` names those that do not.

    ``degraded`` names what does not work while traffic may come all the same: ``sealing`` is halted, ``witness-forked``
    has seen another history, ``witnesses-late`` have left checkpoints without a quorum for too long.
    """

    status: str
    failing: tuple[str, ...]
    degraded: tuple[str, ...]
    checks: dict[str, bool]


class PoolUse(msgspec.Struct, frozen=True, kw_only=True):
    """How many connections there may be, are and work."""

    min: int
    max: int
    size: int
    active: int
    idle: int
    utilization_percent: float


class DatabaseState(msgspec.Struct, frozen=True, kw_only=True):
    """What the database says of itself; ``version`` is ``None`` while it is out of reach."""

    connected: bool
    version: str | None
    connections: int | None


class DatabaseHealth(msgspec.Struct, frozen=True, kw_only=True):
    """The pool here and the database behind it."""

    status: str
    timestamp: datetime
    pool: PoolUse
    database: DatabaseState


class SystemStatus(msgspec.Struct, frozen=True, kw_only=True):
    """How much there is of everything."""

    timestamp: datetime
    pending_decisions: int
    critical_pending: int
    total_users: int
    total_decisions: int
    total_responses: int


class HealthController(Controller):
    """Liveness, readiness and the state of the database."""

    path = "/health"
    tags = ("System",)

    @get("/", opt={"answer": Healthy}, sync_to_thread=False)
    def health(self, request: HttpRequest) -> Response[bytes]:
        """Tell that the service answers."""
        services = Call(request).services
        return json_response(
            Healthy(status="healthy", timestamp=services.clock(), service=services.service_name)
        )

    @get("/live", opt={"answer": Healthy}, sync_to_thread=False)
    def live(self, request: HttpRequest) -> Response[bytes]:
        """Tell that the process lives; says nothing about what it depends on."""
        services = Call(request).services
        return json_response(
            Healthy(status="alive", timestamp=services.clock(), service=services.service_name)
        )

    @get("/ready", opt={"answer": Readiness, "also": {503: ("Not ready; 'failing' says why", Readiness)}})
    async def ready(self, request: HttpRequest) -> Response[bytes]:
        """Tell whether traffic may come; 503 names the checks that fail."""
        services = Call(request).services
        checks = {
            "database": await _answers(services.ledger),
            "migrations": await _is_migrated(services.ledger),
            "feed": services.ledger.signals.is_connected(),
            "appender": services.ledger.appender.is_running(),
            "projections": services.runner is None or services.runner.is_ready(),
        }
        failing = tuple(name for name, passes in checks.items() if not passes)
        body = Readiness(
            status="not ready" if failing else "ready",
            failing=failing,
            degraded=await _degraded(services),
            checks=checks,
        )
        headers = {"Retry-After": "2"} if failing else {}
        return json_response(body, status_code=503 if failing else 200, headers=headers)

    @get("/database", opt={"answer": DatabaseHealth})
    async def database(self, request: HttpRequest) -> Response[bytes]:
        """Show the pool and the database."""
        services = Call(request).services
        state = await _database_state(services.ledger)
        body = DatabaseHealth(
            status="healthy" if state.connected else "unreachable",
            timestamp=services.clock(),
            pool=_pool_use(services.ledger),
            database=state,
        )
        return json_response(body)


@get("/api/status", tags=["System"], opt={"answer": SystemStatus})
async def status(request: HttpRequest) -> Response[bytes]:
    """Count decisions, responses and accounts."""
    call = Call(request)
    services = call.services
    async with reading(services.ledger.pool) as conn:
        totals = await statistics.totals(
            conn, services.ledger.ledger_id, submitted_by=own_only(call.principal)
        )
        users = await directory.count(conn, services.ledger.ledger_id)
    body = SystemStatus(
        timestamp=services.clock(),
        pending_decisions=totals.pending_decisions,
        critical_pending=totals.critical_pending,
        total_users=users,
        total_decisions=totals.total_decisions,
        total_responses=totals.total_responses,
    )
    return json_response(body)


@get("/metrics", tags=["System"], opt={"media": "text/plain"})
async def metrics_text(request: HttpRequest) -> Response[bytes]:
    """Give the metrics as Prometheus text."""
    services = Call(request).services
    await _measure_projections(services.ledger)
    await _measure_webhooks(services)
    await _measure_timers(services)
    await _measure_notary(services)
    await _measure_witnesses(services)
    return Response(generate_latest(), headers={"Content-Type": CONTENT_TYPE_LATEST})


async def _measure_projections(ledger: Ledger) -> None:
    try:
        async with reading(ledger.pool) as conn:
            measure(await report(conn, ledger.ledger_id))
    except (Unavailable, asyncpg.PostgresError):
        measure_unreachable([feed.name for feed in ALL])


async def _measure_webhooks(services: Services) -> None:
    """Measure them, or leave them as they were last: nobody's life depends on it."""
    with suppress(Unavailable, asyncpg.PostgresError):
        async with reading(services.ledger.pool) as conn:
            gauges.measure(await gauges.standings_of(conn, services.ledger.ledger_id, services.clock()))


async def _measure_timers(services: Services) -> None:
    """Measure what is due, or leave it as it was last."""
    with suppress(Unavailable, asyncpg.PostgresError):
        now = services.clock()
        async with reading(services.ledger.pool) as conn:
            due = await timers.backlog(conn, services.ledger.ledger_id, now, at_most=MOST_DUE)
        measure_timers(due, now)


async def _measure_notary(services: Services) -> None:
    """Measure how the log is sealed, or leave it as it was last."""
    with suppress(Unavailable, asyncpg.PostgresError):
        sealing_gauges.measure(await services.notary.status(), services.clock())


async def _measure_witnesses(services: Services) -> None:
    """Measure how far the log is witnessed and stamped, or leave it as it was last."""
    found = await _witnessed(services)
    if found is not None:
        witness_gauges.measure(found, services.clock())
    with suppress(Unavailable, asyncpg.PostgresError):
        async with reading(services.ledger.pool) as conn:
            stamps = await newest_by_authority(conn, services.ledger.ledger_id)
        witness_gauges.measure_stamps(stamps, services.clock())


async def _degraded(services: Services) -> tuple[str, ...]:
    """Name what an operator has to look at although traffic may come."""
    names = [] if services.notary.halt is None else ["sealing"]
    found, watch = await _witnessed(services), services.watch
    if found is not None and found.is_forked():
        names.append("witness-forked")
    if found is not None and watch is not None and found.is_late(services.clock(), watch.late_after):
        names.append("witnesses-late")
    return tuple(names)


async def _witnessed(services: Services) -> Witnessed | None:
    """Read how far the log is witnessed; ``None``: nobody is asked, or the database does not answer."""
    if services.watch is None:
        return None
    try:
        async with reading(services.ledger.pool) as conn:
            return await witnessed(conn, services.ledger.ledger_id, services.watch)
    except (Unavailable, asyncpg.PostgresError):
        return None


async def _answers(ledger: Ledger) -> bool:
    try:
        await ledger.head()
    except Unavailable:
        return False
    return True


async def _is_migrated(ledger: Ledger) -> bool:
    """Tell whether the database is still at this release's shape, as it was at the start."""
    try:
        async with reading(ledger.pool) as conn:
            return not await pending(conn, _migrations())
    except (Unavailable, MigrationChanged):
        return False


@cache
def _migrations() -> tuple[Migration, ...]:
    return all_migrations()


def _pool_use(ledger: Ledger) -> PoolUse:
    pool = ledger.pool
    size, idle = pool.get_size(), pool.get_idle_size()
    return PoolUse(
        min=pool.get_min_size(),
        max=pool.get_max_size(),
        size=size,
        active=size - idle,
        idle=idle,
        utilization_percent=round(100 * (size - idle) / pool.get_max_size(), 1),
    )


async def _database_state(ledger: Ledger) -> DatabaseState:
    try:
        facts = await ledger.server_facts()
    except Unavailable:
        return DatabaseState(connected=False, version=None, connections=None)
    return DatabaseState(connected=True, version=facts.version, connections=facts.connections)
