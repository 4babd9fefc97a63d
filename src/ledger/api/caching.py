"""Answers that whoever fetched them may keep, and that are not sent again to those who have them."""

from hashlib import sha256
from typing import Final

from litestar import Response

from ledger.api.types import HttpRequest

FOR_EVER: Final = "max-age=31536000, immutable"
TAG_CHARACTERS: Final = 32


def kept(
    request: HttpRequest, content: bytes, *, control: str, headers: dict[str, str], variant: str = ""
) -> Response[bytes]:
    """Answer with ``content`` and its ETag, or with 304 where the caller names that in If-None-Match.

    ``variant`` tells one encoding of the same content from another (RFC 9110, section 8.8.3.3).
    """
    tag = f'"{sha256(content).hexdigest()[:TAG_CHARACTERS]}{variant}"'
    told = {**headers, "Cache-Control": control, "ETag": tag}
    if _names(request.headers.get("if-none-match", ""), tag):
        told.pop("Content-Type", None)
        told.pop("Content-Encoding", None)
        return Response(b"", status_code=304, headers=told)
    return Response(content, headers=told)


def takes_gzip(request: HttpRequest) -> bool:
    """Say whether the caller decompresses gzip (RFC 9110, section 12.5.3)."""
    for part in request.headers.get("accept-encoding", "").lower().split(","):
        coding, _, weight = part.partition(";")
        if coding.strip() in {"gzip", "*"}:
            return weight.replace(" ", "") not in {"q=0", "q=0.0", "q=0.00", "q=0.000"}
    return False


def _names(condition: str, tag: str) -> bool:
    """Compare weakly, as RFC 9110, section 13.1.2 asks."""
    tags = {one.strip().removeprefix("W/") for one in condition.split(",")}
    return "*" in tags or tag in tags
