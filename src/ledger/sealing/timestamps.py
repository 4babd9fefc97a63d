"""Time stamps of checkpoints (RFC 3161): what is asked, what is checked of an answer, and the rows they are kept in.

What is stamped is the signed note as it lies in the database, without cosignatures: that the log's signature existed is
part of it. Whether the authority is to be believed, only somebody with its certificate can say: the verifier does.
"""

from collections.abc import Sequence
from datetime import datetime
from hashlib import sha256
from typing import Final
from urllib.parse import urlsplit, urlunsplit

import msgspec
from rfc3161_client import (
    HashAlgorithm,
    TimestampRequestBuilder,
    TimeStampResponse,
    decode_timestamp_response,
)
from rfc3161_client.tsp import PKIStatus, TimeStampRequest

from ledger.sealing.asking import OK, Answer, Outbound, PartnerFailed
from ledger.store.pool import Connection

ASKS: Final = "application/timestamp-query"
ANSWERS: Final = "application/timestamp-reply"
SHA256: Final = "2.16.840.1.101.3.4.2.1"

# $1 ledger, $2 size of the checkpoint, $3 authority, $4 token, $5 moment
KEEP: Final = """
insert into work.notary_timestamps (ledger_id, size, authority, token, stamped_at) values ($1, $2, $3, $4, $5)
on conflict (ledger_id, size, authority) do nothing
"""
# $1 ledger, $2 authority
LAST: Final = """
select size, stamped_at from work.notary_timestamps
where ledger_id = $1 and authority = $2
order by stamped_at desc, size desc limit 1
"""
# $1 ledger
NEWEST: Final = """
select distinct on (authority) authority, size, stamped_at from work.notary_timestamps
where ledger_id = $1
order by authority, stamped_at desc, size desc
"""
# $1 ledger, $2 this size at most, $3 more than this size, $4 at most so many
STAMPS: Final = """
select t.size, t.authority, t.token, t.stamped_at, c.note
from work.notary_timestamps t
join work.notary_checkpoints c on c.ledger_id = t.ledger_id and c.size = t.size and c.published_at is not null
where t.ledger_id = $1 and t.size <= $2 and t.size > $3
order by t.size, t.stamped_at limit $4
"""


class Stamped(msgspec.Struct, frozen=True, kw_only=True):
    """A checkpoint's size, and when it was stamped last by the authority's clock."""

    size: int
    stamped_at: datetime


class Timestamp(msgspec.Struct, frozen=True, kw_only=True):
    """A token, who gave it, and the note that it stamps: the checkpoint as the log alone signed it."""

    size: int
    authority: str
    note: str
    token: bytes
    stamped_at: datetime


class Token(msgspec.Struct, frozen=True, kw_only=True):
    """An authority's answer that fits what it was asked."""

    content: bytes
    stamped_at: datetime


def authority_of(url: str) -> str:
    """Name an authority by its address, without what proves who we are there."""
    split = urlsplit(url)
    return urlunsplit((split.scheme, split.netloc.rpartition("@")[2], split.path, "", ""))


async def ask(outbound: Outbound, url: str, note: str) -> Token:
    """Have a note stamped.

    Raises:
        PartnerFailed: there is no token, or none of this note.
    """
    request = (
        TimestampRequestBuilder().data(note.encode()).hash_algorithm(HashAlgorithm.SHA256).nonce().build()
    )
    return checked(await outbound.post(url, ASKS, request.as_bytes()), request, note)


def checked(answer: Answer, request: TimeStampRequest, note: str) -> Token:
    """Look whether an answer grants what was asked, for this very question, and about this note.

    Raises:
        PartnerFailed: naming what does not fit.
    """
    if answer.status != OK:
        raise PartnerFailed(f"status-{answer.status}", retry_after=answer.retry_after)
    if answer.media_type != ANSWERS:
        raise PartnerFailed("not-a-timestamp")
    try:
        response = decode_timestamp_response(answer.body)
        return _fitting(response, answer.body, request, note)
    except ValueError as malformed:  # of the library, over DER that is none
        raise PartnerFailed("not-a-timestamp") from malformed


def _fitting(response: TimeStampResponse, raw: bytes, request: TimeStampRequest, note: str) -> Token:
    if response.status not in {PKIStatus.GRANTED, PKIStatus.GRANTED_WITH_MODS}:
        raise PartnerFailed("not-granted")
    info = response.tst_info
    if info.nonce != request.nonce:
        raise PartnerFailed("nonce-of-another")
    imprint = info.message_imprint
    if (imprint.hash_algorithm.dotted_string, imprint.message) != (SHA256, sha256(note.encode()).digest()):
        raise PartnerFailed("imprint-of-another")
    return Token(content=raw, stamped_at=info.gen_time)


async def keep(conn: Connection, ledger_id: int, size: int, authority: str, token: Token) -> None:
    """Write a token down; the first of a checkpoint stays."""
    await conn.execute(KEEP, ledger_id, size, authority, token.content, token.stamped_at)


async def last_stamped(conn: Connection, ledger_id: int, authority: str) -> Stamped | None:
    """Read which checkpoint an authority stamped last; ``None``: none yet."""
    row = await conn.fetchrow(LAST, ledger_id, authority)
    return None if row is None else Stamped(size=row["size"], stamped_at=row["stamped_at"])


async def newest_by_authority(conn: Connection, ledger_id: int) -> dict[str, Stamped]:
    """Read what every authority that was ever asked stamped last, by its address."""
    rows = await conn.fetch(NEWEST, ledger_id)
    return {row["authority"]: Stamped(size=row["size"], stamped_at=row["stamped_at"]) for row in rows}


async def timestamps_upto(
    conn: Connection, ledger_id: int, size: int, *, after: int = 0, limit: int = 1000
) -> Sequence[Timestamp]:
    """Read the tokens of checkpoints of more than ``after`` and at most ``size`` events, the smallest first."""
    rows = await conn.fetch(STAMPS, ledger_id, size, after, limit)
    return [
        Timestamp(
            size=row["size"],
            authority=row["authority"],
            note=row["note"],
            token=row["token"],
            stamped_at=row["stamped_at"],
        )
        for row in rows
    ]
