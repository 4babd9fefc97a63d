"""Versions that clients name: an answer gives one out as its ETag, a call names one in If-Match."""

import re
from typing import Final

from ledger.api.auth import header_of
from ledger.api.problems import FieldError, InvalidRequest
from ledger.api.types import HttpRequest
from ledger.domain.ids import Version

ETAG: Final = re.compile(r'"(\d{1,9})"')


def etag(version: Version) -> str:
    """Write a stream version as a strong entity tag."""
    return f'"{version}"'


def if_match(request: HttpRequest) -> Version | None:
    """Read If-Match (RFC 9110, section 13.1.1): one strong entity tag, or ``*`` for any version.

    ``None``: any version will do.

    Raises:
        InvalidRequest: it is no entity tag of this service.
    """
    wanted = header_of(request, b"if-match")
    if wanted is None or wanted.strip() == "*":
        return None
    match = ETAG.fullmatch(wanted.strip())
    if match is None:
        raise InvalidRequest(FieldError("If-Match", "is one ETag as this service gave it, or *"))
    return Version(int(match[1]))
