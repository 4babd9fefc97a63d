"""Guessing: how often somebody may be wrong, about a password or a code.

Only failures count against a name and an address, so that any number of people may log in at once. Whoever was
wrong too often is turned away before anything is compared; and because many may be wrong at the same time, the
outcome of a comparison is told only if the limit was not reached meanwhile. So of a thousand guesses at once, ten
are answered.

Names and addresses are counted under keyed hashes: whoever reads the counts learns neither.
"""

import hashlib
import hmac
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta

import msgspec
from opentelemetry import metrics

from ledger.domain.errors import Unauthenticated
from ledger.domain.ids import PersonId
from ledger.identity.failed_logins import FailedLogins
from ledger.identity.people import folded
from ledger.limiting.addresses import network_of
from ledger.limiting.limiter import Limiter
from ledger.limiting.rates import Rate, Rates, TooManyFailures, growing

_meter = metrics.get_meter("ledger.identity")
_failed = _meter.create_counter(
    "ledger_failed_attempts", description="Wrong passwords and codes, by what was guessed"
)
_turned_away = _meter.create_counter(
    "ledger_attempts_turned_away", description="Attempts that were not judged, after too many failures"
)


class _Limited(msgspec.Struct, frozen=True):
    """One thing that failures count against."""

    rates: tuple[Rate, ...]
    key: str


class Guesses:
    """Judges who may try at all, and remembers who was wrong."""

    def __init__(
        self,
        limiter: Limiter,
        rates: Rates,
        *,
        secret: bytes,
        clock: Callable[[], datetime],
        failed_logins: FailedLogins,
    ) -> None:
        """Count in ``limiter``, hide names and addresses behind ``secret``, note failures of people we know."""
        self._limiter = limiter
        self._secret = secret
        self._clock = clock
        self._failed_logins = failed_logins
        window = rates.guessing_seconds
        self._by_name = growing("failed-logins", rates.failed_logins, window)
        self._by_address = growing("failed-logins-per-address", rates.failed_logins_per_address, window)
        self._by_code = growing("second-factor", rates.second_factor_tries, window)

    @asynccontextmanager
    async def password(
        self, username: str, person: PersonId | None, address: str | None = None
    ) -> AsyncIterator[None]:
        """Let a password be compared inside the block; ``Unauthenticated`` from there says that it was wrong.

        ``person`` is who has the name (``None``: nobody, which makes no difference to whoever tries), ``address``
        where the attempt comes from (``None``: from somebody who is logged in).

        Raises:
            TooManyFailures: too many were wrong, for this name or from this address; says nothing of this one.
        """
        name = _Limited(self._by_name, self._hidden("name", folded(username)))
        limited = [name]
        if address is not None:
            limited.append(_Limited(self._by_address, self._hidden("address", network_of(address))))
        await self._admit("password", *limited)
        try:
            yield
        except Unauthenticated:
            _failed.add(1, {"guessed": "password"})
            await self._count("password", *limited)
            wait = await self._wait(name)  # for everybody: with shared counts it takes time
            if person is not None:
                self._failed_logins.wrong_password(person, self._clock())
                self._note_lock_out(person, wait)
            raise
        await self._admit("password", *limited)

    @asynccontextmanager
    async def code(self, person: PersonId) -> AsyncIterator[None]:
        """Let a code be compared inside the block; ``Unauthenticated`` from there says that it was wrong.

        Every try counts until one succeeds, because nobody tries many codes at once.

        Raises:
            TooManyFailures: too many were wrong; this one was not compared.
        """
        tries = _Limited(self._by_code, str(person))
        await self._count("code", tries)
        try:
            yield
        except Unauthenticated:
            _failed.add(1, {"guessed": "code"})
            self._failed_logins.wrong_code(person, self._clock())
            self._note_lock_out(person, await self._wait(tries))
            raise
        for rate in tries.rates:
            await self._limiter.forget(rate, tries.key)

    async def _admit(self, guessed: str, *limited: _Limited) -> None:
        wait = max([await self._wait(one) for one in limited])
        if wait:
            _turned_away.add(1, {"guessed": guessed})
            raise TooManyFailures(retry_after=wait)

    async def _count(self, guessed: str, *limited: _Limited) -> None:
        for one in limited:
            for rate in one.rates:
                if not await self._limiter.enter(rate, one.key):
                    _turned_away.add(1, {"guessed": guessed})
                    raise TooManyFailures(retry_after=max(1, await self._wait(one)))

    async def _wait(self, limited: _Limited) -> int:
        return max([await self._limiter.seconds_to_entry(rate, limited.key) for rate in limited.rates])

    def _note_lock_out(self, person: PersonId, wait: int) -> None:
        if wait:
            now = self._clock()
            self._failed_logins.locked_out(person, now, now + timedelta(seconds=wait))

    def _hidden(self, kind: str, text: str) -> str:
        told = f"{kind}:{text}".encode("utf-8", "surrogatepass")
        return hmac.new(self._secret, told, hashlib.sha256).hexdigest()
