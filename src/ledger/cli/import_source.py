"""The lines of a file, one at a time: a file of any size, with lines of any length, needs no more memory."""

from collections.abc import Iterator
from typing import BinaryIO, Final

import msgspec

LONGEST_LINE: Final = 8 * 1024 * 1024
"""Bytes; several times what a valid submission can need."""
BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """A line that is not blank; ``text`` is ``None`` for one that is longer than 8 MiB.

    ``size`` counts the bytes of the file since the line before.
    """

    number: int
    text: bytes | None
    size: int


def lines_of(source: BinaryIO, longest: int = LONGEST_LINE) -> Iterator[Line]:
    """Read line after line; blank ones count, but are left out."""
    number, size = 0, 0
    while raw := source.readline(longest + 1):
        number += 1
        size += len(raw)
        is_too_long = len(raw) > longest and not raw.endswith(b"\n")
        if is_too_long:
            size += _skip_rest(source, longest)
        text = (raw.removeprefix(BYTE_ORDER_MARK) if number == 1 else raw).strip()
        if text:
            yield Line(number=number, text=None if is_too_long else text, size=size)
            size = 0


def _skip_rest(source: BinaryIO, most: int) -> int:
    skipped = 0
    while part := source.readline(most):
        skipped += len(part)
        if part.endswith(b"\n"):
            break
    return skipped
