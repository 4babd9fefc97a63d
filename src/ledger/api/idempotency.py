"""Which command a request is: the one that its Idempotency-Key names, or a new one."""

import hashlib
import hmac
import re
from typing import Final

from ledger.api.auth import header_of
from ledger.api.problems import FieldError, InvalidRequest
from ledger.api.receipts import without_wait
from ledger.api.types import HttpRequest

HEADER: Final = b"idempotency-key"
SANE_KEY: Final = re.compile(r"[\x21-\x7e]{1,255}")


def key_of(request: HttpRequest) -> str | None:
    """Read the key; ``None``: it has none.

    Raises:
        InvalidRequest: it is no key.
    """
    key = header_of(request, HEADER)
    if key is not None and not SANE_KEY.fullmatch(key):
        raise InvalidRequest(FieldError("Idempotency-Key", "is 1 to 255 visible ASCII characters"))
    return key


async def digest_of(request: HttpRequest, secret: bytes, content: bytes | None = None) -> str:
    """Sum a request up, so that one sent again is known from another under the same key.

    ``content`` stands for the body, where that was read elsewhere.
    """
    scope = request.scope
    told = [
        scope["method"].encode(),
        scope["raw_path"],
        without_wait(scope["query_string"]),
        await request.body() if content is None else content,
    ]
    parts = b"".join(len(part).to_bytes(8, "big") + part for part in told)
    return hmac.new(secret, parts, hashlib.sha256).hexdigest()
