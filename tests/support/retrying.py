"""A client as the documents ask for: each command has a key, and what was not answered is sent again elsewhere."""

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from itertools import count, cycle
from typing import Final

import httpx2
import msgspec

from tests.support.http import submission, verdict

PATIENCE: Final = 60.0
"""Seconds after which a client gives a command up."""
PAUSE: Final = 0.05
"""Seconds between two items, and before asking again."""
UNAVAILABLE: Final = 503


class Seen(msgspec.Struct):
    """What clients were answered in the end, how often they had to ask again, and how long the longest command took."""

    answers: Counter[int] = msgspec.field(default_factory=Counter)
    again: Counter[str] = msgspec.field(default_factory=Counter)
    submitted: list[str] = msgspec.field(default_factory=list)
    slowest: float = 0.0


class RetryingClient:
    """Works until it is told to stop: submits an item, decides it, and begins anew."""

    def __init__(self, name: str, urls: Sequence[str], token: str, seen: Seen) -> None:
        """Ask at ``urls`` in turn, and at the next one when one does not answer."""
        self._name, self._urls, self._seen = name, cycle(urls), seen
        self._headers = {"Authorization": f"Bearer {token}"}

    async def work(self, stopping: asyncio.Event) -> None:
        async with httpx2.AsyncClient(headers=self._headers, timeout=PATIENCE, trust_env=False) as client:
            for number in count():
                if stopping.is_set():
                    return
                name = f"{self._name}-{number}"
                await self._send(client, f"submit-{name}", "/api/decisions/submit", submission(name))
                await self._send(client, f"decide-{name}", f"/api/decisions/{name}/decide", verdict(name))
                self._seen.submitted.append(name)
                await asyncio.sleep(PAUSE)

    async def _send(self, client: httpx2.AsyncClient, key: str, path: str, body: object) -> None:
        began = time.monotonic()
        status = UNAVAILABLE
        while status == UNAVAILABLE and time.monotonic() - began < PATIENCE:
            status = await self._try(client, next(self._urls) + path, {"Idempotency-Key": key}, body)
        self._seen.answers[status] += 1
        self._seen.slowest = max(self._seen.slowest, time.monotonic() - began)

    async def _try(self, client: httpx2.AsyncClient, url: str, headers: dict[str, str], body: object) -> int:
        """The status of an answer; 503 also where there was none."""
        try:
            answer = await client.post(url, headers=headers, json=body)
        except httpx2.TransportError as failed:
            self._seen.again[type(failed).__name__] += 1
        else:
            if answer.status_code != UNAVAILABLE:
                return answer.status_code
            self._seen.again[str(answer.json()["code"])] += 1
        await asyncio.sleep(PAUSE)
        return UNAVAILABLE
