"""A receiver of what is posted, as light as can be: it reads no head but for the length, and answers all alike."""

import asyncio
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Final

END_OF_HEAD: Final = b"\r\n\r\n"
LENGTH: Final = b"\r\ncontent-length: "
TAKEN: Final = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"


@asynccontextmanager
async def receiving(take: Callable[[bytes], None]) -> AsyncIterator[str]:
    """Hand every body to ``take``, on a free port of this machine; gives the URL."""

    async def serve(reader: StreamReader, writer: StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                head = (await reader.readuntil(END_OF_HEAD)).lower()
                length = int(head.partition(LENGTH)[2].partition(b"\r\n")[0])
                take(await reader.readexactly(length))
                writer.write(TAKEN)
                await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
