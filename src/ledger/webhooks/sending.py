"""One attempt: a POST to a checked address, of which the status is all that counts.

No redirect is followed, no proxy of the environment asked, no cookie kept, nothing unpacked; what the receiver
answers is thrown away, and read at most in part.
"""

import asyncio
import ssl
from collections.abc import Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache
from importlib.metadata import version
from typing import Final

import httpcore2
import httpx2
import msgspec
import structlog

from ledger.webhooks.addresses import AddressRefused, GuardedBackend, Network, Resolve

log = structlog.get_logger()

STEP_SECONDS: Final = 10.0
"""How long connecting may take, and each wait for the receiver."""
ATTEMPT_SECONDS: Final = 20.0
"""How long all of an attempt may take: a receiver that answers byte by byte waits for itself alone."""
MOST_READ: Final = 16 * 1024
KEEP_SECONDS: Final = 5.0
MOST_CONNECTIONS: Final = 352
"""As many as messages may be on their way: one that had to wait for a connection would be held up by a stranger."""
OK: Final = range(200, 300)
URLS_KEPT: Final = 256
"""Parsed ones: a receiver that is told much is told at the same address."""
AGENT: Final = f"decision-ledger/{version('decision-ledger')}"
GONE: Final = 410


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What came of an attempt; ``status`` is ``None`` where nothing was answered, ``error`` where it arrived.

    ``retry_after`` is how many seconds the receiver asks for.
    """

    status: int | None
    error: str | None
    retry_after: float | None = None

    def is_delivered(self) -> bool:
        """Tell whether the receiver has it."""
        return self.error is None


class Sender:
    """The connections of one process to all receivers."""

    def __init__(
        self,
        allowed: Sequence[Network],
        *,
        tls: ssl.SSLContext | None = None,
        resolve: Resolve | None = None,
        step_seconds: float = STEP_SECONDS,
        attempt_seconds: float = ATTEMPT_SECONDS,
    ) -> None:
        """Send to public addresses by TLS, and to those of ``allowed`` networks."""
        self._step, self._attempt = step_seconds, attempt_seconds
        self._pools = {
            scheme: httpcore2.AsyncConnectionPool(
                ssl_context=tls or httpx2.create_ssl_context(),
                max_connections=MOST_CONNECTIONS,
                keepalive_expiry=KEEP_SECONDS,
                network_backend=GuardedBackend(allowed, is_plain=scheme == "http", resolve=resolve),
            )
            for scheme in ("https", "http")
        }

    async def post(
        self, url: str, headers: Sequence[tuple[str, str]], body: bytes, *, now: datetime
    ) -> Outcome:
        """Send once and say what came of it, after 20 seconds at most; that it could not be sent is an outcome too."""
        try:
            async with asyncio.timeout(self._attempt):
                return await self._post(_parsed(url), headers, body, now)
        except (TimeoutError, httpcore2.TimeoutException):
            return Outcome(status=None, error="timeout")
        except AddressRefused as refused:
            return Outcome(status=None, error=refused.code)
        except (httpcore2.NetworkError, httpcore2.ProtocolError, httpcore2.UnsupportedProtocol) as failed:
            return Outcome(status=None, error=_named(failed))
        except OSError:  # of TLS: the receiver wants a certificate of ours, say
            return Outcome(status=None, error="connection-lost")
        except (ValueError, OverflowError, RuntimeError):  # of a library, over what it does not know
            log.exception("webhook.attempt.broken")
            return Outcome(status=None, error="broken")

    async def _post(
        self, url: httpx2.URL, headers: Sequence[tuple[str, str]], body: bytes, now: datetime
    ) -> Outcome:
        target = httpcore2.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path)
        wait = {"connect": self._step, "read": self._step, "write": self._step, "pool": self._step}
        common = (
            ("host", url.netloc.decode("ascii")),
            ("user-agent", AGENT),
            ("content-type", "application/json"),
            ("content-length", str(len(body))),
        )
        async with self._pools[url.scheme].stream(
            "POST", target, headers=[*common, *headers], content=body, extensions={"timeout": wait}
        ) as answer:
            read = 0
            async for part in answer.aiter_stream():
                read += len(part)
                if read > MOST_READ:
                    break
            return _outcome(answer, now)

    async def close(self) -> None:
        """Hang up everywhere."""
        for pool in self._pools.values():
            await pool.aclose()


@lru_cache(maxsize=URLS_KEPT)
def _parsed(url: str) -> httpx2.URL:
    return httpx2.URL(url)


def _outcome(answer: httpcore2.Response, now: datetime) -> Outcome:
    if answer.status in OK:
        return Outcome(status=answer.status, error=None)
    told = next((value for name, value in answer.headers if name.lower() == b"retry-after"), b"")
    return Outcome(status=answer.status, error=f"status-{answer.status}", retry_after=_seconds(told, now))


def _seconds(told: bytes, now: datetime) -> float | None:
    """Read Retry-After (RFC 9110, section 10.2.3): seconds, or a date; anything else says nothing."""
    text = told.decode("ascii", "replace").strip()
    if text.isdecimal():
        return float(text[:9])
    try:
        moment = parsedate_to_datetime(text)
        return max(0.0, (moment.astimezone(UTC) - now).total_seconds())
    except (ValueError, OverflowError):  # the latter: a time before the first year, or after the last
        return None


def _named(failed: Exception) -> str:
    """Name what went wrong by its kind: the words are the peer's, or name what only this machine can see."""
    if isinstance(failed.__cause__ or failed.__context__, ssl.SSLCertVerificationError):
        return "certificate-not-verified"
    match failed:
        case httpcore2.ConnectError():
            return "cannot-connect"
        case httpcore2.ProtocolError():
            return "not-http"
        case _:
            return "connection-lost"
