"""Names and keys that a bundle may disclose, against what the log commits to; and what has been erased."""

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as Base64Wrong
from hashlib import sha256
from typing import Final, TypeVar

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ledger.verifier.envelope import Envelope
from ledger.verifier.files import Folder
from ledger.verifier.lines import LinesMalformed, read_lines
from ledger.verifier.manifest import KEYS, PEOPLE
from ledger.verifier.notes import exact_base64
from ledger.verifier.verdict import Tampered

T = TypeVar("T")

REGISTERED: Final = "account-registered"
ERASED: Final = "subject-erased"
ATTACHED: Final = "evidence-attached"
KEY_COMMITMENT: Final = b"ledger-kc/v1"
KEY_BYTES: Final = 32
NONCE_BYTES: Final = 12
BEGINS: Final = "\N{MATHEMATICAL LEFT WHITE SQUARE BRACKET}sealed:v1:"
TOKEN: Final = re.compile(
    re.escape(BEGINS)
    + "([A-Za-z0-9_-]{43}):([0-9a-f-]{36}):([^:\u27e6\u27e7]+):([tj]):([A-Za-z0-9_-]+)\u27e7"
)
_SEALED: Final = BEGINS.encode()


class PersonDiffers(Tampered):
    """A person's name or address is not what the log commits to.

    Context: the ``person``'s id, and the ``position`` and ``stream`` of their registration.
    """

    code = "person-differs"


class KeyDiffers(Tampered):
    """A data subject's key is not the one that its id commits to.

    Context: ``key_id``.
    """

    code = "key-differs"


class SealedWrong(Tampered):
    """A sealed value does not open with the key that its id commits to, or no event of its command brought it.

    Context: ``position``, ``stream``, the ``field`` that it was sealed as.
    """

    code = "sealed-wrong"


class TellingMalformed(Tampered):
    """An event that tells of people has not the form of its type: another wrote it, or a newer release did.

    Context: ``position``, ``stream``, ``type``.
    """

    code = "telling-malformed"


