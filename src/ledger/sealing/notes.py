"""Signed notes and checkpoints, as C2SP signed-note and tlog-checkpoint lay them down, with Ed25519.

A note is text and, after an empty line, who signed it. A checkpoint is a note of three lines: the log's name, how many
entries it has and the root over them. A vkey is how a public key is written: ``name+id+key``.
"""

import binascii
import re
from base64 import b64decode, b64encode
from collections.abc import Iterable
from hashlib import sha256
from typing import Final, Self

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from ledger.domain.errors import Invalid

ED25519: Final = 0x01
COSIGNATURE: Final = 0x04
"""Types of keys: one that signs the text as it stands, one of a witness that signs a time with it."""

KEY_BYTES: Final = 32
KEY_ID_BYTES: Final = 4
ROOT_BYTES: Final = 32
MAX_NOTE_CHARACTERS: Final = 256 * 1024
MAX_SIGNATURES: Final = 100
NAME: Final = re.compile(r"[^\s+\x00-\x1f\x7f]+")
SIGNATURE_LINE: Final = re.compile(r"— (?P<name>[^\s+\x00-\x1f\x7f]+) (?P<value>[A-Za-z0-9+/]+={0,2})")
CONTROL: Final = re.compile(r"[\x00-\x09\x0b-\x1f]")
SIZE: Final = re.compile(r"0|[1-9][0-9]{0,18}")


class MalformedNote(Invalid):
    """This is no signed note.

    Context: ``reason``.
    """

    code = "malformed-note"


class MalformedCheckpoint(Invalid):
    """This is the text of no checkpoint: an origin, a size, a root hash, each on a line.

    Context: ``reason``.
    """

    code = "malformed-checkpoint"


class MalformedKey(Invalid):
    """This is no key of a signed note.

    Context: ``reason``.
    """

    code = "malformed-key"
    advice = "A public key is written name+id+key, as 'ledger notary status' shows it."


class Signature(msgspec.Struct, frozen=True, kw_only=True):
    """One line below a note: the key's name and id, and what it signed with."""

    name: str
    key_id: bytes
    value: bytes

    def line(self) -> str:
        """Write it, with the newline at its end."""
        return f"— {self.name} {b64encode(self.key_id + self.value).decode()}\n"


class Note(msgspec.Struct, frozen=True, kw_only=True):
    """Text, ending in a newline, and the signatures below it."""

    text: str
    signatures: tuple[Signature, ...]

    @classmethod
    def parse(cls, note: str) -> Self:
        """Read a signed note; says nothing about whether anybody trustworthy signed it.

        Raises:
            MalformedNote: it is none.
        """
        if len(note) > MAX_NOTE_CHARACTERS or CONTROL.search(note):
            raise MalformedNote(reason="it is too long, or has control characters")
        text, gap, below = note.rpartition("\n\n")
        if not gap or not below.endswith("\n"):
            raise MalformedNote(reason="no empty line and signatures at its end")
        lines = below.removesuffix("\n").split("\n")
        if len(lines) > MAX_SIGNATURES:
            raise MalformedNote(reason="too many signatures")
        return cls(text=text + "\n", signatures=tuple(_signature(line) for line in lines))

    def written(self) -> str:
        """Write text, empty line and signatures."""
        return f"{self.text}\n{''.join(signature.line() for signature in self.signatures)}"


class Verifier(msgspec.Struct, frozen=True, kw_only=True):
    """A public key and its name; ``kind`` is ``ED25519`` or ``COSIGNATURE``."""

    name: str
    public: bytes
    kind: int = ED25519

    @classmethod
    def parse(cls, vkey: str) -> Self:
        """Read a public key.

        Raises:
            MalformedKey: it is none, is of a type that is not known here, or its id is another key's.
        """
        name, _, rest = vkey.partition("+")
        written_id, _, encoded = rest.partition("+")
        key = _decoded(encoded)
        if not NAME.fullmatch(name) or key is None or len(key) != 1 + KEY_BYTES:
            raise MalformedKey(reason="it is not written name+id+key")
        if key[0] not in {ED25519, COSIGNATURE}:
            raise MalformedKey(reason=f"its type is {key[0]}")
        found = cls(name=name, public=key[1:], kind=key[0])
        if written_id != found.key_id.hex():
            raise MalformedKey(reason="its id is not that of this name and key")
        return found

    @property
    def key_id(self) -> bytes:
        """Give the four bytes by which signatures name this key."""
        return key_id(self.name, self.kind, self.public)

    @property
    def vkey(self) -> str:
        """Write it as it is handed out."""
        encoded = b64encode(bytes([self.kind]) + self.public).decode()
        return f"{self.name}+{self.key_id.hex()}+{encoded}"

    def signed(self, note: Note) -> bool:
        """Say whether this key, of kind ``ED25519``, signed the note; one false signature of it spoils all."""
        own = [one.value for one in note.signatures if (one.name, one.key_id) == (self.name, self.key_id)]
        return bool(own) and all(self.verifies(value, note.text.encode()) for value in own)

    def verifies(self, signature: bytes, message: bytes) -> bool:
        """Say whether a signature over ``message`` is this key's."""
        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(signature, message)
        except InvalidSignature:
            return False
        return True


