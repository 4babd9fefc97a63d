"""The table of docs/reliability.md: one row a fault, written by the test that saw it, between two markers."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

ROOT: Final = Path(__file__).resolve().parent.parent.parent
DOCUMENT: Final = ROOT / "docs" / "reliability.md"
BEGIN: Final = "<!-- written by make reliability: begin -->"
END: Final = "<!-- written by make reliability: end -->"
HEAD: Final = (
    "| fault | what clients see | slowest answer | acknowledged and lost | normal again after | shown by |",
    "| --- | --- | --- | --- | --- | --- |",
)
FAULTS: Final = "tests/faults/"


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """What one test saw.

    ``slowest`` is the seconds of the slowest answer that any client got meanwhile, ``normal_after`` the seconds from
    the end of the fault until everything was as before it, ``None`` where nothing was otherwise. ``test`` is
    ``test_x.py::test_y``.
    """

    fault: str
    clients_see: str
    slowest: float
    lost: str = "nothing"
    normal_after: float | None
    test: str = ""

    def written(self) -> str:
        back = "at once" if self.normal_after is None else f"{self.normal_after:.1f} s"
        cells = (self.fault, self.clients_see, f"{self.slowest:.1f} s", self.lost, back, f"`{self.test}`")
        return f"| {' | '.join(cells)} |"


def named_in(text: str) -> list[str]:
    """The tests that the rows of a document name, in its order."""
    return [_test_of(line) for line in _rows_of(text)]


def rewritten(text: str, rows: Sequence[Row]) -> str:
    """The document with these rows in place of those of the same tests; new ones come last, others stay."""
    fresh = {row.test: row.written() for row in rows}
    old = {_test_of(line): line for line in _rows_of(text)}
    lines = [*HEAD, *(old | fresh).values()]
    before, _, rest = text.partition(BEGIN)
    after = rest.partition(END)[2]
    return "\n".join((before + BEGIN, "", *lines, "", END + after))


def _rows_of(text: str) -> list[str]:
    table = text.partition(BEGIN)[2].partition(END)[0]
    return [line for line in table.splitlines() if line.startswith("|")][len(HEAD) :]


def _test_of(line: str) -> str:
    return line.rstrip(" |").rpartition("| ")[2].strip("`")
