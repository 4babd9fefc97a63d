"""A progress bar for whoever waits at a terminal; nothing where nobody looks."""

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


class Bar:
    """How far a piece of work is, on standard error; use it as a context manager."""

    def __init__(self, what: str) -> None:
        """Prepare to show ``what`` is going on."""
        console = Console(stderr=True)
        self._is_shown = console.is_terminal
        columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        self._bar = Progress(*columns, console=console, transient=True)
        self._task = self._bar.add_task(what, total=None)

    def to(self, done: int, of: int) -> None:
        """Show that ``done`` of ``of`` parts are done."""
        self._bar.update(self._task, completed=done, total=of)

    def __enter__(self) -> Self:
        if self._is_shown:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._is_shown:
            self._bar.stop()
