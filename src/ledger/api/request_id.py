"""The id that ties an answer to the log: the caller's if it is sane, else a new one."""

import os
import re
from collections.abc import Iterable
from typing import Final

from litestar.types import Scope

HEADER: Final = b"x-request-id"
SANE: Final = re.compile(rb"[A-Za-z0-9._:-]{1,128}")
_KEY: Final = "ledger_request_id"


def request_id_of(scope: Scope) -> str:
    """Give the request's id, choosing it at the first call."""
    state = scope["state"]
    if _KEY not in state:
        state[_KEY] = chosen_id(scope["headers"])
    return str(state[_KEY])


def chosen_id(headers: Iterable[tuple[bytes, bytes]]) -> str:
    """Choose an id for a request by its headers, whose names are in small letters."""
    for name, value in headers:
        if name == HEADER and SANE.fullmatch(value):
            return value.decode("ascii")
    return os.urandom(16).hex()
