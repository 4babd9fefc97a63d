"""What a witness does with a checkpoint (C2SP tlog-witness, ``add-checkpoint``); no HTTP here.

It cosigns a checkpoint that a log it knows has signed and that continues, by proof, the last one it cosigned.
"""

import re
import threading
from base64 import b64encode
from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from ledger.verifier.checkpoint import Checkpoint, CheckpointMalformed, parse_checkpoint
from ledger.verifier.merkle import EMPTY_ROOT, HASH_BYTES, is_consistent
from ledger.verifier.notes import (
    SIGNATURE,
    Key,
    KeyMalformed,
    NoteMalformed,
    SignatureWrong,
    exact_base64,
    parse_key,
    verified,
)
from ledger.witness.cosigner import Cosigner
from ledger.witness.memory import Memory

MOST_HASHES: Final = 63
OLD: Final = re.compile(rb"old (0|[1-9][0-9]{0,18})")
TEXT: Final = "text/plain; charset=utf-8"
SIZE: Final = "text/x.tlog.size"


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What is answered, over HTTP or not."""

    status: int
    body: str
    media_type: str = TEXT


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """A checkpoint, and the proof that it continues the one of ``old`` leaves."""

    old: int
    proof: tuple[bytes, ...]
    checkpoint: Checkpoint


class RequestMalformed(Exception):
    """The body is not what a witness is asked with."""


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """The last checkpoint of a log that was cosigned; ``size`` is 0 before the first."""

    origin: str
    size: int


class Witness:
    """Cosigns for the logs it knows; any number of threads may ask at once."""

    def __init__(
        self, cosigner: Cosigner, memory: Memory, keys: Sequence[Key], *, clock: Callable[[], float]
    ) -> None:
        """Look up what was cosigned before; ``clock`` gives seconds since 1970.

        Raises:
            MemoryUnusable: what was cosigned before cannot be read.
        """
        self.cosigner = cosigner
        origins = dict.fromkeys(key.name for key in keys)
        self._logs = {
            origin: _Log(
                tuple(key for key in keys if key.name == origin),
                memory.latest(origin),
                cosigner,
                memory,
                clock,
            )
            for origin in origins
        }

    def standings(self) -> list[Standing]:
        """Tell how far every log was cosigned."""
        return [Standing(origin=origin, size=log.size()) for origin, log in self._logs.items()]

    def add_checkpoint(self, body: bytes) -> Answer:
        """Cosign what continues; else say why not.

        Raises:
            OSError: it could not be written down, so it was not cosigned.
        """
        try:
            request = parsed(body)
        except RequestMalformed as malformed:
            return Answer(status=400, body=f"{malformed}\n")
        log = self._logs.get(request.checkpoint.origin)
        if log is None:
            return Answer(status=404, body="No such log is known here.\n")
        return log.add(request)


class _Log:
    """One log and the last checkpoint of it that was cosigned."""

    def __init__(
        self,
        keys: tuple[Key, ...],
        latest: Checkpoint | None,
        cosigner: Cosigner,
        memory: Memory,
        clock: Callable[[], float],
    ) -> None:
        self._keys, self._latest = keys, latest
        self._cosigner, self._memory, self._clock = cosigner, memory, clock
        self._turn = threading.Lock()

    def size(self) -> int:
        return 0 if self._latest is None else self._latest.size

    def add(self, request: Request) -> Answer:
        new = request.checkpoint
        try:
            is_signed = bool(verified(new.note, self._keys))
        except SignatureWrong:
            is_signed = False
        if not is_signed:
            return Answer(status=403, body="No key of this log that is known here signed that.\n")
        if request.old > new.size:
            return Answer(status=400, body="The old size is above that of the checkpoint.\n")
        with self._turn:  # from the comparison until it is on disk: nothing may come between
            return self._settled(request)

    def _settled(self, request: Request) -> Answer:
        new, size = request.checkpoint, self.size()
        if request.old != size:
            return Answer(status=409, body=f"{size}\n", media_type=SIZE)
        if self._latest is not None and size == new.size and self._latest.root != new.root:
            self._memory.keep_evidence(new.origin, self._note_of(new))
            return Answer(status=409, body=f"{size}\n", media_type=SIZE)
        if not self._continues(request):
            return Answer(status=422, body="The proof does not lead from the old size to this checkpoint.\n")
        line = self._cosigner.cosign(new.note.text, int(self._clock()))
        self._memory.remember(new.origin, self._note_of(new))
        self._latest = new
        return Answer(status=200, body=line)

    def _continues(self, request: Request) -> bool:
        new = request.checkpoint
        if request.old == 0 or self._latest is None:
            return not request.proof and (new.size > 0 or new.root == EMPTY_ROOT)
        return is_consistent(
            older=request.old,
            newer=new.size,
            older_root=self._latest.root,
            newer_root=new.root,
            proof=request.proof,
        )

    def _note_of(self, checkpoint: Checkpoint) -> str:
        """Write a checkpoint with the signatures of its log alone: whatever else was sent is nobody's word."""
        known = {(key.name, key.key_id) for key in self._keys}
        lines = "".join(
            f"\N{EM DASH} {line.name} {b64encode(line.key_id + line.signature).decode()}\n"
            for line in checkpoint.note.lines
            if (line.name, line.key_id) in known
        )
        return f"{checkpoint.note.text}\n{lines}"


def log_key(vkey: str) -> Key:
    """Read the key of a log.

    Raises:
        KeyMalformed: it is none, or that of a witness.
    """
    key = parse_key(vkey)
    if key.kind != SIGNATURE:
        raise KeyMalformed(key=vkey)
    return key


def parsed(body: bytes) -> Request:
    """Read what a witness is asked with.

    Raises:
        RequestMalformed: saying where it is not as it should be.
    """
    head, gap, note = body.partition(b"\n\n")
    first, *hashes = head.split(b"\n")
    old = OLD.fullmatch(first)
    if not gap or old is None:
        raise RequestMalformed(
            "The first line must be 'old' and a size, and an empty line must follow the proof."
        )
    if len(hashes) > MOST_HASHES:
        raise RequestMalformed(f"A proof has {MOST_HASHES} hashes at most.")
    proof = tuple(_hash(line) for line in hashes)
    try:
        checkpoint = parse_checkpoint(note)
    except (NoteMalformed, CheckpointMalformed) as malformed:
        raise RequestMalformed(malformed.title()) from malformed
    return Request(old=int(old[1]), proof=proof, checkpoint=checkpoint)


def _hash(line: bytes) -> bytes:
    found = exact_base64(line.decode(errors="replace"))
    if found is None or len(found) != HASH_BYTES:
        raise RequestMalformed("A line of the proof is no hash in base64.")
    return found
