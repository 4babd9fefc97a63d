"""The parts of a running service, begun from the bottom up and stopped from the top down."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from typing import Final, Literal, TypeAlias

import structlog
from msgspec.structs import replace
from pydantic import SecretStr

from ledger.api.lookups import Lookups
from ledger.api.metrics import digest_of
from ledger.api.services import Services
from ledger.api.uploads import Uploads
from ledger.cli.guarding import going_on
from ledger.cli.sealing import notary_of
from ledger.cli.watching import watch_of
from ledger.delivery.live import Live
from ledger.domain.event import type_name
from ledger.identity.following import Following
from ledger.identity.identity import Identity, Limits, utc_now
from ledger.limiting.limiter import Limiter
from ledger.limiting.rates import MINUTE, Rates
from ledger.limiting.shared import Shared
from ledger.operations.rebuilder import Rebuilder
from ledger.projections.progress import Progress
from ledger.projections.runner import Runner
from ledger.projections.standby import Standby
from ledger.reactions import (
    failed_logins,
    readings,
    releases,
    sessions,
    subject_keys,
    timers,
    webhook_following,
    webhook_sweeping,
)
from ledger.reactions.steady_clock import SteadyClock
from ledger.reactions.webhook_sending import Courier
from ledger.sealing import retention
from ledger.sealing.receipts import Receipts
from ledger.sealing.stamping import Stamping
from ledger.sealing.witnessing import Rounds
from ledger.settings import Settings
from ledger.store.event_types import EVENT_TYPES
from ledger.store.ledger import Ledger
from ledger.store.local_postgres.process import until
from ledger.upcasters.chain import validate
from ledger.webhooks.webhooks import Webhooks

log = structlog.get_logger()

Part: TypeAlias = Literal["api", "workers"]

STOP_SECONDS: Final = 15.0
READY_SECONDS: Final = 10.0


def check_event_types() -> None:
    """Make sure that every stored version can be read.

    Raises:
        BrokenChain: this release was put together wrongly.
    """
    validate({type_name(event_type): event_type.schema_version for event_type in EVENT_TYPES})


def secret_keys_of(secret_key: SecretStr, settings: Settings) -> list[str]:
    """List the secrets that sign and seal, the current one first, and those that still read."""
    return [key.get_secret_value() for key in (secret_key, *settings.previous_secret_keys)]


def rates_of(settings: Settings) -> Rates:
    """Take the numbers of this installation."""
    return Rates(
        requests_per_minute=settings.requests_per_minute,
        registrations_per_minute=settings.registrations_per_minute,
        failed_logins=settings.failed_logins,
        failed_logins_per_address=settings.failed_logins_per_address,
        second_factor_tries=settings.second_factor_tries,
        guessing_seconds=settings.guessing_minutes * MINUTE,
    )


def limiter_of(ledger: Ledger, settings: Settings) -> Limiter:
    """Count in this process, and in the Redis of the settings for all processes on this ledger."""
    if settings.redis_url is None:
        return Limiter()
    prefix = f"ledger:{hashlib.sha256(ledger.request_key).hexdigest()[:12]}"  # several ledgers may share one
    return Limiter(shared=Shared(settings.redis_url.get_secret_value(), prefix=prefix))


def identity_of(
    ledger: Ledger,
    settings: Settings,
    secret_key: SecretStr,
    *,
    limiter: Limiter | None = None,
    following: Following | None = None,
) -> Identity:
    """Prepare the room of people with the choices of this installation."""
    return Identity.of(
        ledger,
        secret_keys=secret_keys_of(secret_key, settings),
        limits=Limits(max_sessions=settings.max_sessions),
        following=following,
        limiter=limiter,
        rates=rates_of(settings),
    )


def webhooks_of(identity: Identity, settings: Settings, secret_key: SecretStr) -> Webhooks:
    """Prepare the room of webhooks with the choices of this installation."""
    return Webhooks.of(
        identity,
        secret_keys=secret_keys_of(secret_key, settings),
        allowed=settings.webhook_allowed_networks,
    )


@asynccontextmanager
async def composed(
    ledger: Ledger,
    settings: Settings,
    secret_key: SecretStr,
    *,
    only: Part | None = None,
    tells_webhooks: bool = False,
    seals: bool = False,
) -> AsyncIterator[Services]:
    """Start everything behind the HTTP side on an open ledger; stops it, and the ledger, in the end.

    ``only`` one part leaves the other to another process: ``api`` feeds no projections and reacts to nothing.
    ``tells_webhooks`` is for a service that stays: a command would break off what it had begun to send, and may have
    been started where other addresses can be reached. So is ``seals``, where the notary seals what is appended, and
    witnesses are asked: a command works without their policy.
    """
    standby = None if only == "workers" else await standby_of(ledger, settings)
    services = _prepared(ledger, settings, secret_key, only=only, seals=seals, standby=standby)
    runner, following = services.runner, services.identity.following
    telling = _telling(services.webhooks) if tells_webhooks else ()
    try:
        ledger.start()
        services.progress.start()
        if following is not None:
            following.start()
        async with AsyncExitStack() as stack:
            for name, begin in (*_tasks(services, settings, only), *telling):
                await stack.enter_async_context(going_on(name, begin))
            if runner is not None:
                runner.start()
            yield services
    finally:
        await _stop(services)


async def standby_of(ledger: Ledger, settings: Settings) -> Standby | None:
    """Prepare to read from the standby of the settings, if there is one; whether it answers is seen later."""
    if settings.read_database_url is None:
        return None
    url = settings.read_database_url.get_secret_value()
    return await Standby.open(ledger, url, max_size=settings.db_pool_max_size)


def _prepared(
    ledger: Ledger,
    settings: Settings,
    secret_key: SecretStr,
    *,
    only: Part | None,
    seals: bool,
    standby: Standby | None,
) -> Services:
    """Make every part of a service, none of them started."""
    progress = Progress(ledger)
    runner = None if only == "api" else Runner(ledger, progress)
    following = Following(ledger)
    limiter = limiter_of(ledger, settings)
    identity = identity_of(ledger, settings, secret_key, limiter=limiter, following=following)
    notary = notary_of(ledger, settings, seals=seals and only != "api")
    token = settings.metrics_token
    return Services(
        ledger=ledger,
        progress=progress,
        runner=runner,
        identity=identity,
        webhooks=webhooks_of(identity, settings, secret_key),
        notary=notary,
        watch=watch_of(settings) if seals else None,
        clock=utc_now,
        service_name=settings.service_name,
        cors_origins=settings.cors_origins,
        max_body_bytes=settings.max_body_bytes,
        uploads=Uploads(most_bytes=settings.max_evidence_bytes),
        max_claims=settings.max_claims,
        limiter=limiter,
        rates=rates_of(settings),
        receipts=Receipts(ledger, notary),
        tlog_public=settings.tlog_public,
        metrics_apart=settings.metrics_port is not None,
        standby=standby,
        metrics_digest=None if token is None else digest_of(token.get_secret_value()),
        live=Live(ledger, following, max_streams=settings.max_streams, max_waiters=settings.max_waiters),
        lookups=Lookups(ledger, following),
    )


def _tasks(
    services: Services, settings: Settings, only: Part | None
) -> Iterator[tuple[str, Callable[[], Coroutine[None, None, None]]]]:
    """Name what goes on beside the answers: all of it, or what one part needs."""
    identity = services.identity
    yield "failed-logins", lambda: failed_logins.run_forever(identity)
    yield "readings", lambda: readings.run_forever(identity, services.readings)
    if only != "workers":
        yield from services.live.tasks()
        yield "notary", services.notary.run_forever
    if services.standby is not None:
        yield "standby", services.standby.run_forever
    if services.notary.sealer is not None:
        yield "sealing", services.notary.sealer.run_forever
        if services.notary.patrol is not None:
            yield "patrol", services.notary.patrol.run_forever
        yield "retention", lambda: retention.run_forever(services.ledger, SteadyClock(services.clock))
        yield from _attesting(services, settings)
    if services.runner is not None:
        steady = replace(identity, clock=SteadyClock(identity.clock))
        yield "sessions", lambda: sessions.run_forever(steady)
        yield "subject-keys", lambda: subject_keys.run_forever(identity)
        yield "releases", lambda: releases.run_forever(identity.ledger, identity.clock)
        yield "timers", lambda: timers.run_forever(identity.ledger, identity.clock)
        yield "rebuilds", Rebuilder(identity.ledger).run_forever


def _telling(hooks: Webhooks) -> Iterator[tuple[str, Callable[[], Coroutine[None, None, None]]]]:
    """Name what tells webhooks."""
    yield "webhook-following", lambda: webhook_following.run_forever(hooks)
    yield "webhook-sending", lambda: Courier(hooks).run_forever()
    yield "webhook-sweeping", lambda: webhook_sweeping.run_forever(hooks)


def _attesting(
    services: Services, settings: Settings
) -> Iterator[tuple[str, Callable[[], Coroutine[None, None, None]]]]:
    """Name what asks others to attest checkpoints."""
    ledger, sealed, watch = services.ledger, services.notary.sealed, services.watch
    if watch is not None:
        interval = settings.witness_interval
        yield "witnesses", Rounds(ledger, watch, sealed, services.clock, interval=interval).run_forever
    if settings.timestamp_url is not None:
        url, every = settings.timestamp_url.get_secret_value(), timedelta(seconds=settings.timestamp_interval)
        yield "timestamps", Stamping(ledger, url, services.clock, interval=every).run_forever


async def _stop(services: Services) -> None:
    """Stop within 15 seconds, whatever hangs; what was acknowledged is durable long before this."""
    try:
        async with asyncio.timeout(STOP_SECONDS):
            if services.runner is not None:
                await services.runner.stop()
            if services.identity.following is not None:
                await services.identity.following.stop()
            await services.progress.stop()
            await failed_logins.tell(services.identity)
            await readings.tell(services.identity, services.readings, anyway=True)
            if services.standby is not None:
                await services.standby.stop()
            await services.ledger.stop()
            await services.limiter.stop()
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
