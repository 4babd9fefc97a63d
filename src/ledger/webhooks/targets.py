"""The address of a receiver as somebody writes it, checked before anything is sent there."""

from collections.abc import Sequence
from ipaddress import ip_address
from typing import Final

import httpx2
import msgspec

from ledger.domain.errors import Invalid
from ledger.identity.people import holds_unseen, is_storable
from ledger.webhooks.addresses import Network, check

MOST_CHARACTERS: Final = 2_000
MOST_PORT: Final = 65_535
MOST_OF_A_PART: Final = 63
"""RFC 1035, section 2.3.4: how long each part of a name may be, between its dots."""


class BadTarget(Invalid):
    """This is no URL that a webhook can have.

    Context: ``reason``.
    """

    code = "webhook-url"
    advice = "Write it like https://hooks.example.org/decisions."


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """A checked URL; ``origin`` is what may be told of it: its path may hold a secret."""

    url: str
    origin: str


def target_of(text: str, allowed: Sequence[Network]) -> Target:
    """Check a URL; which addresses its host has is looked at whenever something is sent.

    Raises:
        BadTarget: it is no URL, or one of another scheme, with a password or a fragment, or of no host.
        AddressRefused: its host is an address that nothing is sent to.
    """
    if not 1 <= len(text) <= MOST_CHARACTERS or holds_unseen(text) or not is_storable(text) or " " in text:
        raise BadTarget(reason=f"it has 1 to {MOST_CHARACTERS} characters, none of them unseen")
    try:
        url = httpx2.URL(text)
    except httpx2.InvalidURL as malformed:
        raise BadTarget(reason="it is no URL") from malformed
    if url.userinfo or url.fragment or not url.host:
        raise BadTarget(reason="it has a host, and neither credentials nor a fragment")
    if url.port is not None and not 1 <= url.port <= MOST_PORT:
        raise BadTarget(reason="its port is a number from 1 to 65535")
    if url.scheme != "https" and not (url.scheme == "http" and allowed):
        raise BadTarget(
            reason="it begins with https://; http:// is for networks that LEDGER_WEBHOOK_ALLOWED_NETWORKS names"
        )
    _check_host(url, allowed)
    return Target(url=text, origin=origin_of(text))


def origin_of(text: str) -> str:
    """Give scheme, host and port of a URL."""
    url = httpx2.URL(text)
    return f"{url.scheme}://{url.netloc.decode('ascii')}"


def _check_host(url: httpx2.URL, allowed: Sequence[Network]) -> None:
    try:
        ip_address(url.host)
    except ValueError:
        _check_name(url.raw_host)
        return
    check(url.host, url.host, allowed, is_plain=url.scheme == "http")


def _check_name(name: bytes) -> None:
    parts = name.removesuffix(b".").split(b".")
    if not all(1 <= len(part) <= MOST_OF_A_PART for part in parts):
        raise BadTarget(reason=f"its host has parts of 1 to {MOST_OF_A_PART} characters between its dots")
