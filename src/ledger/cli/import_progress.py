"""How far an import has come, on a terminal; where there is none, only what is said."""

import sys

from rich.progress import BarColumn, DownloadColumn, TimeRemainingColumn
from rich.text import Text

from ledger.cli.progress import Shown
from ledger.cli.refusals import printable


class Progress(Shown):
    """A bar over the bytes of a file."""

    def __init__(self, total: int) -> None:
        """Prepare for ``total`` bytes (0: nobody knows, as with a pipe)."""
        super().__init__(BarColumn(), DownloadColumn(), TimeRemainingColumn(), total=total or None)

    def advance(self, size: int) -> None:
        """Count ``size`` bytes as done."""
        self._bar.advance(self._task, size)

    def say(self, sentence: str) -> None:
        """Tell something above the bar."""
        if self._is_shown:
            self._console.print(Text(printable(sentence)))
        else:
            print(printable(sentence), file=sys.stderr, flush=True)
