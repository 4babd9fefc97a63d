"""The files that were attached to a decision, each checked against what the log says of it."""

import re
from enum import StrEnum
from typing import Final

import msgspec

from ledger.cli.exporting.folder import Folder
from ledger.domain.decision.events import EvidenceAttached
from ledger.store import evidence
from ledger.store.evidence import Content
from ledger.store.ledger import Ledger

UNSAFE: Final = re.compile(r"[^A-Za-z0-9._-]+")
LONGEST_NAME: Final = 100


class Standing(StrEnum):
    """Whether a file is what was attached."""

    AS_ATTACHED = "as attached: its SHA-256 is the one in the log"
    DAMAGED = "NOT what was attached: its SHA-256 is another one than in the log"
    ERASED = "erased, with the personal data that it told of; the log proves what it was"
    GONE = "not there any more; the log proves what it was"


class File(msgspec.Struct, frozen=True, kw_only=True):
    """A file, and where it lies in the folder (``None``: it is gone)."""

    event: EvidenceAttached
    path: str | None
    standing: Standing


async def write_files(ledger: Ledger, attached: list[EvidenceAttached], folder: Folder) -> list[File]:
    """Write files, one after the other, at constant memory."""
    ids = [event.evidence for event in attached]
    erased = await evidence.erased_of(ledger.pool, ledger.ledger_id, ids)
    return [
        File(event=event, path=None, standing=Standing.ERASED)
        if event.evidence in erased
        else await _write(ledger, number, event, folder)
        for number, event in enumerate(attached, 1)
    ]


async def _write(ledger: Ledger, number: int, event: EvidenceAttached, folder: Folder) -> File:
    content = Content(evidence=event.evidence, size=event.size, sha256=event.sha256)
    chunks = evidence.chunks_of(ledger.pool, ledger.ledger_id, content)
    first = await anext(chunks, None)
    if first is None and event.size:
        return File(event=event, path=None, standing=Standing.GONE)
    path = f"files/{number:03}-{UNSAFE.sub('_', event.name)[-LONGEST_NAME:]}"
    with folder.open(path) as out:
        out.write(first or b"")
        async for chunk in chunks:
            out.write(chunk)
    is_right = out.digest.hexdigest() == event.sha256
    return File(event=event, path=path, standing=Standing.AS_ATTACHED if is_right else Standing.DAMAGED)
