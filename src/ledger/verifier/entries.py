"""Entries as they travel: a length of two bytes, then the entry (C2SP tlog-tiles)."""

from typing import Final

from ledger.verifier.verdict import Tampered

LENGTH_BYTES: Final = 2
MOST_BYTES: Final = 256 * (LENGTH_BYTES + 0xFFFF)
"""That a file of entries can have."""


class EntriesMalformed(Tampered):
    """A file of entries does not hold as many as its name says, one behind the other.

    Context: the positions ``first`` to ``last`` that it stands for.
    """

    code = "entries-malformed"


def split_entries(raw: bytes, *, first: int, width: int) -> list[bytes]:
    """Take ``width`` entries apart, the first of which is at the position ``first``.

    Raises:
        EntriesMalformed: they are more or fewer, or cut short.
    """
    entries, at = list[bytes](), 0
    while at + LENGTH_BYTES <= len(raw) and len(entries) < width:
        begin = at + LENGTH_BYTES
        at = begin + int.from_bytes(raw[at:begin])
        entries.append(raw[begin:at])
    if at != len(raw) or len(entries) != width:
        raise EntriesMalformed(first=first, last=first + width - 1)
    return entries
