"""Proofs of single entries, written for the tests from the specification of C2SP tlog-proof."""

import base64
from collections.abc import Sequence

from tests.support import rfc6962
from tests.support.bundles import checkpoint
from tests.support.noting import Signatory


def proof_text(
    index: int, leaves: Sequence[bytes], *, extra: bytes | None = None, witnesses: Sequence[Signatory] = ()
) -> bytes:
    lines = ["c2sp.org/tlog-proof@v1"]
    lines += [] if extra is None else [f"extra {base64.b64encode(extra).decode()}"]
    lines += [f"index {index}"]
    lines += [base64.b64encode(one).decode() for one in rfc6962.path(index, leaves)]
    return "\n".join(lines).encode() + b"\n\n" + checkpoint(leaves, witnesses=witnesses)
