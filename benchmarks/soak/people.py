"""Everybody who takes part: registered before the clock runs, each with an account of their own."""

import asyncio
import time
from typing import Final

from benchmarks.service import Service
from benchmarks.soak.load import Desk

AUDITORS: Final = 2
AT_ONCE: Final = 4
LOGIN_SECONDS: Final = 900.0
"""After which the administrator logs in anew; an access token is good for twice that."""


class Administrator:
    """Whoever made everybody else, with a token that is good."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._headers: dict[str, str] = {}
        self._until = 0.0

    async def headers(self) -> dict[str, str]:
        if time.monotonic() >= self._until:
            self._headers = {"Authorization": f"Bearer {await self._service.login()}"}
            self._until = time.monotonic() + LOGIN_SECONDS
        return self._headers


class Engine:
    """An API key, which is good for as long as nobody takes it away."""

    def __init__(self, key: str) -> None:
        self._key = key

    async def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._key}"}


async def seat(service: Service, headers: dict[str, str], count: int) -> tuple[Desk, ...]:
    """Register an engine with a key and an analyst for each desk, and the auditors that they share."""
    turns = asyncio.Semaphore(AT_ONCE)

    async def register(name: str, role: str) -> str:
        body = {
            "username": name,
            "email": f"{name}@example.org",
            "password": service.password,
            "full_name": name,
            "role": role,
        }
        async with turns:
            await _post(service, headers, "/api/auth/register", body)
        return name

    async def desk(number: int) -> Desk:
        engine, analyst = (
            await register(f"engine-{number}", "service"),
            await register(f"analyst-{number}", "analyst"),
        )
        key = await _post(service, headers, "/api/keys", {"username": engine})
        return Desk(key=str(key["key"]), analyst=analyst, auditor=f"auditor-{number % AUDITORS}")

    await asyncio.gather(*(register(f"auditor-{number}", "auditor") for number in range(AUDITORS)))
    return tuple(await asyncio.gather(*(desk(number) for number in range(count))))


async def ask_for_webhooks(service: Service, headers: dict[str, str], url: str) -> None:
    """Have a receiver told of every resolution."""
    await _post(service, headers, "/api/webhooks", {"url": url, "topics": ["decision.resolved"]})


async def _post(
    service: Service, headers: dict[str, str], path: str, body: dict[str, object]
) -> dict[str, object]:
    answer = await service.client.post(path, json=body, headers=headers)
    answer.raise_for_status()
    return dict(answer.json())
