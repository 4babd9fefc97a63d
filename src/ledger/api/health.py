"""What the service says about itself."""

from datetime import datetime

import msgspec
from litestar import Controller, Response, get

from ledger.api.call import Call, own_only
from ledger.api.json_answer import json_response
from ledger.api.metrics import witnessed_by
from ledger.api.readiness import checks_of
from ledger.api.services import Services
from ledger.api.types import HttpRequest
from ledger.domain.errors import Unavailable
from ledger.projections.standby import Away, Standby
from ledger.projections.views import directory, statistics
from ledger.store.ledger import Ledger
from ledger.store.pool import reading


class Healthy(msgspec.Struct, frozen=True, kw_only=True):
    """The service answers."""

    status: str
    timestamp: datetime
    service: str


class Readiness(msgspec.Struct, frozen=True, kw_only=True):
    """Which checks pass; ``failing`` names those that do not.

    ``degraded`` names what does not work while traffic may come all the same: ``appends`` are refused by a database that
    reads (its disk may be full), as the last one was, ``sealing`` is halted, ``sealing-late``: events have waited for more than
    a minute to be sealed, and nothing is halted,
    ``tampered``: events were found that are not what was sealed, by this process or another one that seals (see
    docs/operations/tampered.md),
    ``limits-by-process`` are counted in each process while their Redis is away, ``witness-forked`` has seen another
    history, ``witnesses-late`` have left checkpoints without a quorum for too long, ``read-standby`` is not asked, so that
    the primary answers all reads.
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


class StandbyState(msgspec.Struct, frozen=True, kw_only=True):
    """The standby that answers reads; ``away`` says why it is not asked (``None``: it is).

    ``seconds_behind``: how long ago it last showed all that the primary did.
    """

    away: Away | None
    seconds_behind: float


class DatabaseHealth(msgspec.Struct, frozen=True, kw_only=True):
    """The pool here, the database behind it, and the standby that answers reads, where there is one."""

    status: str
    timestamp: datetime
    pool: PoolUse
    database: DatabaseState
    standby: StandbyState | msgspec.UnsetType = msgspec.UNSET


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
        checks = await checks_of(services)
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
            standby=msgspec.UNSET if services.standby is None else _standby_state(services.standby),
        )
        return json_response(body)


@get("/api/status", tags=["System"], opt={"answer": SystemStatus})
async def status(request: HttpRequest) -> Response[bytes]:
    """Count decisions, responses and accounts."""
    call = Call(request)
    services = call.services
    only = own_only(call.principal)

    async def look(ledger: Ledger) -> tuple[statistics.Totals, int]:
        async with reading(ledger.source) as conn:
            totals = await statistics.totals(conn, ledger.ledger_id, submitted_by=only)
            return totals, await directory.count(conn, ledger.ledger_id)

    totals, users = await services.read(("statistics", "directory"), look)
    body = SystemStatus(
        timestamp=services.clock(),
        pending_decisions=totals.pending_decisions,
        critical_pending=totals.critical_pending,
        total_users=users,
        total_decisions=totals.total_decisions,
        total_responses=totals.total_responses,
    )
    return json_response(body)


async def _degraded(services: Services) -> tuple[str, ...]:
    """Name what an operator has to look at although traffic may come."""
    names = ["appends"] if services.ledger.appender.is_refused() else []
    if services.notary.halt is not None:
        names.append("sealing")
    elif services.notary.is_late(services.clock()):
        names.append("sealing-late")
    if services.notary.is_tampered():
        names.append("tampered")
    if await services.limiter.is_alone():
        names.append("limits-by-process")
    found, watch = await witnessed_by(services), services.watch
    if found is not None and found.is_forked():
        names.append("witness-forked")
    if found is not None and watch is not None and found.is_late(services.clock(), watch.late_after):
        names.append("witnesses-late")
    if services.standby is not None and services.standby.away is not None:
        names.append("read-standby")
    return tuple(names)


def _standby_state(standby: Standby) -> StandbyState:
    return StandbyState(away=standby.away, seconds_behind=round(standby.seconds_behind(), 3))


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
