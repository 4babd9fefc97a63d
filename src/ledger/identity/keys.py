"""Keys for one purpose each, derived from the secret of the settings; the secret itself signs nothing."""

from collections.abc import Sequence
from typing import Final

import msgspec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

KEY_BYTES: Final = 32
ID_BYTES: Final = 8


class Key(msgspec.Struct, frozen=True):
    """A key and the name that whatever it made carries; the name gives nothing of the key away."""

    key_id: str
    secret: bytes


class Keyring:
    """The keys of one purpose: the current one makes, every one of them still reads.

    Rotating is naming a new secret before the old one, and dropping the old one once nothing it made is in use.
    """

    def __init__(self, secrets: Sequence[str], purpose: str) -> None:
        """Derive a key from each of ``secrets``; the first gives the current one."""
        keys = [_derive(secret, purpose) for secret in secrets]
        self.current = keys[0]
        self._by_id = {key.key_id: key for key in keys}

    def previous_ids(self) -> list[str]:
        """Name the keys that only read."""
        return [key_id for key_id in self._by_id if key_id != self.current.key_id]

    def find(self, key_id: str) -> Key | None:
        """Find a key by its name; ``None``: it is none of ours, or no longer."""
        return self._by_id.get(key_id)


def _derive(secret: str, purpose: str) -> Key:
    info = f"decision-ledger/{purpose}/v1".encode()
    material = HKDF(algorithm=SHA256(), length=KEY_BYTES + ID_BYTES, salt=None, info=info).derive(
        secret.encode("utf-8", "surrogatepass")
    )
    return Key(material[KEY_BYTES:].hex(), material[:KEY_BYTES])
