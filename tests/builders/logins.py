"""What failed, and what is to be told of it: ``summed_up(passwords=3)``, ``lock_out(until=later(900))``."""

from datetime import datetime

from ledger.domain.login.commands import RecordFailures, RecordLockOut
from ledger.domain.login.events import LoginFailed, LoginLockedOut
from tests.builders.people import ANA, NOW


def sum_up(
    *, passwords: int = 3, codes: int = 1, since: datetime = NOW, now: datetime = NOW
) -> RecordFailures:
    return RecordFailures(now=now, person=ANA, passwords=passwords, codes=codes, since=since)


def summed_up(
    *, passwords: int = 3, codes: int = 1, since: datetime = NOW, at: datetime = NOW
) -> LoginFailed:
    return LoginFailed(at=at, person=ANA, passwords=passwords, codes=codes, since=since)


def lock_out(*, until: datetime, now: datetime = NOW) -> RecordLockOut:
    return RecordLockOut(now=now, person=ANA, until=until)


def locked_out(*, until: datetime, at: datetime = NOW) -> LoginLockedOut:
    return LoginLockedOut(at=at, person=ANA, until=until)
