"""How often a caller may ask: people by who they are, everybody else by where they come from."""

from typing import Final

from litestar.types import Scope

from ledger.api.auth import services_of
from ledger.api.services import Services
from ledger.api.types import AnyConnection
from ledger.domain.ids import PersonId
from ledger.limiting.addresses import network_of
from ledger.limiting.rates import Quota, Rate, TooManyRequests

_KEY: Final = "ledger_quota"
EVERYBODY: Final = "everybody"
UNCOUNTED: Final = frozenset({"/health/live", "/health/ready", "/metrics"})
"""Asked all the time by machines that watch the service."""


async def spend_as(connection: AnyConnection, person: PersonId) -> None:
    """Count a request of somebody we know.

    Raises:
        TooManyRequests: it is one too many in this minute.
    """
    await _spend(connection, f"person:{person}")


async def spend_message(services: Services, person: PersonId) -> None:
    """Count a message of somebody who is connected, as a request.

    Raises:
        TooManyRequests: it is one too many in this minute.
    """
    rate, caller = services.rates.requests(), f"person:{person}"
    if await services.limiter.count(rate, caller) is None:
        raise TooManyRequests(retry_after=await services.limiter.seconds_to_window(rate, caller))


async def spend_from_address(connection: AnyConnection) -> None:
    """Count a request of somebody we do not know.

    Raises:
        TooManyRequests: it is one too many in this minute.
    """
    if connection.scope["path"] not in UNCOUNTED:
        address = network_of(connection.client.host) if connection.client else ""
        await _spend(connection, f"address:{address}")


async def spend_registration(services: Services) -> None:
    """Count a registration, whoever asks for it.

    Raises:
        TooManyRequests: it is one too many in this minute.
    """
    rate = services.rates.registrations()
    if await services.limiter.count(rate, EVERYBODY) is None:
        raise TooManyRequests(retry_after=await services.limiter.seconds_to_window(rate, EVERYBODY))


async def _spend(connection: AnyConnection, caller: str) -> None:
    services, scope = services_of(connection.app), connection.scope
    rate = services.rates.requests()
    quota = await services.limiter.count(rate, caller)
    if quota is None:
        wait = await services.limiter.seconds_to_window(rate, caller)
        scope["state"][_KEY] = Quota(rate=rate, remaining=0, reset_seconds=wait)
        raise TooManyRequests(retry_after=wait)
    scope["state"][_KEY] = quota


def quota_headers(scope: Scope) -> tuple[tuple[bytes, bytes], ...]:
    """Tell a caller what is left (draft-ietf-httpapi-ratelimit-headers-10); nothing where nothing was counted."""
    quota = scope["state"].get(_KEY)
    if not isinstance(quota, Quota):
        return ()
    rate: Rate = quota.rate
    return (
        (b"ratelimit-policy", f'"{rate.name}";q={rate.amount};w={rate.seconds}'.encode("ascii")),
        (b"ratelimit", f'"{rate.name}";r={quota.remaining};t={quota.reset_seconds}'.encode("ascii")),
    )
