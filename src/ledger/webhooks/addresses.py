"""Where a webhook may lead: no address of a network of ours, whatever a name says and however it changes its mind.

Names are resolved when a connection is made, all their addresses are checked, and the connection goes to one that
was: there is no second look-up in which a name could turn out to mean something else (DNS rebinding).
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final, TypeAlias

import httpcore2

from ledger.domain.errors import Invalid

Address: TypeAlias = IPv4Address | IPv6Address
Network: TypeAlias = IPv4Network | IPv6Network
Resolve: TypeAlias = Callable[[str, int], Awaitable[Sequence[str]]]

RESOLVERS: Final = 32
"""Threads of our own: names that take long to resolve keep nobody waiting who needs the common ones."""

NAT64: Final = IPv6Network("64:ff9b::/96")
"""RFC 6052: the last 32 bits are the IPv4 address that is meant."""

NEVER: Final = tuple(
    ip_network(network)
    for network in (
        "192.0.0.0/24",  # protocol assignments, RFC 6890: metadata of one cloud among them
        "168.63.129.16/32",  # the host of a virtual machine on Azure, a public address
        "192.88.99.0/24",  # 6to4 relays, RFC 7526
        "2001::/32",  # Teredo, RFC 4380: tunnels to an IPv4 address
        "2002::/16",  # 6to4, RFC 3056: the same
        "64:ff9b:1::/48",  # NAT64 of a local network, RFC 8215
        "3fff::/20",  # documentation, RFC 9637; younger than some interpreters
        "5f00::/16",  # segment routing, RFC 9602; the same
    )
)


class AddressRefused(Invalid):
    """The webhook leads to an address that nothing is sent to.

    Context: ``host``, ``address``.
    """

    code = "webhook-address-refused"
    advice = (
        "Private and reserved networks, and plain HTTP, are for those of LEDGER_WEBHOOK_ALLOWED_NETWORKS."
    )


def meant(address: Address) -> Address:
    """Say which address a connection would come to: the IPv4 address in an IPv6 one that only wraps it."""
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return address.ipv4_mapped
        if address in NAT64:
            return IPv4Address(int(address) & 0xFFFFFFFF)
    return address


def is_public(address: Address) -> bool:
    """Tell whether an address belongs to the public internet and to one receiver."""
    if any(address in network for network in NEVER):
        return False
    return address.is_global and not (
        address.is_multicast
        or address.is_reserved
        or address.is_loopback
        or address.is_link_local
        or address.is_unspecified
        or (isinstance(address, IPv6Address) and address.is_site_local)
    )


def check(host: str, text: str, allowed: Sequence[Network], *, is_plain: bool) -> None:
    """Refuse an address that is not public, and without TLS every one, unless it is in an ``allowed`` network.

    Raises:
        AddressRefused: naming it.
    """
    address = meant(ip_address(text))
    if any(address in network for network in allowed):
        return
    if is_plain or not is_public(address):
        raise AddressRefused(host=host, address=text)


class GuardedBackend(httpcore2.AsyncNetworkBackend):
    """Opens connections to checked addresses; TLS is still verified by the host's name."""

    def __init__(self, allowed: Sequence[Network], *, is_plain: bool, resolve: Resolve | None = None) -> None:
        """Let through what is public, or in ``allowed``; ``is_plain``: the latter only."""
        self._allowed, self._is_plain = tuple(allowed), is_plain
        self._resolve = resolve or Resolver().addresses
        self._inner = httpcore2.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - the library's own signature
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        """Connect to the first of the host's addresses that answers.

        Raises:
            AddressRefused: one of its addresses is not to be sent to, so none of them is.
            ConnectError: it has no address, or nothing answers there.
        """
        addresses = await self._addresses(host, port, timeout)
        last = len(addresses) - 1
        for number, address in enumerate(addresses):
            try:
                return await self._inner.connect_tcp(address, port, timeout, local_address, socket_options)
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout):
                if number == last:
                    raise
        raise httpcore2.ConnectError("the name has no address")

    async def _addresses(self, host: str, port: int, timeout: float | None) -> Sequence[str]:  # noqa: ASYNC109
        try:
            async with asyncio.timeout(timeout):
                addresses = await self._resolve(host, port)
        except TimeoutError as late:
            raise httpcore2.ConnectTimeout("the name does not resolve in time") from late
        except (OSError, UnicodeError) as unknown:  # the latter: no name has parts like these
            raise httpcore2.ConnectError("the name does not resolve") from unknown
        for address in addresses:
            check(host, address, self._allowed, is_plain=self._is_plain)
        return addresses


class Resolver:
    """Looks names up as this machine does, in threads of its own."""

    def __init__(self) -> None:
        """Make no thread before it is needed."""
        self._threads = ThreadPoolExecutor(RESOLVERS, thread_name_prefix="webhook-names")

    async def addresses(self, host: str, port: int) -> Sequence[str]:
        """Give every address of a host, in the order in which they are to be tried."""
        found = await asyncio.get_running_loop().run_in_executor(
            self._threads, lambda: socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        )
        return list(dict.fromkeys(str(address[0]) for *_, address in found))
