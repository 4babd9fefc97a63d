"""What a file that is attached may be called and may be: its name made harmless, its type one of a list."""

import re
from pathlib import PurePosixPath
from typing import Final
from unicodedata import normalize

from ledger.api.problems import FieldError, InvalidRequest, WrongContentType
from ledger.domain.errors import Invalid
from ledger.identity.people import holds_unseen, is_storable

LONGEST_NAME: Final = 200
"""Bytes: what every file system takes, with room for what a browser adds."""
LONGEST_EXTENSION: Final = 20
FORBIDDEN: Final = re.compile(r'[<>:"|?*%]')
RESERVED: Final = re.compile(r"(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])(\..*)?", re.IGNORECASE)
"""Names that are devices on Windows, whatever follows the first dot."""

SIGNATURES: Final[dict[str, tuple[bytes, ...]]] = {
    "application/pdf": (b"%PDF-",),
    "application/zip": (b"PK\x03\x04", b"PK\x05\x06"),
    "application/gzip": (b"\x1f\x8b",),
    "application/vnd.tcpdump.pcap": (
        *(b"\xd4\xc3\xb2\xa1", b"\xa1\xb2\xc3\xd4", b"\x4d\x3c\xb2\xa1", b"\xa1\xb2\x3c\x4d"),
        b"\x0a\x0d\x0d\x0a",
    ),
    "image/png": (b"\x89PNG\r\n\x1a\n",),
    "image/jpeg": (b"\xff\xd8\xff",),
    "image/gif": (b"GIF87a", b"GIF89a"),
    "image/webp": (b"RIFF",),
}
"""How files of a type begin."""
TEXTS: Final = frozenset({"text/plain", "text/csv", "application/json", "message/rfc822"})
"""Types whose files hold no NUL."""
ANYTHING: Final = frozenset({"application/octet-stream"})
ALLOWED: Final = frozenset(SIGNATURES) | TEXTS | ANYTHING


class TypeDiffers(Invalid):
    """The file is not of the type that Content-Type says.

    Context: the ``media_type`` that it was sent as.
    """

    code = "evidence-type-differs"
    advice = "Name its true type, or send it as application/octet-stream."


class EmptyFile(Invalid):
    """The file is empty."""

    code = "evidence-empty"


def media_type(content_type: str) -> str:
    """Take a media type from the list; parameters are left out.

    Raises:
        WrongContentType: it is not on the list.
    """
    kind = content_type.partition(";")[0].strip().lower()
    if kind not in ALLOWED:
        raise WrongContentType(expected=", ".join(sorted(ALLOWED)), got=kind[:100] or "none")
    return kind


def must_not_be_coded(coding: str) -> None:
    """Refuse a file that is compressed on its way: whoever fetches it would be given it without a word of that.

    Raises:
        WrongContentType: it is, by its Content-Encoding.
    """
    if coding.strip().lower() not in {"", "identity"}:
        raise WrongContentType(
            expected="the file itself, not compressed", got=f"content-encoding {coding[:100]}"
        )


def must_look_like(kind: str, beginning: bytes) -> None:
    """Refuse a file whose first bytes are not those of its type.

    Raises:
        TypeDiffers: they are not.
    """
    signatures = SIGNATURES.get(kind)
    if signatures is not None and not beginning.startswith(signatures):
        raise TypeDiffers(media_type=kind)
    if kind in TEXTS and b"\0" in beginning:
        raise TypeDiffers(media_type=kind)


def harmless_name(name: str) -> str:
    """Make a file's name one that no system takes for anything else: no folder, no device, nothing unseen.

    Raises:
        InvalidRequest: nothing is left of it.
    """
    if not is_storable(name):
        raise InvalidRequest(FieldError("name", "holds a character that cannot be stored"))
    last = normalize("NFC", name).replace("\\", "/").rstrip("/").rpartition("/")[2]
    seen = "".join(character for character in last if not holds_unseen(character))
    plain = FORBIDDEN.sub("_", seen).strip(" .")
    if not plain:
        raise InvalidRequest(FieldError("name", "is the name of a file"))
    return _cut(f"_{plain}" if RESERVED.fullmatch(plain) else plain)


def _cut(name: str) -> str:
    """Cut a long name in its middle, so that what it says of its type stays."""
    if len(name.encode()) <= LONGEST_NAME:
        return name
    extension = PurePosixPath(name).suffix
    extension = extension if len(extension.encode()) <= LONGEST_EXTENSION else ""
    room = LONGEST_NAME - len(extension.encode())
    stem = name.removesuffix(extension).encode()[:room].decode(errors="ignore")
    return stem.rstrip(" .") + extension
