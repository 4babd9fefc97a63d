"""Why a key is named by a commitment: AES-GCM lets anybody who has two keys make one ciphertext that both open."""

import secrets
from typing import Final

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CTR

from ledger.personal.opening import Opener
from ledger.personal.tokens import Form, SubjectKey, Token
from tests.personal.test_tokens import EVENT

ONE: Final = 1 << 127
"""The field's one: its elements are written with the lowest power first (NIST SP 800-38D, section 6.3)."""
REDUCTION: Final = 0xE1 << 120


def times(one: int, other: int) -> int:
    """Multiply in GF(2^128)."""
    product = 0
    for bit in range(127, -1, -1):
        if other >> bit & 1:
            product ^= one
        one = one >> 1 ^ (REDUCTION if one & 1 else 0)
    return product


def power(base: int, exponent: int) -> int:
    result = ONE
    while exponent:
        if exponent & 1:
            result = times(result, base)
        base, exponent = times(base, base), exponent >> 1
    return result


def blocks(content: bytes) -> list[int]:
    padded = content + bytes(-len(content) % 16)
    return [int.from_bytes(padded[at : at + 16], "big") for at in range(0, len(padded), 16)]


def encrypted(key: bytes, block: bytes) -> int:
    return int.from_bytes(Cipher(AES(key), CTR(block)).encryptor().update(bytes(16)), "big")


def hashed(key: int, parts: list[int]) -> int:
    """GHASH."""
    total = 0
    for part in parts:
        total = times(total ^ part, key)
    return total


def opened_by_both(first: bytes, second: bytes, nonce: bytes, bound: bytes) -> bytes:
    """Make a ciphertext of two blocks that both keys take for genuine: the second block is solved for."""
    begun = secrets.token_bytes(16)
    lengths = (len(bound) * 8 << 64) | 32 * 8
    keys = [encrypted(key, bytes(16)) for key in (first, second)]
    masks = [encrypted(key, nonce + b"\0\0\0\1") for key in (first, second)]
    without = [
        hashed(key, [*blocks(bound), *blocks(begun), 0, lengths]) ^ mask
        for key, mask in zip(keys, masks, strict=True)
    ]
    weight = times(keys[0], keys[0]) ^ times(keys[1], keys[1])
    solved = times(without[0] ^ without[1], power(weight, 2**128 - 2))
    tag = without[0] ^ times(solved, times(keys[0], keys[0]))
    return begun + solved.to_bytes(16, "big") + tag.to_bytes(16, "big")


def test_a_ciphertext_that_two_keys_open_is_opened_by_the_one_that_its_token_names() -> None:
    key, other, nonce = SubjectKey.new(), SubjectKey.new(), secrets.token_bytes(12)
    bound = f"{EVENT}|notes|{key.key_id}".encode()

    box = opened_by_both(key.secret, other.secret, nonce, bound)

    texts = [AESGCM(each.secret).decrypt(nonce, box, bound) for each in (key, other)]
    assert texts[0] != texts[1], "one ciphertext is two texts, and GCM has nothing against it"
    token = Token(key_id=key.key_id, event=str(EVENT), field="notes", form=Form.TEXT, box=nonce + box)
    assert token.opened(other) is None
    assert Opener({key.key_id: other}).text(token.written()) == "unreadable"
