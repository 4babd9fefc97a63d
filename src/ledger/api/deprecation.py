"""Calls that will be gone one day: marked in their ``opt`` alone, told in every answer and in the description.

A handler says ``opt={"deprecated": Deprecation(…)}``. From then on each of its answers, refusals too, carries
Deprecation (RFC 9745) and Sunset (RFC 8594), and links to what to do instead (docs/api-changes.md).
"""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from email.utils import format_datetime
from typing import Final

import msgspec
from litestar.handlers import BaseRouteHandler
from litestar.types import HTTPScope

NOTICE: Final = timedelta(days=180)
"""That clients have at least, from the day a call is deprecated until it is gone."""
HEADERS_OF_DEPRECATED: Final = ("Deprecation", "Sunset", "Link")


class Deprecation(msgspec.Struct, frozen=True, kw_only=True):
    """Since when a call is deprecated, from which day on it may be gone (both UTC), and where that is written.

    ``successor`` is the path of the call to make instead; ``None``: there is none.
    """

    since: date
    sunset: date
    told_at: str
    successor: str | None = None

    def __post_init__(self) -> None:
        """Refuse less notice than is promised."""
        if self.sunset - self.since < NOTICE:
            raise ValueError(f"clients are promised {NOTICE.days} days")


def deprecation_of(handler: BaseRouteHandler) -> Deprecation | None:
    """Find how a route is marked."""
    marked = handler.opt.get("deprecated")
    return marked if isinstance(marked, Deprecation) else None


def deprecation_headers(scope: HTTPScope) -> Iterator[tuple[bytes, bytes]]:
    """Give what an answer says of a route that will be gone; nothing for all others."""
    handler: object = scope.get("route_handler")  # it is not there where a request never came to a route
    marked = deprecation_of(handler) if isinstance(handler, BaseRouteHandler) else None
    if marked is None:
        return
    yield b"deprecation", b"@%d" % _midnight(marked.since).timestamp()
    yield b"sunset", format_datetime(_midnight(marked.sunset), usegmt=True).encode("ascii")
    yield b"link", ", ".join(_links(marked)).encode("ascii")


def _links(marked: Deprecation) -> Iterator[str]:
    yield f'<{marked.told_at}>; rel="deprecation"; type="text/html"'
    yield f'<{marked.told_at}>; rel="sunset"; type="text/html"'
    if marked.successor is not None:
        yield f'<{marked.successor}>; rel="successor-version"'


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)
