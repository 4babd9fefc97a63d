"""Point reads that travel together: what many ask for at the same moment is looked up by one query.

Theory. A query costs its round trip and its connection, whatever it asks for. So there is at most one under way as a rule,
and what is asked meanwhile gathers for the next; whoever asks is never answered by a query that was sent before they
asked, so that they see what had been acknowledged by then. A query that takes long, or many who wait, start another one
beside it: one that hangs holds nobody up for more than 25 milliseconds.
"""

import asyncio
from asyncio import Future, Task, TimerHandle
from collections.abc import Callable, Coroutine, Hashable, Mapping, Sequence
from typing import Final, Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

AT_ONCE: Final = 4
"""Queries under way: as many connections are taken at most."""
CROWD: Final = 64
"""So many who wait are a query of their own."""
PATIENCE: Final = 0.025

Found = dict[K, V]
_Asked = list[tuple[Sequence[K], Future[Mapping[K, V]]]]


class Together(Generic[K, V]):
    """Looks up by keys what ``look`` finds; what it does not find is missing in the answer."""

    def __init__(self, look: Callable[[Sequence[K]], Coroutine[None, None, Mapping[K, V]]]) -> None:
        """Look up by ``look``, which is given each key once."""
        self._look = look
        self._waiting: _Asked[K, V] = []
        self._queries: dict[Task[Mapping[K, V]], _Asked[K, V]] = {}
        self._is_due = False
        self._late: TimerHandle | None = None

    async def find(self, keys: Sequence[K]) -> dict[K, V]:
        """Look up ``keys``; what their query raises is raised for everybody who is in it."""
        loop = asyncio.get_running_loop()
        answer: Future[Mapping[K, V]] = loop.create_future()
        self._waiting.append((keys, answer))
        if not self._queries or (len(self._waiting) >= CROWD and len(self._queries) < AT_ONCE):
            if not self._is_due:  # others may be about to ask in this very round of the loop
                self._is_due = True
                loop.call_soon(self._send)
        elif self._late is None:
            self._late = loop.call_later(PATIENCE, self._lose_patience)
        found = await answer
        return {key: found[key] for key in keys if key in found}

    def _lose_patience(self) -> None:
        self._late = None
        if self._waiting and len(self._queries) < AT_ONCE:
            self._send()

    def _send(self) -> None:
        self._is_due = False
        if self._late is not None:
            self._late.cancel()
            self._late = None
        asked = [one for one in self._waiting if not one[1].done()]
        self._waiting = []
        if not asked:
            return
        keys = list(dict.fromkeys(key for wanted, _ in asked for key in wanted))
        task = asyncio.create_task(self._look(keys), name="together")
        self._queries[task] = asked
        task.add_done_callback(self._settle)

    def _settle(self, task: Task[Mapping[K, V]]) -> None:
        for _, answer in self._queries.pop(task):
            if answer.done():
                continue
            if task.cancelled():
                answer.cancel()
            elif (failure := task.exception()) is not None:
                answer.set_exception(failure)
            else:
                answer.set_result(task.result())
        if self._waiting:
            self._send()
