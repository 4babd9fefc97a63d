"""Compressed files with one JSON object a line."""

import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from ledger.verifier.verdict import Tampered

T = TypeVar("T")

BROKEN: Final = (EOFError, zlib.error, gzip.BadGzipFile)
LONGEST: Final = 256 * 1024 * 1024


class LinesMalformed(Tampered):
    """A file does not hold what belongs there, line by line.

    Context: the ``file``, the number of the ``line``.
    """

    code = "lines-malformed"


def read_lines(path: Path, form: type[T]) -> Iterator[T]:
    """Read a file of ``form``, one at a time.

    Raises:
        LinesMalformed: a line is of another form, or the file is not what gzip writes.
    """
    decoder = msgspec.json.Decoder(form)
    number = 0
    try:
        with gzip.open(path, "rb") as file:
            while line := file.readline(LONGEST):
                number += 1
                if not line.endswith(b"\n"):
                    raise LinesMalformed(file=path.name, line=number)
                yield decoder.decode(line)
    except (*BROKEN, msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as broken:
        raise LinesMalformed(file=path.name, line=number, reason=str(broken)) from broken
