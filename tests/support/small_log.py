"""A log in memory, by the definitions of RFC 6962: honest checkpoints and proofs, and dishonest ones."""

from base64 import b64encode
from hashlib import sha256
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

ORIGIN: Final = "ledger.example/one"


def root(leaves: list[bytes]) -> bytes:
    """MTH of section 2.1."""
    if not leaves:
        return sha256(b"").digest()
    if len(leaves) == 1:
        return sha256(b"\x00" + leaves[0]).digest()
    half = _split(len(leaves))
    return sha256(b"\x01" + root(leaves[:half]) + root(leaves[half:])).digest()


def proof(old: int, leaves: list[bytes]) -> list[bytes]:
    """PROOF of section 2.1.2."""
    return _subproof(old, leaves, is_whole=True) if 0 < old < len(leaves) else []


def _subproof(old: int, leaves: list[bytes], *, is_whole: bool) -> list[bytes]:
    if old == len(leaves):
        return [] if is_whole else [root(leaves)]
    half = _split(len(leaves))
    if old <= half:
        return [*_subproof(old, leaves[:half], is_whole=is_whole), root(leaves[half:])]
    return [*_subproof(old - half, leaves[half:], is_whole=False), root(leaves[:half])]


def _split(count: int) -> int:
    return 1 << (count - 1).bit_length() - 1


class SmallLog:
    """A log of so many leaves; ``story`` makes another history of the same log, from the leaf ``differs_at`` on."""

    def __init__(self, origin: str = ORIGIN, *, seed: int = 1, leaves: int = 64) -> None:
        self.origin = origin
        self._key = Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32)
        material = b"\x01" + self._key.public_key().public_bytes_raw()
        self._key_id = sha256(origin.encode() + b"\n" + material).digest()[:4]
        self.vkey = f"{origin}+{self._key_id.hex()}+{b64encode(material).decode()}"
        self.leaves = [f"leaf {number}".encode() for number in range(leaves)]

    def fork(self, at: int) -> "SmallLog":
        """The same log, signing another history from the leaf ``at`` on."""
        other = SmallLog.__new__(SmallLog)
        other.__dict__.update(self.__dict__)
        other.leaves = [*self.leaves[:at], *(b"other " + leaf for leaf in self.leaves[at:])]
        return other

    def text(self, size: int) -> str:
        return f"{self.origin}\n{size}\n{b64encode(root(self.leaves[:size])).decode()}\n"

    def sign(self, text: str) -> str:
        value = b64encode(self._key_id + self._key.sign(text.encode())).decode()
        return f"— {self.origin} {value}\n"

    def note(self, size: int) -> str:
        return f"{self.text(size)}\n{self.sign(self.text(size))}"

    def proof(self, old: int, new: int) -> list[str]:
        return [b64encode(one).decode() for one in proof(old, self.leaves[:new])]

    def request(self, old: int, new: int) -> bytes:
        """An honest body of ``add-checkpoint``."""
        return body(old, self.proof(old, new), self.note(new))


def body(old: int | str, hashes: list[str], note: str) -> bytes:
    return "\n".join([f"old {old}", *hashes, "", note]).encode()
