"""Checkpoints: what the log says of itself at one size (C2SP tlog-checkpoint)."""

import re
from typing import Final

import msgspec

from ledger.verifier.merkle import HASH_BYTES
from ledger.verifier.notes import Note, exact_base64, parse_note
from ledger.verifier.verdict import Tampered

SIZE: Final = re.compile("0|[1-9][0-9]{0,18}")
LINES: Final = 3


class CheckpointMalformed(Tampered):
    """A signed text is no checkpoint."""

    code = "checkpoint-malformed"


class Checkpoint(msgspec.Struct, frozen=True, kw_only=True):
    """How many leaves the log of this ``origin`` has, and what their root is; ``note``: who signed that."""

    origin: str
    size: int
    root: bytes
    note: Note


def parse_checkpoint(raw: bytes) -> Checkpoint:
    """Read a checkpoint; nothing in it is to be believed before a policy accepted it.

    Raises:
        NoteMalformed, CheckpointMalformed: it is none.
    """
    note = parse_note(raw)
    lines = note.text.removesuffix("\n").split("\n")
    if len(lines) < LINES or not all(lines) or SIZE.fullmatch(lines[1]) is None:
        raise CheckpointMalformed
    root = exact_base64(lines[2])
    if root is None or len(root) != HASH_BYTES:
        raise CheckpointMalformed
    return Checkpoint(origin=lines[0], size=int(lines[1]), root=root, note=note)
