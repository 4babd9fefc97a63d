"""A running service, asked patiently: what it gives is kept apart from what it refuses."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from http import HTTPStatus
from typing import Final

import httpx2
import msgspec

from ledger.domain.errors import LedgerError

PATIENCE: Final = 120.0
"""Seconds in which a service that is away, or asks us to come again, is tried again."""
WAIT: Final = 0.5
KEY_BYTES: Final = 16
AWAY: Final = frozenset({429, 502, 503, 504})
LONGEST_REASON: Final = 500


class ServiceRefused(LedgerError):
    """The service refused.

    Context: the ``call``, the ``status``, and what it ``said``.
    """

    code = "service-refused"
    advice = "LEDGER_TOKEN must be the access token of an auditor or an administrator."


class ServiceAway(LedgerError):
    """The service does not answer.

    Context: the ``call`` and the ``reason``.
    """

    code = "service-away"
    advice = "Nothing is left of what came: try again when it is back, or name another one with --url."


class _Said(msgspec.Struct):
    detail: str = ""


class Service:
    """Calls of one client; lost connections and answers 429, 502, 503 and 504 are tried again for two minutes."""

    def __init__(self, client: httpx2.AsyncClient) -> None:
        """Call through ``client``, which shows the token."""
        self._client = client

    async def get(self, path: str) -> bytes:
        """Give what is at ``path``, whole.

        Raises:
            ServiceRefused: as the service says.
            ServiceAway: it does not answer.
        """
        return (await self._patiently(self._client.build_request("GET", path))).content

    async def get_if_any(self, path: str) -> bytes | None:
        """As ``get``; ``None``: there is no such thing."""
        answer = await self._patiently(self._client.build_request("GET", path), missing=True)
        return None if answer.status_code == HTTPStatus.NOT_FOUND else answer.content

    async def post(self, path: str, body: object) -> bytes:
        """Send ``body``; where nobody knows whether it arrived, once more, and it still counts once."""
        key = f"export-{secrets.token_hex(KEY_BYTES)}"
        headers = {"Content-Type": "application/json", "Idempotency-Key": key}
        request = self._client.build_request("POST", path, content=msgspec.json.encode(body), headers=headers)
        return (await self._patiently(request)).content

    async def lines(self, path: str) -> AsyncIterator[bytes]:
        """Give a long answer in pieces of whole lines.

        Raises:
            ServiceRefused: as the service says.
            ServiceAway: it breaks off.
        """
        rest, answer = b"", await self._patiently(self._client.build_request("GET", path), stream=True)
        try:
            async for piece in answer.aiter_bytes():
                whole, newline, rest = (rest + piece).rpartition(b"\n")
                if newline:
                    yield whole + newline
        except httpx2.TransportError as lost:
            raise ServiceAway(call=f"GET {path}", reason=_words(lost)) from lost
        finally:
            await answer.aclose()

    async def _patiently(
        self, request: httpx2.Request, *, missing: bool = False, stream: bool = False
    ) -> httpx2.Response:
        clock = asyncio.get_running_loop().time
        deadline = clock() + PATIENCE
        while True:
            try:
                answer = await self._client.send(request, stream=stream)
                if answer.is_success:
                    return answer
                await answer.aread()
            except httpx2.TransportError as lost:
                reason, wait = _words(lost), WAIT
            else:
                if missing and answer.status_code == HTTPStatus.NOT_FOUND:
                    return answer
                if answer.status_code not in AWAY:
                    raise _refused(answer)
                reason, wait = f"it answers {answer.status_code}", _asked_to_wait(answer)
            if clock() + wait > deadline:
                raise ServiceAway(call=f"{request.method} {request.url.path}", reason=reason)
            await asyncio.sleep(wait)


def _asked_to_wait(answer: httpx2.Response) -> float:
    seconds = answer.headers.get("Retry-After", "")
    return float(seconds) if seconds.isdecimal() else WAIT


def _refused(answer: httpx2.Response) -> ServiceRefused:
    try:
        said = msgspec.json.decode(answer.content, type=_Said).detail
    except (msgspec.MsgspecError, ValueError):
        said = "nothing that a decision ledger says"
    call = f"{answer.request.method} {answer.request.url.path}"
    return ServiceRefused(call=call, status=answer.status_code, said=said[:LONGEST_REASON])


def _words(lost: httpx2.TransportError) -> str:
    return f"{type(lost).__name__} {lost}".strip()
