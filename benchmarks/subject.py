"""What can be measured: opened once, run round after round, counted after each."""

from types import TracebackType
from typing import Protocol, Self

from benchmarks.workload import Sample, Texts


class NotAvailable(Exception):
    """This peer cannot be measured here; the reason is for the report."""


class LostOrDoubled(AssertionError):
    """What is stored is not what was acknowledged."""


class Subject(Protocol):
    """A way to append; ``__aenter__`` raises ``NotAvailable`` where it cannot run."""

    name: str

    @property
    def configuration(self) -> str:
        """Say how it is set up, for the reader who wants to compare."""
        ...

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    async def run(self, in_flight: int, texts: Texts, seconds: float) -> Sample:
        """Append for ``seconds``.

        Raises:
            LostOrDoubled: what is stored afterwards is not exactly what was acknowledged, in order.
        """
        ...
