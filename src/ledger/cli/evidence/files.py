"""The files that were attached to a decision, each checked against what the log says of it."""

import re
from enum import StrEnum
from typing import Final

import msgspec

from ledger.cli.evidence.dossier import Dossier
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
    """A file by the ``name`` that people know it by, and where it lies in the folder (``None``: it is gone)."""

    event: EvidenceAttached
    name: str
    path: str | None
    standing: Standing


async def write_files(ledger: Ledger, dossier: Dossier, folder: Folder) -> list[File]:
    """Write the files of a decision, one after the other, at constant memory."""
    attached = dossier.attached()
    ids = [event.evidence for event in attached]
    erased = await evidence.erased_of(ledger.pool, ledger.ledger_id, ids)
    files = list[File]()
    for number, event in enumerate(attached, 1):
        name = dossier.opener.text(event.name)
        if event.evidence in erased:
            files.append(File(event=event, name=name, path=None, standing=Standing.ERASED))
        else:
            path = f"files/{number:03}-{UNSAFE.sub('_', name)[-LONGEST_NAME:]}"
            standing = await _write(ledger, event, folder, path)
            kept = None if standing is Standing.GONE else path
            files.append(File(event=event, name=name, path=kept, standing=standing))
    return files


async def _write(ledger: Ledger, event: EvidenceAttached, folder: Folder, path: str) -> Standing:
    content = Content(evidence=event.evidence, size=event.size, sha256=event.sha256)
    chunks = evidence.chunks_of(ledger.pool, ledger.ledger_id, content)
    first = await anext(chunks, None)
    if first is None and event.size:
        return Standing.GONE
    with folder.open(path) as out:
        out.write(first or b"")
        async for chunk in chunks:
            out.write(chunk)
    return Standing.AS_ATTACHED if out.digest.hexdigest() == event.sha256 else Standing.DAMAGED
