"""Notes, checkpoints and keys of logs and witnesses, written for the tests from the C2SP specifications."""

import base64
import hashlib

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

LOG = 1
WITNESS = 4


class Signatory(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody with a key made of their name: every run of a test has the same."""

    name: str
    kind: int = LOG
    number: int = 0
    """Of the key, for who has several."""

    @property
    def private(self) -> Ed25519PrivateKey:
        return Ed25519PrivateKey.from_private_bytes(
            hashlib.sha256(f"{self.kind} {self.name} {self.number}".encode()).digest()
        )

    @property
    def public(self) -> bytes:
        return self.private.public_key().public_bytes_raw()

    @property
    def key_id(self) -> bytes:
        return hashlib.sha256(self.name.encode() + b"\n" + bytes([self.kind]) + self.public).digest()[:4]

    @property
    def vkey(self) -> str:
        material = base64.b64encode(bytes([self.kind]) + self.public).decode()
        return f"{self.name}+{self.key_id.hex()}+{material}"

    def line(self, text: str, *, at: int | None = None) -> str:
        """The line of signature below a note; a witness says ``at`` which second it signed."""
        if self.kind == LOG:
            signature = self.private.sign(text.encode())
        else:
            assert at is not None
            signature = at.to_bytes(8, "big") + self.private.sign(
                f"cosignature/v1\ntime {at}\n{text}".encode()
            )
        return f"— {self.name} {base64.b64encode(self.key_id + signature).decode()}\n"


def checkpoint_text(origin: str, size: int, root: bytes) -> str:
    return f"{origin}\n{size}\n{base64.b64encode(root).decode()}\n"


def note(text: str, *lines: str) -> bytes:
    return (text + "\n" + "".join(lines)).encode()
