"""Tokens: sealed text as it lies in events, states and views, and as it travels until somebody is told it.

A token stands in a string and names all that is needed to open it:
``⟦sealed:v1:<key id>:<event id>:<field>:<t or j>:<base64url of nonce and AES-256-GCM>⟧``. The event is the first of the
command that brought the text, the field the one it came for; key id, event and field are authenticated. ``t`` is text,
``j`` a JSON value, which the token stands for as a whole string.

STORAGE FORMAT: tokens are in the log, and are never changed there.
"""

import binascii
import re
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from enum import StrEnum
from hashlib import sha256
from typing import Final, Self
from urllib.parse import quote

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ledger.domain.ids import EventId, SubjectKeyId

MARK: Final = "⟦sealed:v1:"
"""How every token begins; nothing that is sent to this service may hold it."""
KEY_BYTES: Final = 32
NONCE_BYTES: Final = 12
COMMITMENT: Final = b"ledger-kc/v1"
PLAIN: Final = "/~"
"""What stays as it is in a field's name, beside letters, digits and ``_.-``; all else is percent-encoded UTF-8."""
TOKEN: Final = re.compile(
    r"⟦sealed:v1:(?P<key>[A-Za-z0-9_-]{43}):(?P<event>[0-9a-f-]{36}):(?P<field>[A-Za-z0-9_.~/%-]+)"
    r":(?P<form>[tj]):(?P<box>[A-Za-z0-9_-]+)⟧"
)


class Form(StrEnum):
    """What is sealed; storage values."""

    TEXT = "t"
    JSON = "j"


class SubjectKey:
    """What seals and opens a subject's text.

    ``key_id`` commits to the key: GCM alone lets two keys open one ciphertext to two texts.
    """

    __slots__ = ("cipher", "key_id", "secret")

    def __init__(self, secret: bytes) -> None:
        """Take the key, and prepare to work with it."""
        self.secret = secret
        self.key_id = SubjectKeyId(_encoded(sha256(COMMITMENT + secret).digest()))
        self.cipher = AESGCM(secret)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SubjectKey) and self.key_id == other.key_id

    def __hash__(self) -> int:
        return hash(self.key_id)

    def __repr__(self) -> str:
        return f"SubjectKey({self.key_id})"

    @classmethod
    def new(cls) -> Self:
        """Make one that nobody has."""
        return cls(secrets.token_bytes(KEY_BYTES))


class Token(msgspec.Struct, frozen=True, kw_only=True):
    """A token, taken apart; ``box`` is nonce and ciphertext."""

    key_id: SubjectKeyId
    event: str
    field: str
    form: Form
    box: bytes

    @classmethod
    def of(cls, found: re.Match[str]) -> Self:
        """Take apart what ``TOKEN`` found."""
        return cls(
            key_id=SubjectKeyId(found["key"]),
            event=found["event"],
            field=found["field"],
            form=Form(found["form"]),
            box=_decoded(found["box"]),
        )

    def written(self) -> str:
        """Write it as it stands in a string."""
        return f"{MARK}{self.key_id}:{self.event}:{self.field}:{self.form.value}:{_encoded(self.box)}⟧"

    def opened(self, key: SubjectKey) -> str | None:
        """Give what was sealed; ``None``: it was not by this key, or is not as it was."""
        if key.key_id != self.key_id:
            return None
        nonce, rest = self.box[:NONCE_BYTES], self.box[NONCE_BYTES:]
        try:
            bound = _bound(self.event, self.field, self.key_id)
            return key.cipher.decrypt(nonce, rest, bound).decode()
        except (InvalidTag, ValueError):  # the latter: a box that is too short, or no text
            return None


def seal(key: SubjectKey, event: EventId, field: str, form: Form, text: str) -> str:
    """Seal a text, or a JSON value that is written as ``text``."""
    named, of, nonce = field_name(field), str(event), secrets.token_bytes(NONCE_BYTES)
    box = nonce + key.cipher.encrypt(nonce, text.encode(), _bound(of, named, key.key_id))
    return Token(key_id=key.key_id, event=of, field=named, form=form, box=box).written()


def field_name(field: str) -> str:
    """Name a field as tokens do."""
    return quote(field, safe=PLAIN)


def keys_in(text: str) -> frozenset[SubjectKeyId]:
    """Name the keys of all tokens in a text."""
    if MARK not in text:
        return frozenset()
    return frozenset(SubjectKeyId(found["key"]) for found in TOKEN.finditer(text))


def _bound(event: str, field: str, key_id: SubjectKeyId) -> bytes:
    return f"{event}|{field}|{key_id}".encode()


def _encoded(content: bytes) -> str:
    return urlsafe_b64encode(content).rstrip(b"=").decode()


def _decoded(text: str) -> bytes:
    try:
        return urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except binascii.Error:  # of a length that nothing has
        return b""
