"""Signed notes and the keys that verify them (C2SP signed-note, tlog-cosignature), Ed25519 alone."""

import binascii
import re
from base64 import b64decode, b64encode
from collections.abc import Iterable
from hashlib import sha256
from typing import Final

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from ledger.verifier.verdict import Tampered, Unusable

SIGNATURE: Final = 0x01
COSIGNATURE: Final = 0x04
"""A witness's signature, which says when it was made."""

KEY_BYTES: Final = 32
ID_BYTES: Final = 4
TIME_BYTES: Final = 8
LATEST: Final = 2**63 - 1
MAX_NOTE_BYTES: Final = 1_000_000
MAX_SIGNATURES: Final = 100
LINE: Final = re.compile("\N{EM DASH} ([^ +]+) ([A-Za-z0-9+/]+={0,2})")
VKEY: Final = re.compile(r"([^+]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/]+={0,2})")


class NoteMalformed(Tampered):
    """It is no signed note."""

    code = "note-malformed"


class SignatureWrong(Tampered):
    """A signature by a known key does not fit what it signs.

    Context: ``name`` of the key.
    """

    code = "signature-wrong"


class KeyMalformed(Unusable):
    """It is no verifier key of a kind that is known here: Ed25519, of a log (1) or of a witness (4)."""

    code = "key-malformed"


class Key(msgspec.Struct, frozen=True, kw_only=True):
    """What verifies the signatures of somebody; ``kind`` is ``SIGNATURE`` or ``COSIGNATURE``."""

    name: str
    key_id: bytes
    kind: int
    public: bytes

    def check(self, text: str, signature: bytes) -> int | None:
        """Check one signature of a note's text; the second at which it was made, where the kind says so.

        Raises:
            SignatureWrong: it is not this key's signature of this text.
        """
        seconds, signed = None, text
        if self.kind == COSIGNATURE:
            seconds = int.from_bytes(signature[:TIME_BYTES])
            if seconds > LATEST:
                raise SignatureWrong(name=self.name)
            signed, signature = f"cosignature/v1\ntime {seconds}\n{text}", signature[TIME_BYTES:]
        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(signature, signed.encode())
        except (InvalidSignature, ValueError) as wrong:
            raise SignatureWrong(name=self.name) from wrong
        return seconds


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One line of signature, not verified."""

    name: str
    key_id: bytes
    signature: bytes


class Note(msgspec.Struct, frozen=True, kw_only=True):
    """A text and who says to have signed it."""

    text: str
    lines: tuple[Line, ...]


class Signed(msgspec.Struct, frozen=True, kw_only=True):
    """A signature that was verified; ``seconds`` since 1970, ``None`` where the kind of key tells no time."""

    key: Key
    seconds: int | None


def parse_key(vkey: str) -> Key:
    """Read a verifier key: name, id and key with a plus between them.

    Raises:
        KeyMalformed: it is none, or the id is not that of the key.
    """
    found = VKEY.fullmatch(vkey)
    material = None if found is None else exact_base64(found[3])
    if found is None or material is None or len(material) != 1 + KEY_BYTES or has_space(found[1]):
        raise KeyMalformed(key=vkey)
    key_id = sha256(found[1].encode(errors="surrogateescape") + b"\n" + material).digest()[:ID_BYTES]
    if material[0] not in {SIGNATURE, COSIGNATURE} or key_id.hex() != found[2]:
        raise KeyMalformed(key=vkey)
    return Key(name=found[1], key_id=key_id, kind=material[0], public=material[1:])


def parse_note(raw: bytes) -> Note:
    """Take a note apart; nothing in it is to be believed yet.

    Raises:
        NoteMalformed: it is none.
    """
    try:
        note = raw.decode()
    except UnicodeDecodeError as broken:
        raise NoteMalformed(reason="not UTF-8") from broken
    if len(raw) > MAX_NOTE_BYTES or any(character < " " and character != "\n" for character in note):
        raise NoteMalformed(reason="too long, or control characters")
    text, separator, signatures = note.rpartition("\n\n")
    if not separator or not signatures.endswith("\n"):
        raise NoteMalformed(reason="no signatures behind an empty line")
    lines = signatures.removesuffix("\n").split("\n")
    if len(lines) > MAX_SIGNATURES:
        raise NoteMalformed(reason="too many signatures")
    return Note(text=text + "\n", lines=tuple(map(_line, lines)))


def verified(note: Note, keys: Iterable[Key]) -> tuple[Signed, ...]:
    """Verify every signature by one of ``keys``; others are as if they were not there.

    Raises:
        SignatureWrong: a line names one of the keys, and is not by it: the whole note is refused.
    """
    known = {(key.name, key.key_id): key for key in keys}
    return tuple(
        Signed(key=key, seconds=key.check(note.text, line.signature))
        for line in note.lines
        if (key := known.get((line.name, line.key_id))) is not None
    )


def exact_base64(text: str) -> bytes | None:
    """Read standard base64 that has one spelling only; ``None``: it is not that."""
    try:
        decoded = b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    return decoded if b64encode(decoded).decode() == text else None


def has_space(text: str) -> bool:
    """Tell whether Unicode sees a space in it: names of keys have none."""
    return any(character.isspace() for character in text)


def _line(line: str) -> Line:
    found = LINE.fullmatch(line)
    signature = None if found is None else exact_base64(found[2])
    if found is None or signature is None or len(signature) <= ID_BYTES or has_space(found[1]):
        raise NoteMalformed(line=line)
    return Line(name=found[1], key_id=signature[:ID_BYTES], signature=signature[ID_BYTES:])
