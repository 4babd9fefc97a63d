"""Receipts of commands: with ``wait=sealed`` an answer comes once its event is sealed, and brings the proof.

The body stays what it is: the proof travels in a header, so that whoever does not know of receipts is told nothing new.
What has been written is written, whatever becomes of its receipt.
"""

from base64 import b64encode
from typing import Final
from urllib.parse import parse_qsl

import structlog

from ledger.api.lasting import house_of
from ledger.api.problems import FieldError, InvalidRequest
from ledger.api.services import Services
from ledger.api.types import HttpRequest
from ledger.domain.errors import Corrupt, Unavailable
from ledger.domain.ids import EventId, Position

log = structlog.get_logger()

WAIT: Final = b"wait=sealed"
PROOF: Final = "Ledger-Proof"
SEALED: Final = "Ledger-Sealed"
RELATION: Final = "https://c2sp.org/tlog-proof"


def wants_seal(request: HttpRequest) -> bool:
    """Say whether a command's caller waits until its event is sealed; ask before anything is written.

    Raises:
        InvalidRequest: they wait for something else.
    """
    query = request.scope["query_string"]
    if b"wait" not in query:
        return False
    wanted = [text for name, text in parse_qsl(query.decode(), keep_blank_values=True) if name == "wait"]
    if wanted and wanted != ["sealed"]:
        raise InvalidRequest(FieldError("wait", "is 'sealed', or left out"))
    return bool(wanted)


def without_wait(query: bytes) -> bytes:
    """Give a query without the wish to wait: a command that is sent again is the same with it and without."""
    return b"&".join(part for part in query.split(b"&") if part != WAIT)


async def receipt(request: HttpRequest, services: Services, position: Position) -> dict[str, str]:
    """Wait until the event is sealed; tell whether it is and, where it is, bring the proof."""
    try:
        with house_of(request.scope["state"]).aside():
            proof = await services.receipts.proof_within(position, services.seal_wait_seconds)
    except (Unavailable, Corrupt) as away:
        log.warning("receipt.missing", position=position, code=away.code)
        proof = None
    if proof is None:
        return {SEALED: "false"}
    return {SEALED: "true", PROOF: b64encode(proof.encode()).decode()}


def link_to_proof(event: EventId) -> str:
    """Say where the proof of an event can be fetched (RFC 8288)."""
    return f'</api/audit/events/{event}/proof>; rel="{RELATION}"'
