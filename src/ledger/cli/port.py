"""The ports, taken at the very beginning and opened at the very end of a start."""

import errno
import socket
from collections.abc import Iterator, Sequence
from typing import Final

from ledger.setting_values import Problem
from ledger.settings import Settings, SettingsRefused

BACKLOG: Final = 2048
SERVICE_PORT: Final = "LEDGER_PORT"
METRICS_PORT: Final = "LEDGER_METRICS_PORT"


class Ports:
    """What one process listens on; what is empty is not served here."""

    def __init__(self) -> None:
        """Take nothing yet."""
        self.service: list[socket.socket] = []
        self.metrics: list[socket.socket] = []

    def take(self, settings: Settings, only: str | None) -> Iterator[Problem]:
        """Take the ports that this process needs, and say which cannot be had: workers have none but for metrics."""
        if only != "workers":
            try:
                self.service = take_port(settings.host, settings.port)
            except SettingsRefused as refused:
                yield from refused.problems
        if settings.metrics_port is not None:
            try:
                self.metrics = take_port(settings.host, settings.metrics_port, setting=METRICS_PORT)
            except SettingsRefused as refused:
                yield from refused.problems


def take_port(host: str, port: int, *, setting: str = SERVICE_PORT) -> list[socket.socket]:
    """Take ``port`` on every address of ``host`` without opening it; 0 takes any free one.

    Until ``open_port`` whoever connects is refused: a start says early that the port is in use, and late
    that the service is there. ``setting`` is what a refusal names.

    Raises:
        SettingsRefused: it is in use, forbidden to this user, or the host is not this machine's.
    """
    taken: list[socket.socket] = []
    try:
        for family, kind, protocol, _, address in socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        ):
            chosen = port_of(taken) if taken and port == 0 else port
            taken.append(_bound(socket.socket(family, kind, protocol), (address[0], chosen, *address[2:])))
    except OSError as reason:
        for opened in taken:
            opened.close()
        raise SettingsRefused([problem_with(host, port, reason, setting=setting)]) from reason
    return taken


def open_port(taken: Sequence[socket.socket], *, setting: str = SERVICE_PORT) -> None:
    """Begin to accept connections.

    Raises:
        SettingsRefused: another program took the same port at the same time, and opened it first.
    """
    host, port = taken[0].getsockname()[:2]
    try:
        for bound in taken:
            bound.listen(BACKLOG)
    except OSError as reason:
        raise SettingsRefused([problem_with(host, port, reason, setting=setting)]) from reason


def port_of(taken: Sequence[socket.socket]) -> int:
    """Tell which port was taken."""
    return int(taken[0].getsockname()[1])


def problem_with(host: str, port: int, reason: OSError, *, setting: str = SERVICE_PORT) -> Problem:
    """Say why a port cannot be had."""
    if reason.errno == errno.EADDRINUSE:
        advice = f"port {port} of {host} is in use by another program; stop that one or choose another port"
        return Problem(setting, advice)
    if reason.errno == errno.EACCES:
        return Problem(setting, f"port {port} is for privileged users; choose one above 1023")
    why = (reason.strerror or str(reason)).lower()
    return Problem("LEDGER_HOST", f"{host!r} is no address that this machine can serve on: {why}")


def _bound(opened: socket.socket, address: tuple[object, ...]) -> socket.socket:
    try:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if opened.family == socket.AF_INET6:  # the IPv4 side of a name has a socket of its own
            opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        opened.setblocking(False)
        opened.bind(address)
    except OSError:
        opened.close()
        raise
    return opened
