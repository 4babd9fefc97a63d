"""Where a database is: the hosts that one URL may name, one by one."""

from collections.abc import Iterator
from typing import Final
from urllib.parse import parse_qs, quote, urlencode, urlsplit, urlunsplit

CHOOSES_BY_ITSELF: Final = "prefer-standby"
"""Needs to see all of its hosts before it takes one."""


def each_host(url: str) -> Iterator[str]:
    """Give the URL of each host that ``url`` names, in its order; the rest of it is the same for all."""
    split = urlsplit(url)
    login, at, netloc = split.netloc.rpartition("@")
    query = {name: values[-1] for name, values in parse_qs(split.query).items()}
    hosts = (netloc or query.get("host", "")).split(",")
    if len(hosts) == 1 or query.get("target_session_attrs") == CHOOSES_BY_ITSELF:
        yield url
    elif netloc:
        for host in hosts:
            yield urlunsplit(split._replace(netloc=login + at + host))
    else:
        ports = query.get("port", "").split(",")
        for number, host in enumerate(hosts):
            port = ports[number] if len(ports) == len(hosts) else ports[0]
            place = {"host": host, **({"port": port} if port else {})}
            yield urlunsplit(split._replace(query=urlencode({**query, **place}, quote_via=quote)))
