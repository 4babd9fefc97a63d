"""How far an import has come, on a terminal; where there is none, only what is said."""

import sys
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, TimeRemainingColumn
from rich.progress import Progress as Bar
from rich.text import Text

from ledger.cli.refusals import printable


class Progress:
    """A bar over the bytes of a file; use it as a context manager."""

    def __init__(self, total: int) -> None:
        """Prepare for ``total`` bytes (0: nobody knows, as with a pipe)."""
        self._console = Console(stderr=True)
        self._is_shown = self._console.is_terminal
        self._bar = Bar(
            BarColumn(), DownloadColumn(), TimeRemainingColumn(), console=self._console, transient=True
        )
        self._task = self._bar.add_task("import", total=total or None)

    def advance(self, size: int) -> None:
        """Count ``size`` bytes as done."""
        self._bar.advance(self._task, size)

    def say(self, sentence: str) -> None:
        """Tell something above the bar."""
        if self._is_shown:
            self._console.print(Text(printable(sentence)))
        else:
            print(printable(sentence), file=sys.stderr, flush=True)

    def __enter__(self) -> Self:
        if self._is_shown:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._is_shown:
            self._bar.stop()
