"""Time stamps of checkpoints (RFC 3161), for whoever verifies: like the checkpoints, they are no secret."""

from datetime import datetime
from typing import Annotated
from urllib.parse import urlsplit

import msgspec
from litestar import Controller, Response, get
from litestar.params import QueryParameter

from ledger.api.call import Call
from ledger.api.json_answer import json_response
from ledger.api.types import HttpRequest
from ledger.sealing.timestamps import Timestamp, timestamps_upto
from ledger.store.pool import reading

LARGEST = 10**18


class TimestampTold(msgspec.Struct, frozen=True, kw_only=True):
    """A checkpoint that was stamped: its ``note``, as the log alone signed it, and the whole answer of the authority.

    ``authority`` is the host that was asked, ``stamped_at`` what its clock said; ``token`` is DER, in base64.
    """

    size: int
    authority: str
    stamped_at: datetime
    note: str
    token: bytes


class TimestampPage(msgspec.Struct, frozen=True, kw_only=True):
    """Time stamps, those of smaller checkpoints first; ``next``: what to ask for in 'from' (``null``: these are the last)."""

    timestamps: tuple[TimestampTold, ...]
    next: int | None


class TimestampController(Controller):
    """What authorities say of the log."""

    path = "/tlog/timestamps"
    tags = ("Log",)

    @get("/", opt={"answer": TimestampPage})
    async def log_timestamps(
        self,
        request: HttpRequest,
        first: Annotated[
            int, QueryParameter(name="from", ge=0, le=LARGEST, description="a size of the log")
        ] = 0,
        limit: Annotated[int, QueryParameter(ge=1, le=100)] = 50,
    ) -> Response[bytes]:
        """List the time stamps of checkpoints over at least as many events as 'from' says, the smallest first."""
        ledger = Call(request).services.ledger
        async with reading(ledger.pool) as conn:
            found = await timestamps_upto(conn, ledger.ledger_id, LARGEST, after=first - 1, limit=limit + 1)
        page, more = found[:limit], found[limit:]
        body = TimestampPage(timestamps=tuple(map(_told, page)), next=more[0].size if more else None)
        return json_response(body)


def _told(stamp: Timestamp) -> TimestampTold:
    return TimestampTold(
        size=stamp.size,
        authority=urlsplit(stamp.authority).hostname or "",
        stamped_at=stamp.stamped_at,
        note=stamp.note,
        token=stamp.token,
    )
