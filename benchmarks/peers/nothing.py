"""A program that answers nothing but ``{"ok": true}``, from the same server and framework as the service.

It is what HTTP costs by itself: uvicorn as the service runs it, with its parser and its loop, and Litestar's way to a
handler; no door, no log, no caller to know. ``python -m benchmarks.peers.nothing``
"""

import gc

import uvicorn
from litestar import Litestar, Response, get

from benchmarks.peers.programs import listening, run
from ledger.cli.connection import Connection

PATH = "/nothing"
BODY = b'{"ok":true}'


@get(PATH)
async def nothing() -> Response[bytes]:
    return Response(BODY, media_type="application/json")


async def main() -> None:
    app = Litestar([nothing], openapi_config=None, logging_config=None)
    config = uvicorn.Config(
        app,
        http=Connection,
        lifespan="off",
        log_config=None,
        log_level="error",
        access_log=False,
        server_header=False,
        proxy_headers=False,
    )
    gc.freeze()
    await uvicorn.Server(config).serve([listening()])


if __name__ == "__main__":
    run(main)
