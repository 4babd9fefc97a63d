"""A password is known by a slow hash of its own salt; nobody's password takes as long as somebody's."""

import asyncio
import os
import sys
import threading
import time

import pytest

from ledger.domain.errors import Overloaded
from ledger.identity.passwords import Passwords, UnreadableCredential


async def test_the_hash_is_argon2id_at_the_recommended_cost() -> None:
    assert (await Passwords().hash("a password")).startswith("$argon2id$v=19$m=19456,t=2,p=1$")


async def test_a_hash_knows_its_password_and_no_other() -> None:
    passwords = Passwords(memory_kib=64, passes=1)
    stored = await passwords.hash("right")

    assert await passwords.matches(stored, "right")
    assert not await passwords.matches(stored, "Right")
    assert stored != await passwords.hash("right")


async def test_nobody_has_no_password() -> None:
    passwords = Passwords(memory_kib=64, passes=1)

    assert not await passwords.matches(None, "")


async def test_asking_for_nobody_takes_as_long_as_asking_for_somebody() -> None:
    passwords = Passwords(memory_kib=32 * 1024, passes=6)
    stored = await passwords.hash("right")

    async def quickest(hashed: str | None) -> float:
        took = []
        for _ in range(5):
            before = time.process_time()
            await passwords.matches(hashed, "wrong")
            took.append(time.process_time() - before)
        return min(took)

    assert await quickest(None) > await quickest(stored) / 2


async def test_what_is_no_hash_is_for_an_operator() -> None:
    with pytest.raises(UnreadableCredential):
        await Passwords(memory_kib=64, passes=1).matches("not a hash", "x")


async def test_who_finds_the_queue_full_is_told_at_once_and_nobody_who_waits_is() -> None:
    passwords = Passwords(memory_kib=64, passes=1, max_queue=3)

    async with passwords.turn(), passwords.turn(), passwords.turn():
        with pytest.raises(Overloaded):
            await passwords.turn().__aenter__()
        outcomes = await asyncio.gather(*(passwords.hash("x") for _ in range(5)), return_exceptions=True)

    assert [type(outcome) for outcome in outcomes] == [str, str, str, Overloaded, Overloaded]
    async with passwords.turn():
        assert await passwords.hash("x")


async def test_many_cores_do_not_hash_as_many_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each hash takes 19 MiB, and a container has no more of those for standing on a large machine."""
    monkeypatch.setattr("os.cpu_count", lambda: 64)
    passwords = Passwords(memory_kib=64, passes=1)
    before = set(threading.enumerate())

    await asyncio.gather(*(passwords.hash("x") for _ in range(64)))

    assert len(set(threading.enumerate()) - before) <= 8


def niceness_of(threads: set[threading.Thread]) -> list[int]:
    return [os.getpriority(os.PRIO_PROCESS, thread.native_id) for thread in threads if thread.native_id]


@pytest.mark.skipif(sys.platform != "linux", reason="other systems rank processes, not threads")
async def test_hashes_are_computed_behind_everything_else() -> None:
    before = set(threading.enumerate())
    own = niceness_of({threading.current_thread()})
    passwords = Passwords(memory_kib=64, passes=1)

    await passwords.hash("correct horse battery")

    assert niceness_of(set(threading.enumerate()) - before) == [own[0] + 5]
    assert niceness_of({threading.current_thread()}) == own
