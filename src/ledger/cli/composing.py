"""The parts of a running service, begun from the bottom up and stopped from the top down."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final, Literal, TypeAlias

import structlog
from pydantic import SecretStr

from ledger.api.services import Services
from ledger.cli.guarding import going_on
from ledger.domain.access.decide import ACCESS
from ledger.domain.account.decide import ACCOUNT
from ledger.domain.decision.decide import DECISION
from ledger.domain.event import type_name
from ledger.domain.operations.decide import OPERATIONS
from ledger.domain.session.decide import SESSION
from ledger.identity.following import Following
from ledger.identity.identity import Identity, Limits, utc_now
from ledger.operations.rebuilder import Rebuilder
from ledger.projections.progress import Progress
from ledger.projections.runner import Runner
from ledger.reactions import sessions
from ledger.settings import Settings
from ledger.store.ledger import Ledger
from ledger.store.postgres_process import until
from ledger.upcasters.chain import validate

log = structlog.get_logger()

Part: TypeAlias = Literal["api", "workers"]

STOP_SECONDS: Final = 15.0
READY_SECONDS: Final = 10.0


def check_event_types() -> None:
    """Make sure that every stored version can be read.

    Raises:
        BrokenChain: this release was put together wrongly.
    """
    types = (
        *DECISION.event_types,
        *SESSION.event_types,
        *ACCOUNT.event_types,
        *ACCESS.event_types,
        *OPERATIONS.event_types,
    )
    validate({type_name(event_type): event_type.schema_version for event_type in types})


def secret_keys_of(secret_key: SecretStr) -> list[str]:
    """List the secrets that sign and seal, the current one first."""
    return [secret_key.get_secret_value()]


def identity_of(
    ledger: Ledger, settings: Settings, secret_key: SecretStr, following: Following | None = None
) -> Identity:
    """Prepare the room of people with the choices of this installation."""
    return Identity.of(
        ledger,
        secret_keys=secret_keys_of(secret_key),
        limits=Limits(max_sessions=settings.max_sessions),
        following=following,
    )


@asynccontextmanager
async def composed(
    ledger: Ledger, settings: Settings, secret_key: SecretStr, *, only: Part | None = None
) -> AsyncIterator[Services]:
    """Start everything behind the HTTP side on an open ledger; stops it, and the ledger, in the end.

    ``only`` one part leaves the other to another process: ``api`` feeds no projections and reacts to nothing.
    """
    progress = Progress(ledger)
    runner = None if only == "api" else Runner(ledger, progress)
    following = Following(ledger)
    identity = identity_of(ledger, settings, secret_key, following)
    services = Services(
        ledger=ledger,
        progress=progress,
        runner=runner,
        identity=identity,
        clock=utc_now,
        service_name=settings.service_name,
        cors_origins=settings.cors_origins,
        max_body_bytes=settings.max_body_bytes,
    )
    try:
        ledger.start()
        progress.start()
        following.start()
        if runner is None:
            yield services
        else:
            runner.start()
            rebuilder = Rebuilder(ledger)
            async with (
                going_on("sessions", lambda: sessions.run_forever(identity)),
                going_on("rebuilds", rebuilder.run_forever),
            ):
                yield services
    finally:
        await _stop(services)


async def _stop(services: Services) -> None:
    """Stop within 15 seconds, whatever hangs; what was acknowledged is durable long before this."""
    try:
        async with asyncio.timeout(STOP_SECONDS):
            if services.runner is not None:
                await services.runner.stop()
            if services.identity.following is not None:
                await services.identity.following.stop()
            await services.progress.stop()
            await services.ledger.stop()
    except TimeoutError:
        log.error("service.stop.timed_out", seconds=STOP_SECONDS)  # noqa: TRY400 - where it hung is not ours
        services.ledger.pool.terminate()


async def level(services: Services) -> bool:
    """Wait until what must be level is, at most 10 seconds; ``False``: it is not, and the service begins all the same.

    A view that cannot be fed must not keep commands out; readiness says so meanwhile.
    """
    return await until(lambda: _is_level(services), READY_SECONDS)


def _is_level(services: Services) -> bool:
    return services.ledger.signals.is_connected() and (services.runner is None or services.runner.is_ready())
