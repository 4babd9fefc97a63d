"""Asking somebody outside over HTTP: a POST with bounds on time and size, and every way to fail in one error.

Addresses come from the operator, not from users. Still no redirect is followed, no proxy of the environment asked, and
no cookie kept: what was configured is who is asked.
"""

import asyncio
from importlib.metadata import version
from types import TracebackType
from typing import Final, Self

import httpx2
import msgspec

from ledger.domain.errors import Unavailable

STEP_SECONDS: Final = 5.0
"""How long connecting may take, and each wait for the other side."""
ATTEMPT_SECONDS: Final = 10.0
"""How long all of it may take."""
MOST_READ: Final = 64 * 1024
MOST_CONNECTIONS: Final = 64
OK: Final = 200


class PartnerFailed(Unavailable):
    """Somebody outside did not do what they were asked.

    Context: the ``problem``, in kebab-case, and perhaps ``retry_after``, the seconds they ask for.
    """

    code = "partner-failed"
    advice = "They are asked again by and by."

    def __init__(self, problem: str, *, retry_after: float | None = None) -> None:
        """Take what went wrong."""
        super().__init__(problem=problem)
        self.problem = problem
        self.retry_after = retry_after


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What came back; ``retry_after``: how many seconds they ask for (``None``: they do not)."""

    status: int
    media_type: str
    body: bytes
    retry_after: float | None


class Outbound:
    """The connections of one errand."""

    def __init__(self, *, attempt_seconds: float = ATTEMPT_SECONDS) -> None:
        """Open nothing yet."""
        self._attempt_seconds = attempt_seconds
        self._client = httpx2.AsyncClient(
            timeout=httpx2.Timeout(STEP_SECONDS),
            limits=httpx2.Limits(max_connections=MOST_CONNECTIONS),
            headers={
                "User-Agent": f"decision-ledger/{version('decision-ledger')}",
                "Accept-Encoding": "identity",  # what is small unpacks to what is not
            },
            follow_redirects=False,
            trust_env=False,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.aclose()

    async def post(self, url: str, media_type: str, body: bytes) -> Answer:
        """Send once and read the answer, of whatever status, within 10 seconds.

        Raises:
            PartnerFailed: there was none, or none that is as short as it must be.
        """
        try:
            async with asyncio.timeout(self._attempt_seconds):
                return await self._post(url, media_type, body)
        except (TimeoutError, httpx2.TimeoutException) as late:
            raise PartnerFailed("timeout") from late
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError) as failed:
            raise PartnerFailed("unreachable") from failed

    async def _post(self, url: str, media_type: str, body: bytes) -> Answer:
        headers = {"Content-Type": media_type}
        async with self._client.stream("POST", url, content=body, headers=headers) as answer:
            read = bytearray()
            async for part in answer.aiter_raw():
                read += part
                if len(read) > MOST_READ:
                    raise PartnerFailed("answer-too-long")
            return Answer(
                status=answer.status_code,
                media_type=answer.headers.get("content-type", "").partition(";")[0].strip().lower(),
                body=bytes(read),
                retry_after=_seconds(answer.headers.get("retry-after", "")),
            )


def _seconds(text: str) -> float | None:
    """Read a number of seconds; a date, which clocks would have to agree about, counts as nothing."""
    return float(text) if text.isascii() and text.isdigit() and len(text) < 7 else None  # noqa: PLR2004 - 11 days
