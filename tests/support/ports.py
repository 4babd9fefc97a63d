"""Ports for servers that are told which one to take: held meanwhile, so that nobody else gets them by chance."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def held_port() -> Iterator[int]:
    """A port of this machine that is ours in the block, while servers on it come and go.

    A socket stays bound to it and does not listen: no client is given the port, nobody who asks for any free one
    is, and a server that is told to take it may, for all of ours ask for an address that is in use.
    """
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind(("127.0.0.1", 0))
        yield holder.getsockname()[1]