class Person(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One line of the file of people; the salt is hexadecimal."""

    person: str
    username: str
    email: str
    full_name: str
    salt: str


class SubjectKey(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One line of the file of keys; the key is base64."""

    subject: str
    key_id: str
    key: str


class _Record(msgspec.Struct, frozen=True):
    """The fields in the order of their names: so they are written where they are committed to."""

    email: str
    full_name: str
    username: str


class _Commitment(msgspec.Struct, frozen=True):
    commitment: str = ""


class _Registration(msgspec.Struct, frozen=True):
    person: str
    commitment: str = ""
    imported: _Commitment | None = None  # where records of another system keep theirs


class _Removed(msgspec.Struct, frozen=True):
    keys: int = 0
    files: int = 0


class _Erasure(msgspec.Struct, frozen=True):
    subject: str
    removed: _Removed


class Registered(msgspec.Struct, frozen=True):
    """Whose registration an event is, and what it commits to: a digest of their names, or nothing."""

    person: str
    commitment: str


class Erased(msgspec.Struct, frozen=True):
    """Whose erasure an event is, and how many keys and files went with it."""

    subject: str
    keys: int
    files: int


class Counted(msgspec.Struct, kw_only=True):
    """What was disclosed and what was not.

    ``names_erased``: the log says so; ``names_withheld``: it does not. ``unregistered``: names in the bundle to which no
    registration in it commits. ``opened`` and ``unopened`` count sealed values; ``keys_withheld``, how many keys are missing
    beyond those that the log says were erased.
    """

    names: int = 0
    names_erased: int = 0
    names_withheld: int = 0
    unregistered: int = 0
    opened: int = 0
    unopened: int = 0
    keys_withheld: int = 0


class Disclosed:
    """The names and keys of a bundle, and what each payload shows about them."""

    def __init__(self, folder: Folder) -> None:
        """Read both files; where one is missing, so is everything of its kind.

        Raises:
            KeyDiffers, LinesMalformed: a line is wrong whatever the log says.
        """
        self.counted = Counted()
        self._people = dict(_people(folder))
        self._keys = dict(_keys(folder))
        self._unseen = set(self._people)
        self._brought = set[int]()
        self._unnamed = set[str]()
        self._erased = set[str]()
        self._keys_missing = set[str]()
        self._keys_erased = 0

    def take(self, position: int, envelope: Envelope, payload: bytes, began: str) -> None:
        """Check what a payload, already checked itself, says about names and sealed values.

        ``began`` is the id of the first event of its command; empty: not known, or earlier events of its stream are not
        in the bundle. A sealed value names the command that
        brought it; later events may carry it on, as it was.

        Raises:
            PersonDiffers, SealedWrong: it does not fit what was disclosed.
        """
        if envelope.type == REGISTERED:
            self._registered(position, envelope, payload)
        elif envelope.type == ERASED:
            erasure = read_erasure(position, envelope, payload)
            self._erased.add(erasure.subject)
            self._keys_erased += erasure.keys
        if _SEALED in payload:
            for token in TOKEN.finditer(payload.decode()):
                self._open(position, envelope, token, began)

    def finish(self) -> None:
        """Count what is missing, and tell what the log says was erased from what it does not."""
        self.counted.unregistered = len(self._unseen)
        self.counted.names_erased = len(self._unnamed & self._erased)
        self.counted.names_withheld = len(self._unnamed - self._erased)
        self.counted.keys_withheld = max(0, len(self._keys_missing) - self._keys_erased)

    def _registered(self, position: int, envelope: Envelope, payload: bytes) -> None:
        said = read_registration(position, envelope, payload)
        there = self._people.get(said.person)
        if there is None:
            self._unnamed.add(said.person)
        elif there != said.commitment:
            raise PersonDiffers(person=said.person, position=position, stream=envelope.stream)
        else:
            self.counted.names += 1
            self._unseen.discard(said.person)

    def _open(self, position: int, envelope: Envelope, token: re.Match[str], began: str) -> None:
        key_id, event_id, field, _, sealed = token.groups()
        key = self._keys.get(key_id)
        if event_id == began or not began:
            self._brought.add(hash(token[0]))
        if hash(token[0]) in self._brought and (
            key is None or _opens(key, sealed, f"{event_id}|{field}|{key_id}")
        ):
            if key is None:
                self._keys_missing.add(key_id)
            self.counted.unopened += key is None
            self.counted.opened += key is not None
            return
        raise SealedWrong(position=position, stream=envelope.stream, field=field)


def read_registration(position: int, envelope: Envelope, payload: bytes) -> Registered:
    """Read who was registered.

    Raises:
        TellingMalformed: it is no registration.
    """
    said = decoded(payload, _Registration, position, envelope)
    imported = "" if said.imported is None else said.imported.commitment
    return Registered(said.person, said.commitment or imported)


def read_erasure(position: int, envelope: Envelope, payload: bytes) -> Erased:
    """Read who was erased.

    Raises:
        TellingMalformed: it is no erasure.
    """
    said = decoded(payload, _Erasure, position, envelope)
    return Erased(said.subject, said.removed.keys, said.removed.files)


def keys_named(payload: bytes) -> set[str]:
    """Name the keys under which something in a payload is sealed."""
    return {token[1] for token in TOKEN.finditer(payload.decode())} if _SEALED in payload else set()


def name_digest(*, username: str, email: str, full_name: str, salt: bytes) -> str:
    """Hash names as a registration commits to them."""
    record = _Record(email=email, full_name=full_name, username=username)
    return sha256(salt + msgspec.json.encode(record)).hexdigest()


def decoded(payload: bytes, form: type[T], position: int, envelope: Envelope) -> T:
    """Read what an event says.

    Raises:
        TellingMalformed: it has not the form of its type.
    """
    try:
        return msgspec.json.decode(payload, type=form)
    except msgspec.MsgspecError as broken:
        raise TellingMalformed(position=position, stream=envelope.stream, type=envelope.type) from broken


def _opens(key: bytes, sealed: str, context: str) -> bool:
    try:
        raw = urlsafe_b64decode(sealed + "=" * (-len(sealed) % 4))
        AESGCM(key).decrypt(raw[:NONCE_BYTES], raw[NONCE_BYTES:], context.encode())
    except (InvalidTag, ValueError, Base64Wrong):
        return False
    return True


def _people(folder: Folder) -> list[tuple[str, str]]:
    if PEOPLE not in folder.names:
        return []
    found = []
    for number, one in enumerate(read_lines(folder.path(PEOPLE), Person), 1):
        try:
            salt = bytes.fromhex(one.salt)
        except ValueError as broken:
            raise LinesMalformed(file=PEOPLE, line=number) from broken
        digest = name_digest(username=one.username, email=one.email, full_name=one.full_name, salt=salt)
        found.append((one.person, digest))
    if len(dict(found)) != len(found):
        raise LinesMalformed(file=PEOPLE, reason="somebody is there twice")
    return found


def _keys(folder: Folder) -> list[tuple[str, bytes]]:
    if KEYS not in folder.names:
        return []
    found = []
    for number, one in enumerate(read_lines(folder.path(KEYS), SubjectKey), 1):
        key = exact_base64(one.key)
        if key is None or len(key) != KEY_BYTES:
            raise LinesMalformed(file=KEYS, line=number)
        committed = urlsafe_b64encode(sha256(KEY_COMMITMENT + key).digest()).decode().rstrip("=")
        if committed != one.key_id:
            raise KeyDiffers(key_id=one.key_id)
        found.append((one.key_id, key))
    return found
