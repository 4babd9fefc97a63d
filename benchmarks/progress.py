"""One line on the terminal that says what is being measured."""

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.status import Status


class Progress:
    """Says what is under way; quiet where nobody looks."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._status = Status("", console=console)

    def say(self, what: str) -> None:
        if self._console.is_terminal:
            self._status.update(what)
        else:
            self._console.print(f"… {what}", highlight=False)

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._status.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._status.stop()
