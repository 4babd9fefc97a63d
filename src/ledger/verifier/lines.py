"""Compressed files with one JSON object a line."""

import gzip
import json
import zlib
from collections.abc import Iterator
from contextlib import suppress
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


def names_twice(raw: bytes, read: object) -> bool:
    """Tell whether JSON that was ``read`` says one thing twice: two programs may read two things in it."""
    with suppress(UnicodeEncodeError):  # half a surrogate pair, which JSON may say
        if msgspec.json.encode(read) == raw.removesuffix(b"\n"):
            return False
    pairs = list[bool]()
    json.loads(raw, object_pairs_hook=lambda found: pairs.append(len(dict(found)) < len(found)))
    return any(pairs)


def read_lines(path: Path, form: type[T]) -> Iterator[T]:
    """Read a file of ``form``, one at a time.

    Raises:
        LinesMalformed: a line is of another form or says one thing twice, or the file is not what gzip writes.
    """
    decoder = msgspec.json.Decoder(form)
    number = 0
    try:
        with gzip.open(path, "rb") as file:
            while line := file.readline(LONGEST):
                number += 1
                if not line.endswith(b"\n"):
                    raise LinesMalformed(file=path.name, line=number)
                read = decoder.decode(line)
                if names_twice(line, read):
                    raise LinesMalformed(file=path.name, line=number, reason="it says one thing twice")
                yield read
    except (*BROKEN, msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as broken:
        raise LinesMalformed(file=path.name, line=number, reason=str(broken)) from broken
