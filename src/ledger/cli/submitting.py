"""Submitting one line to a running service, through restarts of that service, and comparing what is there."""

import asyncio
import hashlib
import random
import secrets
from collections.abc import Callable
from typing import ClassVar, Final, TypeAlias
from urllib.parse import quote

import httpx2
import msgspec

from ledger.cli.comparing import differing, id_in
from ledger.cli.import_source import Line
from ledger.domain.errors import Unavailable

WAITS: Final = (0.1, 0.2, 0.5, 1.0, 2.0)
LONGEST_REASON: Final = 1000
KEY_BYTES: Final = 16
AWAY: Final = frozenset({429, 502, 503, 504})


class CannotGoOn(Unavailable):
    """The import cannot go on.

    Context: ``reason``, a sentence.
    """

    code = "import-cannot-go-on"
    advice = "What is in the ledger stays there: start the import again to resume it."


class Imported(msgspec.Struct, frozen=True):
    """The ledger has it now, by this import."""


class AlreadyThere(msgspec.Struct, frozen=True):
    """The ledger had it before, just as the line has it."""


class Differs(msgspec.Struct, frozen=True):
    """The ledger had another item of this id before; ``fields`` names what differs."""

    fields: tuple[str, ...]


class Refused(msgspec.Struct, frozen=True):
    """The ledger does not take it."""

    reason: str


Outcome: TypeAlias = Imported | AlreadyThere | Differs | Refused


class FieldError(msgspec.Struct, frozen=True):
    """What is wrong with one field."""

    field: str = ""
    message: str = ""


class Answer(msgspec.Struct, frozen=True):
    """What we read of an answer, good or bad; whatever else may answer at that address has none of it."""

    analysis_id: str = ""
    code: str = ""
    detail: str = ""
    errors: tuple[FieldError, ...] = ()


class _Away(msgspec.Struct, frozen=True):
    """No outcome yet; ``retry_after`` is how many seconds the service wants us to wait (``None``: it did not say)."""

    reason: str
    retry_after: float | None = None


class Submitter:
    """Submits lines; every try of a line carries the same key, so that a lost answer is no second submission."""

    path: ClassVar[str] = "/api/decisions/submit"

    def __init__(self, client: httpx2.AsyncClient, patience: float, say: Callable[[str], None]) -> None:
        """Try again for up to ``patience`` seconds while the service is away, and ``say`` so once."""
        self._client = client
        self._patience = patience
        self._say = say
        self._has_said = False
        # Of this run alone: a later run is told "already exists", not given this run's answer again.
        self._run = secrets.token_bytes(KEY_BYTES)

    async def submit(self, line: Line) -> Outcome:
        """Submit one line and tell what became of it.

        Lost connections and answers 429, 502, 503 and 504 are tried again after 0.1 to 2 seconds, give or take
        half, or after what Retry-After says and up to half as much again, until ``patience`` seconds have passed since the first of them.

        Raises:
            CannotGoOn: the service stays away, does not let us in, or is no decision ledger.
        """
        if line.text is None:
            return Refused("is longer than 8 MiB")
        text = line.text
        key = hashlib.sha256(self._run + line.number.to_bytes(8, "big") + text).hexdigest()
        headers = {"Content-Type": "application/json", "Idempotency-Key": f"import-{key}"}
        post = self._client.build_request("POST", self.path, content=text, headers=headers)
        outcome = await self._patiently(post, _judge)
        if not isinstance(outcome, AlreadyThere):
            return outcome
        look = self._client.build_request("GET", f"/api/decisions/{quote(id_in(text), safe='')}")
        return await self._patiently(look, lambda answer: _compare(answer, text))

    async def _patiently(
        self, request: httpx2.Request, judge: Callable[[httpx2.Response], Outcome | _Away]
    ) -> Outcome:
        clock = asyncio.get_running_loop().time
        attempt, deadline = 0, float("inf")
        while isinstance(outcome := await self._try(request, judge), _Away):
            self._say_once(outcome)
            deadline = min(deadline, clock() + self._patience)
            wait = _wait(attempt, outcome)
            if clock() + wait > deadline:
                reason = f"{self._place} did not take a line within {self._patience:g} seconds; at last: "
                raise CannotGoOn(reason=reason + outcome.reason)
            await asyncio.sleep(wait)
            attempt += 1
        return outcome

    async def _try(
        self, request: httpx2.Request, judge: Callable[[httpx2.Response], Outcome | _Away]
    ) -> Outcome | _Away:
        try:
            return judge(await self._client.send(request))
        except httpx2.TransportError as lost:
            return _Away(f"{type(lost).__name__} {lost}".strip())

    def _say_once(self, away: _Away) -> None:
        if not self._has_said:
            self._has_said = True
            self._say(f"{self._place} is away ({away.reason}); trying for {self._patience:g} seconds")

    @property
    def _place(self) -> str:
        return str(self._client.base_url).rstrip("/")


def _judge(answer: httpx2.Response) -> Outcome | _Away:
    """Tell what an answer means for its line.

    Raises:
        CannotGoOn: it means the same for every other line.
    """
    status, said = answer.status_code, _read(answer)
    if status == httpx2.codes.OK and said.analysis_id:
        return Imported()
    if said.code == "already-exists":
        return AlreadyThere()
    return _anything_else(answer, said)


def _compare(answer: httpx2.Response, text: bytes) -> Outcome | _Away:
    """Tell how the item that is there, which ``answer`` shows, differs from the line.

    Raises:
        CannotGoOn: as ``_judge``.
    """
    status, said = answer.status_code, _read(answer)
    if status == httpx2.codes.OK and said.analysis_id:
        fields = differing(text, answer.content)
        return Differs(fields) if fields else AlreadyThere()
    if status == httpx2.codes.NOT_FOUND and said.code:
        return Refused("is there already, and this account may not see what it holds")
    return _anything_else(answer, said)


def _anything_else(answer: httpx2.Response, said: Answer) -> Refused | _Away:
    status = answer.status_code
    if status in AWAY or said.code == "version-conflict":
        return _Away(_reason(status, said), _retry_after(answer))
    if status in (httpx2.codes.UNAUTHORIZED, httpx2.codes.FORBIDDEN):
        hint = "LEDGER_TOKEN must be the access token of an account that may submit"
        raise CannotGoOn(reason=f"{_reason(status, said)} {hint}.")
    if not said.code or status == httpx2.codes.NOT_FOUND:
        raise CannotGoOn(reason=f"{answer.url} answered {status}: there is no decision ledger.")
    return Refused(_reason(status, said))


def _read(answer: httpx2.Response) -> Answer:
    try:
        return msgspec.json.decode(answer.content, type=Answer)
    except (msgspec.MsgspecError, ValueError):
        return Answer()


def _reason(status: int, said: Answer) -> str:
    fields = "; ".join(f"{wrong.field}: {wrong.message}" for wrong in said.errors)
    return f"{status} {fields or said.detail}"[:LONGEST_REASON].rstrip()


def _retry_after(answer: httpx2.Response) -> float | None:
    seconds = answer.headers.get("Retry-After", "")
    return float(seconds) if seconds.isdecimal() else None


def _wait(attempt: int, away: _Away) -> float:
    if away.retry_after is not None:
        return away.retry_after * random.uniform(1.0, 1.5)  # noqa: S311 - spreads retries
    return WAITS[min(attempt, len(WAITS) - 1)] * random.uniform(0.5, 1.5)  # noqa: S311 - as above
