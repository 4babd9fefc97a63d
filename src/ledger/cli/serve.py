"""``ledger serve``: from settings to an open port, and back down again."""

import asyncio
import gc
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from importlib.metadata import version
from typing import Annotated, Final

import structlog
import uvloop
from cyclopts import Parameter

from ledger.api.services import Services
from ledger.cli.checks.database import check_secret_keys
from ledger.cli.checks.findings import Verdict
from ledger.cli.composing import Part, check_event_types, composed, level, secret_keys_of
from ledger.cli.database import problems_with, what_can_be_read
from ledger.cli.http import serving, serving_metrics
from ledger.cli.keeping import database_of_service, warn
from ledger.cli.port import METRICS_PORT, Ports, open_port, port_of
from ledger.cli.stopping import Stopping
from ledger.cli.watching import problems_with_policy
from ledger.identity import people
from ledger.identity.registering import ensure_first_admin
from ledger.settings import Settings, SettingsRefused, ensure_secret_key
from ledger.store.ledger import Ledger
from ledger.store.pool import reading
from ledger.telemetry.configuring import configure

log = structlog.get_logger()

WILDCARDS: Final = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}  # noqa: S104 - shown, not bound


def serve(
    *,
    only: Annotated[Part | None, Parameter(help="Run one part; the other one runs elsewhere.")] = None,
) -> int:
    """Run the service until it is told to stop.

    Without LEDGER_DATABASE_URL it brings a PostgreSQL of its own, in LEDGER_DATA_DIR. The port is opened when
    everything behind it is ready, and with it that of LEDGER_METRICS_PORT, which workers have too. Ctrl-C finishes what is under way; a second Ctrl-C stops at once.
    """
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_serve(only))


async def _serve(only: Part | None) -> int:
    began = time.monotonic()
    stopping = Stopping()
    try:
        async with AsyncExitStack() as stack:
            settings, ports = await _ready_to_start(only)
            for taken in (*ports.service, *ports.metrics):
                stack.enter_context(taken)
            services = await stack.enter_async_context(_running(settings, only, stopping))
            ends = [asyncio.create_task(stopping.asked(), name="stop")]
            if ports.metrics:  # opened first, closed last: how it stops is worth to be seen
                open_port(ports.metrics, setting=METRICS_PORT)
                metrics = serving_metrics(services, settings, ports.metrics)
                ends.append(await stack.enter_async_context(metrics))
            if ports.service:
                open_port(ports.service)
                ends.append(await stack.enter_async_context(serving(services, settings, ports.service)))
            gc.freeze()  # a full collection would look through all that start-up made: 50 ms in which nobody is served
            stopping.started()
            _say_ready(settings, ports, time.monotonic() - began)
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            log.info("service.stopping", signal=stopping.signal)
    except asyncio.CancelledError:
        if stopping.signal is None:
            raise
        return stopping.exit_code
    log.info("service.stopped")
    return 0


async def _ready_to_start(only: Part | None) -> tuple[Settings, Ports]:
    """Read the settings and take the ports.

    Raises:
        SettingsRefused: with everything that is known to be in the way.
    """
    try:
        settings = Settings.load()
    except SettingsRefused as refused:
        more = await problems_with(what_can_be_read(refused))
        raise SettingsRefused([*refused.problems, *more]) from refused
    ports = Ports()
    problems = [
        *ports.take(settings, only),
        *problems_with_policy(settings),
        *await problems_with(settings),
    ]
    if problems:
        raise SettingsRefused(problems)
    return settings, ports


@asynccontextmanager
async def _running(settings: Settings, only: Part | None, stopping: Stopping) -> AsyncIterator[Services]:
    """Run everything but HTTP."""
    check_event_types()
    collector = settings.otlp_endpoint
    telemetry = configure(
        service_name=settings.service_name,
        level=settings.log_level.value,
        format=settings.log_format.value,
        trace_sample_ratio=settings.trace_sample_ratio,
        otlp_endpoint=None if collector is None else collector.get_secret_value(),
    )
    secret_key = ensure_secret_key(settings)
    try:
        async with database_of_service(settings, stopping) as database:
            await database.migrate()
            ledger = await database.open(settings)
            ledger.tracing = telemetry.tracing
            running = composed(
                ledger, settings, secret_key, only=only, tells_webhooks=only != "api", seals=True
            )
            async with running as services:
                await _warn_of_another_key(ledger, secret_keys_of(secret_key, settings))
                await _first_admin(services, settings)
                await _notary_key(services)
                if not await level(services):
                    log.warning("service.started.not_level")
                yield services
    finally:
        telemetry.shutdown()


async def _warn_of_another_key(ledger: Ledger, secret_keys: Sequence[str]) -> None:
    """Tell it here, where the key was set, rather than by the logins that will fail."""
    async with reading(ledger.pool) as conn:
        found = [finding async for finding in check_secret_keys(conn, secret_keys)]
    for finding in found:
        if finding.verdict is not Verdict.GOOD:
            warn(f"{finding.seen}. {finding.advice}.")


async def _first_admin(services: Services, settings: Settings) -> None:
    """Make the first administrator and show a made-up password, here and nowhere else."""
    chosen = settings.admin_password
    made = await ensure_first_admin(
        services.identity, settings.admin_username, None if chosen is None else chosen.get_secret_value()
    )
    if made is not None:
        _say("Administrator", made.username)
        if made.generated_password is not None:
            _say("Password", f"{made.generated_password}   (made up just now and shown only this once)")
        return
    ledger = services.ledger
    found = await people.find(ledger.pool, ledger.ledger_id, settings.admin_username)
    if found is not None:
        _say("Administrator", found.record.username)


async def _notary_key(services: Services) -> None:
    """Show the public key that auditors are given, if this process seals; a key that others may read ends the start."""
    if services.notary.sealer is None:
        return
    vkey = await services.notary.sealer.vkey()
    if vkey is not None:
        _say("Notary key", vkey)


def _say_ready(settings: Settings, ports: Ports, seconds: float) -> None:
    place = "the one in LEDGER_DATABASE_URL" if settings.database_url else str(settings.data_dir.absolute())
    _say("Database", place)
    host = f"http://{_shown(settings.host)}"
    if ports.service:
        url = f"{host}:{port_of(ports.service)}"
        _say("Service", url)
        _say("API docs", f"{url}/api/docs")
    if ports.metrics:
        _say("Metrics", f"{host}:{port_of(ports.metrics)}/metrics")
    name = f"Decision ledger {version('decision-ledger')} ({settings.environment.value})"
    print(f"{name} is ready after {seconds:.1f} seconds; Ctrl-C stops it.", flush=True)


def _shown(host: str) -> str:
    if host in WILDCARDS:
        return WILDCARDS[host]
    return f"[{host}]" if ":" in host else host


def _say(what: str, value: str) -> None:
    print(f"{what:<14} {value}", flush=True)
