"""Lists that are told page by page."""

from collections.abc import Mapping
from urllib.parse import urlencode


def next_page(path: str, query: Mapping[str, object]) -> dict[str, str]:
    """Name the next page of a list in a header (RFC 8288)."""
    return {"Link": f'<{path}?{urlencode(query)}>; rel="next"'}
