"""What Prometheus reads: measured when it asks, on the service's port or on one of its own."""

import hashlib
import hmac
from contextlib import suppress
from typing import Final

import asyncpg
from litestar import Response, get
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from ledger.api.auth import bearer_of
from ledger.api.call import Call
from ledger.api.readiness import measure_checks
from ledger.api.services import Services
from ledger.api.types import HttpRequest
from ledger.domain.errors import Unauthenticated, Unavailable
from ledger.projections import standby_gauges
from ledger.projections.catalog import ALL
from ledger.projections.gauges import measure, measure_timers, measure_unreachable
from ledger.projections.reports import report
from ledger.projections.views import timers
from ledger.sealing import gauges as sealing_gauges
from ledger.sealing import witness_gauges
from ledger.sealing.timestamps import newest_by_authority
from ledger.sealing.witnesses import Witnessed, witnessed
from ledger.store import gauges as gauges_of_store
from ledger.store.ledger import Ledger
from ledger.store.pool import reading
from ledger.webhooks import gauges

MOST_DUE: Final = 10_000
"""Further than this the backlog of timers is not counted."""


class WrongMetricsToken(Unauthenticated):
    """Metrics are given to whoever has their token."""

    code = "wrong-metrics-token"
    advice = "Send what LEDGER_METRICS_TOKEN says as 'Authorization: Bearer …'; a session's token is not asked for."


def digest_of(token: str) -> bytes:
    """Give what is kept of the token that metrics are given for: of one length, and in no dump of memory's structs."""
    return hashlib.sha256(token.encode()).digest()


@get(
    "/metrics",
    tags=["System"],
    opt={
        "media": "text/plain",
        "also": {
            401: "They are given for the token of metrics alone, and this is not it",
            404: "They are served on a port of their own",
        },
    },
)
async def metrics_text(request: HttpRequest) -> Response[bytes]:
    """Give the metrics as Prometheus text.

    With LEDGER_METRICS_PORT they are on that port and not on this one, with LEDGER_METRICS_TOKEN for that token alone.
    """
    services = Call(request).services
    _check_token(request, services.metrics_digest)
    gauges_of_store.measure(services.ledger)
    services.limiter.measure()
    if services.standby is not None:
        standby_gauges.measure(services.standby)
    await measure_checks(services)
    await _measure_projections(services.ledger)
    await _measure_webhooks(services)
    await _measure_timers(services)
    await _measure_notary(services)
    if services.notary.patrol is not None:
        sealing_gauges.measure_patrol(services.notary.patrol)
    await _measure_witnesses(services)
    return Response(generate_latest(), headers={"Content-Type": CONTENT_TYPE_LATEST})


def _check_token(request: HttpRequest, wanted: bytes | None) -> None:
    """Let in who has the token; digests are compared, in a time that tells nothing of the token.

    Raises:
        Unauthenticated: there is none.
        WrongMetricsToken: it is another one.
    """
    if wanted is not None and not hmac.compare_digest(digest_of(bearer_of(request)), wanted):
        raise WrongMetricsToken


async def witnessed_by(services: Services) -> Witnessed | None:
    """Read how far the log is witnessed; ``None``: nobody is asked, or the database does not answer."""
    if services.watch is None:
        return None
    try:
        async with reading(services.ledger.pool) as conn:
            return await witnessed(conn, services.ledger.ledger_id, services.watch)
    except (Unavailable, asyncpg.PostgresError):
        return None


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
    found = await witnessed_by(services)
    if found is not None:
        witness_gauges.measure(found, services.clock())
    with suppress(Unavailable, asyncpg.PostgresError):
        async with reading(services.ledger.pool) as conn:
            stamps = await newest_by_authority(conn, services.ledger.ledger_id)
        witness_gauges.measure_stamps(stamps, services.clock())
