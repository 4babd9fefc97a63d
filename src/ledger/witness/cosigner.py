"""The key of a witness, and the file that keeps it."""

import os
import re
import secrets
from base64 import b64encode
from hashlib import sha256
from pathlib import Path
from typing import Final, Self

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ledger.verifier.notes import COSIGNATURE, ID_BYTES, KEY_BYTES, TIME_BYTES, exact_base64, has_space
from ledger.verifier.verdict import Unusable

PRIVATE: Final = re.compile(r"PRIVATE\+KEY\+([^+]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/]+={0,2})\n?")


class KeyUnusable(Unusable):
    """The witness has no key that it could sign with.

    Context: ``path`` and ``reason``.
    """

    code = "witness-key-unusable"


class Cosigner:
    """A private key and the name it signs under; never shown when it is printed."""

    def __init__(self, name: str, seed: bytes) -> None:
        """Take 32 secret bytes and a name without spaces and plus."""
        self.name = name
        self._seed = seed
        self._key = Ed25519PrivateKey.from_private_bytes(seed)
        material = bytes([COSIGNATURE]) + self._key.public_key().public_bytes_raw()
        self._key_id = sha256(name.encode() + b"\n" + material).digest()[:ID_BYTES]
        self.vkey = f"{name}+{self._key_id.hex()}+{b64encode(material).decode()}"

    @classmethod
    def made(cls, name: str) -> Self:
        """Make a new key."""
        return cls(name, secrets.token_bytes(KEY_BYTES))

    def cosign(self, text: str, seconds: int) -> str:
        """Write the signature line, with its newline, of a checkpoint's text seen at this second (C2SP tlog-cosignature)."""
        signature = self._key.sign(f"cosignature/v1\ntime {seconds}\n{text}".encode())
        value = self._key_id + seconds.to_bytes(TIME_BYTES) + signature
        return f"\N{EM DASH} {self.name} {b64encode(value).decode()}\n"

    def written(self) -> str:
        """Write the private key as signed-note tools do: whoever reads this can sign."""
        encoded = b64encode(bytes([COSIGNATURE]) + self._seed).decode()
        return f"PRIVATE+KEY+{self.name}+{self._key_id.hex()}+{encoded}\n"


def is_name(name: str) -> bool:
    """Tell whether a key can be called so."""
    return bool(name) and "+" not in name and name.isprintable() and not has_space(name)


def kept_key(path: Path, name: str | None) -> Cosigner | None:
    """Read the key in a file; ``None``: there is no such file yet.

    Raises:
        KeyUnusable: the file holds no key, or that of another name than is asked for.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as reason:
        raise KeyUnusable(path=str(path), reason=_told(reason)) from reason
    found = PRIVATE.fullmatch(text)
    material = None if found is None else exact_base64(found[3])
    if found is None or material is None or len(material) != 1 + KEY_BYTES or material[0] != COSIGNATURE:
        raise KeyUnusable(path=str(path), reason="it holds no private key of a witness")
    cosigner = Cosigner(found[1], material[1:])
    if cosigner.written().strip() != text.strip():
        raise KeyUnusable(path=str(path), reason="its id is not that of its name and key")
    if name not in {None, cosigner.name}:
        raise KeyUnusable(path=str(path), reason=f"its name is {cosigner.name}; a name cannot be changed")
    return cosigner


def keep_key(path: Path, cosigner: Cosigner) -> None:
    """Write a new key to a file that only its owner can read, flushed to disk.

    Raises:
        KeyUnusable: it cannot be written, or somebody else has just made the file.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        opened = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(opened, "w", encoding="utf-8") as file:
            file.write(cosigner.written())
            file.flush()
            os.fsync(file.fileno())
    except OSError as reason:
        raise KeyUnusable(path=str(path), reason=_told(reason)) from reason


def _told(reason: OSError | UnicodeDecodeError) -> str:
    return (reason.strerror or str(reason)) if isinstance(reason, OSError) else "it holds no text"
