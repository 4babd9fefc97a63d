"""The content of evidence files, in pieces beside the log; what the log says of them proves them (ADR 0021)."""

import hashlib
from collections.abc import AsyncIterator, Iterable, Sequence
from datetime import datetime
from typing import Final

import msgspec

from ledger.domain.errors import Corrupt, LedgerError
from ledger.domain.ids import Digest, EvidenceId, StreamName
from ledger.store.pool import Connection, Pool, reading

CHUNK_BYTES: Final = 256 * 1024
"""How much of a file is held in memory, here and in the server."""

# $1 ledger, $2 evidence, $3 stream, $4 size, $5 SHA-256, $6 now
KEEP: Final = """
insert into work.evidence (ledger_id, evidence_id, stream, size, sha256, stored_at)
values ($1, $2, $3, $4, $5, $6)
"""
# $1 ledger, $2 evidence, $3 number, $4 content
KEEP_CHUNK: Final = """
insert into work.evidence_chunks (ledger_id, evidence_id, number, content) values ($1, $2, $3, $4)
"""
# $1 ledger, $2 evidence, $3 number
CHUNK: Final = """
select content from work.evidence_chunks where ledger_id = $1 and evidence_id = $2 and number = $3
"""
# $1 ledger, $2 streams of decisions, $3 now
ERASE: Final = """
with erased as (
    update work.evidence set erased_at = $3
    where ledger_id = $1 and stream = any($2) and erased_at is null
    returning evidence_id
), gone as (
    delete from work.evidence_chunks c using erased e where c.ledger_id = $1 and c.evidence_id = e.evidence_id
)
select count(*) from erased
"""
# $1 ledger, $2 files
ERASED: Final = """
select evidence_id from work.evidence where ledger_id = $1 and evidence_id = any($2) and erased_at is not null
"""


class EvidenceErased(LedgerError):
    """The content of this file has been erased.

    Context: ``evidence``.
    """

    code = "evidence-erased"
    advice = "It told of somebody whose personal data was erased; the log proves what was attached, and that it is gone."


class EvidenceDamaged(Corrupt):
    """The stored content of this file is not what was attached.

    Context: ``evidence``.
    """

    code = "evidence-damaged"
    advice = "An operator has to restore it from a backup; the log proves what it was."


class Content(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a file's content."""

    evidence: EvidenceId
    size: int
    sha256: Digest


async def keep(
    conn: Connection,
    ledger_id: int,
    content: Content,
    *,
    stream: StreamName,
    chunks: Iterable[bytes],
    now: datetime,
) -> None:
    """Write a file down in the caller's transaction; it is there when the event is, or neither is."""
    evidence = content.evidence
    await conn.execute(KEEP, ledger_id, evidence, stream, content.size, content.sha256, now)
    for number, chunk in enumerate(chunks):
        await conn.execute(KEEP_CHUNK, ledger_id, evidence, number, chunk)


async def erase(conn: Connection, ledger_id: int, streams: Sequence[StreamName], now: datetime) -> int:
    """Delete the content of every file of these decisions, in the caller's transaction; say how many there were."""
    return int(await conn.fetchval(ERASE, ledger_id, list(streams), now))


async def erased_of(pool: Pool, ledger_id: int, files: Sequence[EvidenceId]) -> frozenset[EvidenceId]:
    """Say whose content among these has been erased."""
    if not files:
        return frozenset()
    async with reading(pool) as conn:
        return frozenset(row["evidence_id"] for row in await conn.fetch(ERASED, ledger_id, list(files)))


async def verify(pool: Pool, ledger_id: int, content: Content) -> None:
    """Read a file through, at constant memory.

    Raises:
        EvidenceErased: it is no more.
        EvidenceDamaged: it is not what its size and its digest say.
        DatabaseUnreachable: the connection is lost.
    """
    digest, size = hashlib.sha256(), 0
    async for chunk in chunks_of(pool, ledger_id, content):
        digest.update(chunk)
        size += len(chunk)
    is_whole = (size, digest.hexdigest()) == (content.size, content.sha256)
    if not (is_whole and size) and await erased_of(pool, ledger_id, [content.evidence]):
        raise EvidenceErased(evidence=content.evidence)
    if not is_whole:
        raise EvidenceDamaged(evidence=content.evidence)


async def digest_of(conn: Connection, ledger_id: int, evidence: EvidenceId) -> Digest | None:
    """Hash the stored content of a file, at constant memory; ``None``: there is none."""
    digest, number = hashlib.sha256(), 0
    while (chunk := await conn.fetchval(CHUNK, ledger_id, evidence, number)) is not None:
        digest.update(chunk)
        number += 1
    return Digest(digest.hexdigest()) if number else None


async def is_there(conn: Connection, ledger_id: int, evidence: EvidenceId) -> bool:
    """Tell whether there is content of a file."""
    return await conn.fetchval(CHUNK, ledger_id, evidence, 0) is not None


async def chunks_of(pool: Pool, ledger_id: int, content: Content) -> AsyncIterator[bytes]:
    """Give a file piece by piece; no connection is held while the reader takes its time."""
    number = 0
    while True:
        async with reading(pool) as conn:
            chunk: bytes | None = await conn.fetchval(CHUNK, ledger_id, content.evidence, number)
        if chunk is None:
            return
        yield chunk
        number += 1