class Signer:
    """A private key and its name; never shown when it is printed."""

    def __init__(self, name: str, seed: bytes, kind: int = ED25519) -> None:
        """Take 32 secret bytes.

        Raises:
            MalformedKey: the name has a space or a plus, or there are not 32 bytes.
        """
        if not NAME.fullmatch(name):
            raise MalformedKey(reason="a name has no spaces and no plus")
        if len(seed) != KEY_BYTES:
            raise MalformedKey(reason=f"a private key has {KEY_BYTES} bytes")
        self.name = name
        self._key = Ed25519PrivateKey.from_private_bytes(seed)
        self.verifier = Verifier(name=name, public=self._key.public_key().public_bytes_raw(), kind=kind)

    @property
    def vkey(self) -> str:
        """Write its public key as it is handed out."""
        return self.verifier.vkey

    def raw(self, message: bytes) -> bytes:
        """Sign bytes as they stand: 64 bytes."""
        return self._key.sign(message)

    def sign(self, text: str) -> str:
        """Write the signature line of a note's text, as a key of kind ``ED25519`` does."""
        value = self.raw(text.encode())
        return Signature(name=self.name, key_id=self.verifier.key_id, value=value).line()


class Checkpoint(msgspec.Struct, frozen=True, kw_only=True):
    """How many entries the log called ``origin`` has, and the root over them."""

    origin: str
    size: int
    root: bytes

    def text(self) -> str:
        """Write what is signed."""
        return f"{self.origin}\n{self.size}\n{b64encode(self.root).decode()}\n"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read the text of a checkpoint; extension lines, which nobody needs, are refused.

        Raises:
            MalformedCheckpoint: it is none.
        """
        origin, size, encoded, *rest = (*text.split("\n"), "", "", "")[:4]
        root = _decoded(encoded)
        if not origin or rest != [""] or text.count("\n") != 3:  # noqa: PLR2004 - the three lines
            raise MalformedCheckpoint(reason="there are not three lines")
        if not SIZE.fullmatch(size) or root is None or len(root) != ROOT_BYTES:
            raise MalformedCheckpoint(reason="the second line is no size, or the third no root")
        return cls(origin=origin, size=int(size), root=root)

    def signed_by(self, signers: Iterable[Signer]) -> str:
        """Write the checkpoint as a note that ``signers`` signed."""
        text = self.text()
        return f"{text}\n{''.join(signer.sign(text) for signer in signers)}"


def checkpoint_in(note: str) -> Checkpoint:
    """Read the checkpoint of a signed note, whoever signed it.

    Raises:
        MalformedNote: it is no note.
        MalformedCheckpoint: its text is no checkpoint.
    """
    return Checkpoint.parse(Note.parse(note).text)


def key_id(name: str, kind: int, public: bytes) -> bytes:
    """Compute the id of a key: the first bytes of a hash over its name, type and bytes."""
    return sha256(name.encode() + b"\n" + bytes([kind]) + public).digest()[:KEY_ID_BYTES]


def _signature(line: str) -> Signature:
    match = SIGNATURE_LINE.fullmatch(line)
    value = None if match is None else _decoded(match["value"])
    if match is None or value is None or len(value) <= KEY_ID_BYTES:
        raise MalformedNote(reason="a line below the empty one is no signature")
    return Signature(name=match["name"], key_id=value[:KEY_ID_BYTES], value=value[KEY_ID_BYTES:])


def _decoded(encoded: str) -> bytes | None:
    """Decode base64 that is written in the one right way; ``None``: it is not."""
    try:
        decoded = b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        return None
    return decoded if b64encode(decoded).decode() == encoded else None
