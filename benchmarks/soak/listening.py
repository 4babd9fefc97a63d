"""Those who are told while it goes on: followers of the event stream, and a receiver of webhooks."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final

from benchmarks.service import Service

TURN_SECONDS: Final = 20.0
"""After which a follower hangs up and goes on where it was, as after a lost connection."""


class Follower:
    """Follows all events from the first; ``wrong`` counts those that came again or out of order."""

    def __init__(self, service: Service, headers: Callable[[], Awaitable[dict[str, str]]]) -> None:
        self._service, self._headers = service, headers
        self._position = 0
        self.told: dict[str, set[str]] = {}
        self.wrong = 0

    def names(self, type_name: str) -> set[str]:
        """Name the decisions of which it was told this."""
        return self.told.setdefault(type_name, set())

    async def run(self) -> None:
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(TURN_SECONDS):
                    await self._follow()

    async def _follow(self) -> None:
        headers = {**await self._headers(), "Last-Event-ID": str(self._position)}
        async with self._service.client.stream("GET", "/api/stream", headers=headers) as answer:
            answer.raise_for_status()
            async for line in answer.aiter_lines():
                if line.startswith("data: {"):
                    self._take(json.loads(line.removeprefix("data: ")))

    def _take(self, told: dict[str, object]) -> None:
        position, name, type_name = told["position"], told["analysis_id"], told["type"]
        if not isinstance(position, int) or position <= self._position:
            self.wrong += 1
            return
        self._position = position
        self.names(str(type_name)).add(str(name))


class Receiver:
    """Takes webhooks, and remembers which decisions they were about."""

    def __init__(self) -> None:
        self.names: set[str] = set()
        self.count = 0

    def take(self, body: bytes) -> None:
        self.count += 1
        self.names.add(json.loads(body)["data"]["analysis_id"])
