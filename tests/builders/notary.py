"""The notary: ``rotate_key(reason=…)``, ``key_rotated()``, ``adopt(guard_size=None)``, ``adopted()``."""

from datetime import datetime
from typing import Final

from ledger.domain.notary.commands import AdoptLog, RotateNotaryKey
from ledger.domain.notary.events import NotaryAdopted, NotaryKeyRotated
from tests.builders.people import NOW

REASON: Final = "restored the backup of the night"
ORIGIN: Final = "log.example/decisions"
FIRST: Final = f"{ORIGIN}+b0d3d3b5+ATtqJ7zOtqQtYqOo0CpvDXNlMhV3HeJDpjrASKGLWdop"
SECOND: Final = f"{ORIGIN}+1c2d3e4f+AWlhxRU6AZ9R9Z0yQOqW2yhpCCcs3YR2cx8m7N1l9lC8"
ROOT: Final = "5e" * 32
OTHER_ROOT: Final = "a7" * 32


def rotate_key(*, reason: str = REASON, now: datetime = NOW) -> RotateNotaryKey:
    return RotateNotaryKey(now=now, reason=reason, vkey=SECOND, previous=FIRST)


def key_rotated(*, reason: str = REASON, at: datetime = NOW) -> NotaryKeyRotated:
    return NotaryKeyRotated(at=at, reason=reason, vkey=SECOND, previous=FIRST)


def adopt(
    *,
    reason: str = REASON,
    guard_size: int | None = 12,
    guard_root: str | None = OTHER_ROOT,
    now: datetime = NOW,
) -> AdoptLog:
    return AdoptLog(
        now=now,
        reason=reason,
        cause="guard-ahead",
        origin=ORIGIN,
        vkey=SECOND,
        size=7,
        root=ROOT,
        guard_size=guard_size,
        guard_root=guard_root,
    )


def adopted(
    *,
    reason: str = REASON,
    guard_size: int | None = 12,
    guard_root: str | None = OTHER_ROOT,
    at: datetime = NOW,
) -> NotaryAdopted:
    return NotaryAdopted(
        at=at,
        reason=reason,
        cause="guard-ahead",
        origin=ORIGIN,
        vkey=SECOND,
        size=7,
        root=ROOT,
        guard_size=guard_size,
        guard_root=guard_root,
    )
