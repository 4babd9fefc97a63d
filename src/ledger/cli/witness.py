"""``ledger witness serve``: a witness for the logs of others, with a folder of its own and nothing else."""

import asyncio
import contextlib
import signal
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Final

import uvicorn
from cyclopts import Parameter

from ledger.verifier.verdict import Unusable, Verdict
from ledger.witness.app import WitnessApp
from ledger.witness.connection import Connection
from ledger.witness.cosigner import Cosigner, KeyUnusable, is_name, keep_key, kept_key
from ledger.witness.memory import Memory
from ledger.witness.witness import Witness, log_key

SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)
LARGEST_PORT: Final = 65535
BACKLOG: Final = 256
MOST_CONNECTIONS: Final = 256
IDLE_SECONDS: Final = 75
DRAIN_SECONDS: Final = 10


class ListenMalformed(Unusable):
    """That is no place to listen; write it like 127.0.0.1:8020 or [::1]:8020."""

    code = "listen-malformed"


class CannotListen(Unusable):
    """The witness cannot listen there.

    Context: ``listen`` and ``reason``.
    """

    code = "cannot-listen"


def serve(
    *,
    key: Annotated[Path, Parameter(help="The file of the private key; made on the first start.")],
    log: Annotated[
        list[str], Parameter(help="The vkey of a log to cosign for; may be repeated.", negative="")
    ],
    state: Annotated[Path, Parameter(help="The folder that remembers what was cosigned. Never restore it.")],
    listen: Annotated[str, Parameter(help="HOST:PORT; port 0 takes any free one.")] = "127.0.0.1:8020",
    name: Annotated[str | None, Parameter(help="What the key is called, when it is made.")] = None,
) -> int:
    """Serve a witness until it is told to stop: it cosigns what continues, by proof, what it cosigned before.

    Needs no database and no service. It speaks plain HTTP; TLS is the business of a proxy in front.
    """
    try:
        keys = [log_key(vkey) for vkey in log]
        with Memory(state) as memory, _listening(listen) as taken:
            witness = Witness(_cosigner(key, name, memory), memory, keys, clock=time.time)
            asyncio.run(_serve(witness, taken))
    except Unusable as unusable:
        print(unusable, file=sys.stderr)
        return Verdict.UNUSABLE
    return 0


def _cosigner(path: Path, name: str | None, memory: Memory) -> Cosigner:
    """Read the key and make sure that the folder is its memory; or make both.

    Raises:
        KeyUnusable: there is none, and no name to make it with.
        MemoryUnusable: the folder is not the memory of this key.
    """
    found = kept_key(path, name)
    if found is not None:
        memory.check_owner(found.vkey)
        return found
    if name is None or not is_name(name):
        reason = (
            "it is not there yet; give the new key a --name without spaces and plus, like example.org/witness"
        )
        raise KeyUnusable(path=str(path), reason=reason)
    made = Cosigner.made(name)
    memory.belong_to(made.vkey)
    keep_key(path, made)
    return made


async def _serve(witness: Witness, taken: socket.socket) -> None:
    server = _Server(_config(witness))
    loop = asyncio.get_running_loop()
    for number in SIGNALS:
        loop.add_signal_handler(number, server.stop)
    host, port = taken.getsockname()[:2]
    for line in (
        f"Witness        {witness.cosigner.name}",
        f"Public key     {witness.cosigner.vkey}",
        *(f"Log            {one.origin}, {one.size} cosigned" for one in witness.standings()),
        f"Listening      http://{f'[{host}]' if ':' in host else host}:{port}",
    ):
        print(line, flush=True)
    try:
        await server.serve([taken])
    finally:
        for number in SIGNALS:
            loop.remove_signal_handler(number)


class _Server(uvicorn.Server):
    """A server that leaves signals to us."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    def stop(self) -> None:
        """Finish what is being answered; asked twice: do not."""
        self.force_exit = self.should_exit
        self.should_exit = True


def _config(witness: Witness) -> uvicorn.Config:
    def broken(reason: OSError) -> None:
        print(f"witness.not_written: {reason}", file=sys.stderr, flush=True)

    return uvicorn.Config(
        WitnessApp(witness, broken=broken),
        http=Connection,
        ws="none",
        lifespan="off",
        log_config=None,
        log_level="error",
        access_log=False,
        server_header=False,
        limit_concurrency=MOST_CONNECTIONS,
        timeout_keep_alive=IDLE_SECONDS,
        timeout_graceful_shutdown=DRAIN_SECONDS,
    )


@contextlib.contextmanager
def _listening(listen: str) -> Iterator[socket.socket]:
    """Take the port.

    Raises:
        ListenMalformed: that is no host and port.
        CannotListen: the port cannot be had.
    """
    host, _, port = listen.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not host or not (port.isascii() and port.isdigit() and int(port) <= LARGEST_PORT):
        raise ListenMalformed(listen=listen)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        taken = socket.create_server((host, int(port)), family=family, backlog=BACKLOG)
    except OSError as reason:
        raise CannotListen(listen=listen, reason=str(reason)) from reason
    with taken:
        yield taken
