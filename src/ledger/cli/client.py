"""Commands that are clients of a running service: where it is, and who calls."""

import sys
from getpass import getpass
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

import httpx2

from ledger.cli.client_settings import ClientRefused, ClientSettings
from ledger.setting_values import Problem

CONNECT_SECONDS: Final = 10.0
ANSWER_SECONDS: Final = 60.0


def client_of(settings: ClientSettings, *, connections: int) -> httpx2.AsyncClient:
    """Make a client that shows its token; asks for the token on a terminal if there is none.

    Raises:
        ClientRefused: there is no token, and nobody to ask.
    """
    return httpx2.AsyncClient(
        base_url=settings.url,
        headers={"Authorization": f"Bearer {_token(settings)}"},
        timeout=httpx2.Timeout(ANSWER_SECONDS, connect=CONNECT_SECONDS),
        limits=httpx2.Limits(max_connections=connections, max_keepalive_connections=connections),
        trust_env=not _is_this_machine(settings.url),  # a proxy leads elsewhere
    )


def _token(settings: ClientSettings) -> str:
    if settings.token is not None:
        return settings.token.get_secret_value()
    if not sys.stdin.isatty():
        advice = "is needed: the access_token that POST /api/auth/login answers"
        raise ClientRefused([Problem("LEDGER_TOKEN", advice)])
    return getpass("Access token (not shown; LEDGER_TOKEN saves the question): ").strip()


def _is_this_machine(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
