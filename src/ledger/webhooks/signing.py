"""Signatures as Standard Webhooks has them, so that receivers verify them with a library they have already."""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from ledger.domain.ids import Digest, MessageId

MARK: Final = "whsec_"
SECRET_BYTES: Final = 32
"""The specification asks for 24 to 64."""


def new_secret() -> str:
    """Make a secret as its receiver keeps it."""
    return MARK + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def digest_of(secret: str) -> Digest:
    """Commit to a secret; 256 random bits need no salt."""
    return Digest(hashlib.sha256(secret.encode()).hexdigest())


def signed(
    signing: Sequence[str], message: MessageId, *, at: datetime, body: bytes
) -> tuple[tuple[str, str], ...]:
    """Give the headers of one attempt, with a signature of each secret: a receiver needs one that fits.

    Standard Webhooks 1.0.0, "Signature scheme": HMAC-SHA256 of ``id.timestamp.body``.
    """
    moment = str(int(at.timestamp()))
    content = b".".join((str(message).encode(), moment.encode(), body))
    return (
        ("webhook-id", str(message)),
        ("webhook-timestamp", moment),
        ("webhook-signature", " ".join(_signature(secret, content) for secret in signing)),
    )


def _signature(secret: str, content: bytes) -> str:
    key = base64.b64decode(secret.removeprefix(MARK))
    return "v1," + base64.b64encode(hmac.digest(key, content, "sha256")).decode()
