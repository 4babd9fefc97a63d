"""A progress bar for whoever waits at a terminal; nothing where nobody looks."""

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)


class Shown:
    """A bar on standard error, of these columns; use it as a context manager."""

    def __init__(self, *columns: ProgressColumn, total: int | None = None) -> None:
        """Prepare to show how much of ``total`` is done (``None``: nobody knows)."""
        self._console = Console(stderr=True)
        self._is_shown = self._console.is_terminal
        self._bar = Progress(*columns, console=self._console, transient=True)
        self._task = self._bar.add_task("", total=total)

    def __enter__(self) -> Self:
        if self._is_shown:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._is_shown:
            self._bar.stop()


class Bar(Shown):
    """How far a piece of work is."""

    def __init__(self, what: str) -> None:
        """Prepare to show ``what`` is going on."""
        super().__init__(TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())

    def to(self, done: int, of: int) -> None:
        """Show that ``done`` of ``of`` parts are done."""
        self._bar.update(self._task, completed=done, total=of)
