"""The notary over HTTP: how the log is sealed, and under which key."""

from litestar import Response, get

from ledger.api.call import Call, json_response
from ledger.api.notary_wire import NotaryStatus, shown
from ledger.api.types import HttpRequest


@get("/admin/notary/status", tags=["Sealing"], opt={"answer": NotaryStatus})
async def notary_status(request: HttpRequest) -> Response[bytes]:
    """Tell what is sealed; hand its public key to auditors by another way than this service."""
    return json_response(shown(await Call(request).services.notary.status()))
