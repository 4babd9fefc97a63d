"""The HTTP side of the service: uvicorn, stopped by us and by nobody else."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import Final

import structlog
import uvicorn

from ledger.api.app import create_app, create_metrics_app
from ledger.api.door import Door
from ledger.api.services import Services
from ledger.cli.connection import Connection
from ledger.cli.web_socket import WebSocket
from ledger.delivery.live import Live
from ledger.settings import Settings

log = structlog.get_logger()

MAX_MESSAGE_BYTES: Final = 16 * 1024
PING_SECONDS: Final = 30.0
DRAIN_SECONDS: Final = 10.0
LAST_WORD_SECONDS: Final = 1.0


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

    Stopping takes no new requests at once and gives those under way 10 seconds; who is not answered by then is
    told so (503). The task that is given ends early only when the server fails.
    """
    async with serving_door(create_app(services), services.live, settings, sockets) as task:
        yield task


@asynccontextmanager
async def serving_door(
    door: Door, live: Live, settings: Settings, sockets: Sequence[socket.socket]
) -> AsyncIterator[asyncio.Task[None]]:
    """Serve what is behind ``door``, as ``serving`` does; ``live`` knows who only listens."""
    server = _Server(_config(door, settings))
    task = asyncio.create_task(server.serve(list(sockets)), name="http")
    try:
        yield task
    finally:
        _tell_of_stop(server, live)
        await _stop(server, task)


@asynccontextmanager
async def serving_metrics(
    services: Services, settings: Settings, sockets: Sequence[socket.socket]
) -> AsyncIterator[asyncio.Task[None]]:
    """Serve the metrics, and nothing else, on open ``sockets`` for the time of the block; as ``serving`` otherwise."""
    server = _Server(_config(create_metrics_app(services), settings))
    task = asyncio.create_task(server.serve(list(sockets)), name="metrics")
    try:
        yield task
    finally:
        await _stop(server, task)


def _tell_of_stop(server: _Server, live: Live) -> None:
    """End what would never end by itself, and tell how many requests are waited for."""
    count = len(server.server_state.tasks) - live.connected()
    live.close()
    if count > 0:
        requests = "1 request" if count == 1 else f"{count} requests"
        print(f"Waiting for {requests} to end; Ctrl-C again stops at once.", flush=True)


async def _stop(server: _Server, task: asyncio.Task[None]) -> None:
    server.should_exit = True
    await asyncio.wait({task}, timeout=DRAIN_SECONDS)
    if not task.done():
        await _give_up(server, task)
    await task


async def _give_up(server: _Server, task: asyncio.Task[None]) -> None:
    """Have every request that is left answered 503, and hang up on those who do not even read that."""
    requests = tuple(server.server_state.tasks)
    log.warning("service.stopping.gave_up", requests=len(requests), seconds=DRAIN_SECONDS)
    for request in requests:
        request.cancel()
    await asyncio.wait({task}, timeout=LAST_WORD_SECONDS)
    for connection in tuple(server.server_state.connections):
        connection.transport.abort()


def _config(app: Door, settings: Settings) -> uvicorn.Config:
    proxies = [str(network) for network in settings.trusted_proxies]
    return uvicorn.Config(
        app,
        http=Connection,
        ws=WebSocket,
        ws_max_size=MAX_MESSAGE_BYTES,
        ws_ping_interval=PING_SECONDS,
        ws_ping_timeout=PING_SECONDS,
        ws_per_message_deflate=False,  # what is small unpacks to what is not
        lifespan="off",
        log_config=None,
        log_level="error",  # its warnings are about callers, who have their line already
        access_log=False,
        server_header=False,
        proxy_headers=bool(proxies),
        forwarded_allow_ips=proxies,
    )
