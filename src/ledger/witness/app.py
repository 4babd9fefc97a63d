"""A witness over HTTP: ``POST /add-checkpoint``, and ``GET /`` says who it is. ASGI without a framework."""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Final, TypeAlias

from ledger.witness.witness import Answer, Witness

MAX_BODY_BYTES: Final = 256 * 1024
BODY_SECONDS: Final = 10.0
AT_ONCE: Final = 16
"""How many checkpoints are looked at side by side; others wait."""
PATHS: Final = {"/": ("GET", "HEAD"), "/add-checkpoint": ("POST",)}

Message: TypeAlias = MutableMapping[str, object]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]


class HungUp(Exception):
    """Whoever asked has gone before all of the request had come."""


class WitnessApp:
    """Answers for one witness."""

    def __init__(self, witness: Witness, *, broken: Callable[[OSError], None]) -> None:
        """Tell ``broken`` what kept a checkpoint from being written down."""
        self._witness, self._broken = witness, broken
        self._room = asyncio.Semaphore(AT_ONCE)

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        method, path = str(scope["method"]), str(scope["path"])
        try:
            answer, allowed = await self._answer(method, path, receive)
        except HungUp:
            return
        body = answer.body.encode()
        headers = [
            (b"content-type", answer.media_type.encode()),
            (b"content-length", str(len(body)).encode()),
            (b"cache-control", b"no-store"),
            (b"x-content-type-options", b"nosniff"),
            *([(b"allow", ", ".join(allowed).encode())] if allowed else []),
        ]
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if method == "HEAD" else body})

    async def _answer(self, method: str, path: str, receive: Receive) -> tuple[Answer, tuple[str, ...]]:
        methods = PATHS.get(path)
        if methods is None:
            return Answer(status=404, body="There is nothing here.\n"), ()
        if method not in methods:
            return Answer(status=405, body="That is not how to ask.\n"), methods
        if path == "/":
            return Answer(status=200, body=self._introduction()), ()
        return await self._add(receive), ()

    async def _add(self, receive: Receive) -> Answer:
        try:
            async with asyncio.timeout(BODY_SECONDS):
                body = await _body(receive)
        except TimeoutError:
            return Answer(status=408, body="The body took too long.\n")
        if body is None:
            return Answer(status=413, body=f"A body has {MAX_BODY_BYTES} bytes at most.\n")
        try:
            async with self._room:
                return await asyncio.to_thread(self._witness.add_checkpoint, body)
        except OSError as broken:
            self._broken(broken)
            return Answer(status=503, body="It could not be written down, so it was not cosigned.\n")

    def _introduction(self) -> str:
        cosigner = self._witness.cosigner
        logs = "".join(f"log {one.origin} {one.size}\n" for one in self._witness.standings())
        return f"witness {cosigner.name}\nvkey {cosigner.vkey}\n{logs}"


async def _body(receive: Receive) -> bytes | None:
    """Read the body; ``None``: it is too long.

    Raises:
        HungUp: it never came to its end.
    """
    read = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise HungUp
        part = message.get("body", b"")
        read += part if isinstance(part, bytes) else b""
        if len(read) > MAX_BODY_BYTES:
            return None
        if not message.get("more_body", False):
            return bytes(read)
