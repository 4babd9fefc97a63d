"""The HTTP side of the service: uvicorn, stopped by us and by nobody else."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import Final

import uvicorn

from ledger.api.app import create_app
from ledger.api.services import Services
from ledger.settings import Settings

DRAIN_SECONDS: Final = 10


class _Server(uvicorn.Server):
    """A server that leaves signals alone: whoever started it also listens for them."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@asynccontextmanager
async def serving(
    services: Services, settings: Settings, sockets: Sequence[socket.socket]
) -> AsyncIterator[asyncio.Task[None]]:
    """Serve HTTP on open ``sockets`` for the time of the block, then finish what is being answered.

    Stopping takes no new requests at once and gives those under way 10 seconds. The task that is given ends
    early only when the server fails.
    """
    server = _Server(_config(services, settings))
    task = asyncio.create_task(server.serve(list(sockets)), name="http")
    try:
        yield task
    finally:
        server.should_exit = True
        await task


def _config(services: Services, settings: Settings) -> uvicorn.Config:
    proxies = [str(network) for network in settings.trusted_proxies]
    return uvicorn.Config(
        create_app(services),
        http="httptools",
        ws="none",
        lifespan="off",
        log_config=None,
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=bool(proxies),
        forwarded_allow_ips=proxies,
        timeout_graceful_shutdown=DRAIN_SECONDS,
    )
