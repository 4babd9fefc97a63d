"""Secrets as they are stored: sealed under a key of the service, bound to what they belong to."""

import secrets
from typing import Final
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ledger.identity.keys import Keyring

NONCE_BYTES: Final = 12


def seal(keys: Keyring, owner: UUID, secret: str) -> bytes:
    """Encrypt a secret under the current key (AES-256-GCM), bound to its owner."""
    nonce = secrets.token_bytes(NONCE_BYTES)
    return nonce + AESGCM(keys.current.secret).encrypt(nonce, secret.encode(), owner.bytes)


def unseal(keys: Keyring, owner: UUID, key_id: str, sealed: bytes) -> str | None:
    """Decrypt an owner's secret; ``None``: its key is not known any more, or it is not this owner's."""
    key = keys.find(key_id)
    if key is None:
        return None
    nonce, rest = sealed[:NONCE_BYTES], sealed[NONCE_BYTES:]
    try:
        return AESGCM(key.secret).decrypt(nonce, rest, owner.bytes).decode()
    except InvalidTag:
        return None
