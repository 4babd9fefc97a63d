"""How many of what in which time; an installation may choose the numbers."""

from typing import Final

import msgspec

from ledger.domain.errors import LedgerError

MINUTE: Final = 60
GROWTH: Final = ((1, 1), (2, 8), (3, 96))
"""Twice as many in eight times the time, thrice as many in 96 times: 10 in 15 minutes, 20 in 2 hours, 30 a day."""


class TooManyRequests(LedgerError):
    """There were too many requests.

    Context: ``retry_after``, whole seconds.
    """

    code = "too-many-requests"
    advice = "Nothing was written; repeat the request after the time in Retry-After."


class TooManyFailures(TooManyRequests):
    """There were too many failed attempts.

    Context: ``retry_after``, whole seconds.
    """

    code = "too-many-failures"
    advice = "This attempt was not judged; try again after the time in Retry-After."


class Rate(msgspec.Struct, frozen=True, kw_only=True):
    """At most ``amount`` in ``seconds``, under a name that headers and metrics show."""

    name: str
    amount: int
    seconds: int


class Quota(msgspec.Struct, frozen=True, kw_only=True):
    """What is left of a rate: ``remaining`` now, the whole amount again in ``reset_seconds``."""

    rate: Rate
    remaining: int
    reset_seconds: int


class Rates(msgspec.Struct, frozen=True, kw_only=True):
    """The numbers of one installation; what counts failures does so in any ``guessing_seconds``."""

    requests_per_minute: int = 6_000
    registrations_per_minute: int = 60
    failed_logins: int = 10
    failed_logins_per_address: int = 100
    second_factor_tries: int = 10
    guessing_seconds: int = 15 * MINUTE

    def requests(self) -> Rate:
        """Everything one caller asks."""
        return Rate(name="requests", amount=self.requests_per_minute, seconds=MINUTE)

    def registrations(self) -> Rate:
        """New accounts, whoever asks for them."""
        return Rate(name="registrations", amount=self.registrations_per_minute, seconds=MINUTE)


def growing(name: str, amount: int, seconds: int) -> tuple[Rate, ...]:
    """Give the rates that together let a guesser wait longer and longer."""
    return tuple(Rate(name=name, amount=amount * more, seconds=seconds * longer) for more, longer in GROWTH)
