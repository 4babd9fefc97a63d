"""What is asked for at the same moment is looked up by one query, and nobody is answered by an earlier one."""

import asyncio
from collections.abc import Mapping, Sequence

import pytest

from ledger.domain.errors import Unavailable
from ledger.store.together import AT_ONCE, CROWD, Together


class Desk:
    """Answers each question once it is told to; notes what it was asked."""

    def __init__(self) -> None:
        self.asked: list[list[str]] = []
        self.answers: list[asyncio.Future[Mapping[str, int]]] = []

    async def look(self, keys: Sequence[str]) -> Mapping[str, int]:
        self.asked.append(list(keys))
        self.answers.append(asyncio.get_running_loop().create_future())
        return await self.answers[-1]

    async def was_asked(self, times: int) -> None:
        async with asyncio.timeout(60):
            while len(self.asked) < times:
                await asyncio.sleep(0)


def begin(together: Together[str, int], *keys: str) -> asyncio.Task[dict[str, int]]:
    return asyncio.create_task(together.find(keys))


async def test_those_who_ask_at_once_share_a_query_and_get_their_own() -> None:
    desk = Desk()
    together = Together(desk.look)
    ben, ada = begin(together, "ben", "sam"), begin(together, "ada", "ben")

    await desk.was_asked(1)
    desk.answers[0].set_result({"ben": 1, "ada": 2})

    assert await ben == {"ben": 1}
    assert await ada == {"ben": 1, "ada": 2}
    assert desk.asked == [["ben", "sam", "ada"]]


async def test_whoever_asks_while_a_query_is_under_way_is_answered_by_the_next() -> None:
    desk = Desk()
    together = Together(desk.look)
    early = begin(together, "ben")
    await desk.was_asked(1)
    late = begin(together, "ben")
    await asyncio.sleep(0)

    desk.answers[0].set_result({"ben": 1})
    await desk.was_asked(2)
    desk.answers[1].set_result({"ben": 2})

    assert (await early, await late) == ({"ben": 1}, {"ben": 2})


async def test_a_query_that_hangs_holds_nobody_up() -> None:
    desk = Desk()
    together = Together(desk.look)
    hanging = begin(together, "ben")
    await desk.was_asked(1)
    behind = begin(together, "ada")

    await desk.was_asked(2)
    desk.answers[1].set_result({"ada": 2})

    assert await behind == {"ada": 2}
    hanging.cancel()


async def test_a_crowd_does_not_wait_for_the_query_before() -> None:
    desk = Desk()
    together = Together(desk.look)
    first = begin(together, "ben")
    await desk.was_asked(1)

    crowd = [begin(together, "ada") for _ in range(CROWD)]
    await desk.was_asked(2)
    desk.answers[1].set_result({"ada": 2})

    assert await asyncio.gather(*crowd) == [{"ada": 2}] * CROWD
    first.cancel()


async def test_no_more_queries_are_under_way_than_there_may_be() -> None:
    desk = Desk()
    together = Together(desk.look)
    hanging = []
    for number in range(AT_ONCE):
        hanging.append(begin(together, f"{number}"))
        await desk.was_asked(number + 1)
    left = begin(together, "ben")
    await asyncio.sleep(0.1)
    assert len(desk.asked) == AT_ONCE

    desk.answers[0].set_result({})
    await desk.was_asked(AT_ONCE + 1)
    desk.answers[-1].set_result({"ben": 1})

    assert await left == {"ben": 1}
    for task in hanging:
        task.cancel()


async def test_a_failed_query_fails_those_in_it_and_nobody_else() -> None:
    desk = Desk()
    together = Together(desk.look)
    ben, ada = begin(together, "ben"), begin(together, "ada")
    await desk.was_asked(1)
    desk.answers[0].set_exception(Unavailable())

    for unlucky in (ben, ada):
        with pytest.raises(Unavailable):
            await unlucky
    again = begin(together, "ben")
    await desk.was_asked(2)
    desk.answers[1].set_result({"ben": 1})
    assert await again == {"ben": 1}


async def test_whoever_leaves_takes_nobody_along() -> None:
    desk = Desk()
    together = Together(desk.look)
    leaving, staying = begin(together, "ben"), begin(together, "ben")
    await desk.was_asked(1)

    leaving.cancel()
    await asyncio.sleep(0)
    desk.answers[0].set_result({"ben": 1})

    assert await staying == {"ben": 1}
