"""Who plays in the demo: each a client of the service, logged in as themselves."""

from types import TracebackType
from typing import Final, Self

import httpx2

from ledger.domain.errors import LedgerError

SECONDS: Final = 30.0


class DemoFailed(LedgerError):
    """The demo met an answer that its story does not know."""

    code = "demo-failed"
    advice = "That is a fault of this release."


class Player:
    """Somebody who calls the service; use it as a context manager."""

    def __init__(self, url: str, name: str) -> None:
        """Prepare to call ``url`` as ``name``."""
        self.name = name
        self._client = httpx2.AsyncClient(base_url=url, timeout=SECONDS, trust_env=False)

    async def log_in(self, password: str) -> None:
        """Log in; every later call carries the token."""
        answer = await self._client.post(
            "/api/auth/login", data={"username": self.name, "password": password}
        )
        self._client.headers["Authorization"] = f"Bearer {_checked(answer).json()['access_token']}"

    async def get(self, path: str) -> dict[str, object]:
        """Read one thing."""
        found: dict[str, object] = _checked(await self._client.get(path)).json()
        return found

    async def get_list(self, path: str) -> list[dict[str, object]]:
        """Read a list of things."""
        found: list[dict[str, object]] = _checked(await self._client.get(path)).json()
        return found

    async def post(self, path: str, body: dict[str, object]) -> None:
        """Do something."""
        _checked(await self._client.post(path, json=body))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.aclose()


def _checked(answer: httpx2.Response) -> httpx2.Response:
    if answer.status_code != httpx2.codes.OK:
        raise DemoFailed(call=f"{answer.request.method} {answer.request.url}", answer=answer.text)
    return answer
