"""What went wrong while an event was applied: whether it may pass by itself, and how it is told to administrators."""

import hashlib
import traceback
from enum import StrEnum
from importlib.metadata import version
from pathlib import Path
from typing import Final

import asyncpg
import msgspec

from ledger.domain.errors import Corrupt, Unavailable
from ledger.projections.projection import RowMissing
from ledger.store.codec import UnknownSchemaVersion
from ledger.store.pool import LOST, UNSETTLED

CODE_VERSION: Final = version("decision-ledger")
LONGEST_MESSAGE: Final = 4_000
LONGEST_TRACEBACK: Final = 20_000
FINGERPRINT_DIGITS: Final = 16

OUTDATED: Final = (asyncpg.InvalidCachedStatementError, asyncpg.OutdatedSchemaCacheError)
"""What the driver raises once when a table has changed under a statement it had prepared."""


class Category(StrEnum):
    """What kind of fault keeps an event from being applied."""

    TRANSIENT = "transient"
    HANDLER = "handler"
    DECODE = "decode/upcast"
    CONSTRAINT = "constraint"


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """An error as it is kept; ``fingerprint`` is the same for errors of one cause."""

    error_type: str
    message: str
    traceback: str
    fingerprint: str
    category: Category


def is_transient(error: BaseException) -> bool:
    """Tell whether another try may succeed without anybody mending anything.

    The driver reports an argument it cannot encode as an interface error that is a ``ValueError`` too: that
    one is a fault of ours.
    """
    passing = (*LOST, *UNSETTLED, *OUTDATED, Unavailable)
    return isinstance(error, passing) and not isinstance(error, ValueError)


def stops_all(error: BaseException) -> bool:
    """Tell whether it is no event's fault, so that parking one would hide it."""
    return is_transient(error) or isinstance(error, UnknownSchemaVersion)


def category_of(error: BaseException) -> Category:
    """Say what kind of fault it is."""
    if is_transient(error):
        return Category.TRANSIENT
    if isinstance(error, asyncpg.IntegrityConstraintViolationError):
        return Category.CONSTRAINT
    if isinstance(error, Corrupt) and not isinstance(error, RowMissing):
        return Category.DECODE
    return Category.HANDLER


def fault_of(error: BaseException) -> Fault:
    """Write an error down, bounded in length and storable as text."""
    lines = traceback.format_exception(error)
    return Fault(
        error_type=type(error).__name__,
        message=_text(str(error))[:LONGEST_MESSAGE],
        traceback=_text("".join(lines))[-LONGEST_TRACEBACK:],
        fingerprint=fingerprint_of(error),
        category=category_of(error),
    )


def fingerprint_of(error: BaseException) -> str:
    """Hash where an error comes from: its class and the functions it passed, not what it quotes."""
    frames = traceback.extract_tb(error.__traceback__)
    path = [f"{Path(frame.filename).name}:{frame.name}" for frame in frames]
    text = "\n".join([type(error).__qualname__, *path])
    return hashlib.sha256(text.encode()).hexdigest()[:FINGERPRINT_DIGITS]


def frames_of(error: BaseException) -> str:
    """Give a traceback without the error's own words: these may quote a payload, and logs must not."""
    return "".join(traceback.format_tb(error.__traceback__))


def _text(words: str) -> str:
    """Spell out what PostgreSQL's text cannot hold."""
    return words.encode("utf-8", "backslashreplace").decode().replace("\x00", "\\x00")
