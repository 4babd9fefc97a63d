"""The notary over HTTP: how the log is sealed, and under which key."""

from litestar import Response, get

from ledger.api.call import Call
from ledger.api.json_answer import json_response
from ledger.api.notary_wire import NotaryStatus, notary_status_of
from ledger.api.types import HttpRequest
from ledger.store.pool import reading


@get("/admin/notary/status", tags=["Sealing"], opt={"answer": NotaryStatus})
async def notary_status(request: HttpRequest) -> Response[bytes]:
    """Tell what is sealed; hand its public key to auditors by another way than this service."""
    services = Call(request).services
    ledger_id, origin = services.ledger.ledger_id, services.notary.origin
    async with reading(services.ledger.pool) as conn:
        found = await notary_status_of(conn, ledger_id, origin, services.watch, services.clock())
    return json_response(found)
