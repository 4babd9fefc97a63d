"""Passwords: argon2id, on every core but one, the same time for people who do not exist.

Theory: a hash is meant to cost, so a flood of logins must not cost anybody else. Hashes have threads of their
own, one less than there are cores, which stand back behind all other work of the machine, and a queue with an end: who
comes when it is full is told at once to come again. Logins take turns before they ask the database anything, or a
hundred of them would stand before every read in the queue for connections.
"""

import asyncio
import os
import secrets
import sys
import threading
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Final, TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError, VerifyMismatchError
from opentelemetry import metrics

from ledger.domain.errors import Corrupt, Overloaded

T = TypeVar("T")

MEMORY_KIB: Final = 19 * 1024
PASSES: Final = 2
LANES: Final = 1
"""OWASP Password Storage Cheat Sheet, argon2id."""
MAX_QUEUE: Final = 256
"""Above the 200 logins at once that must get through; at 40 ms a hash about ten seconds' worth."""
STEPS_BACK: Final = 5
"""By how much a thread that computes hashes is nicer than the others: a third of their share where cores are short."""
MOST_THREADS: Final = 8
"""So that hashes take 152 MiB at most, in a container on whatever large machine: any number of logins may come at once."""
TURNS_PER_CORE: Final = 2
"""One is being hashed while the other one's rows are read."""

_meter = metrics.get_meter("ledger.identity")
_hashes = _meter.create_counter(
    "ledger_password_hashes", description="Password hashes computed, whoever they were for"
)
_refused = _meter.create_counter(
    "ledger_password_hashes_refused", description="Password hashes that found their queue full"
)


class UnreadableCredential(Corrupt):
    """A stored password hash cannot be read by this release."""

    code = "unreadable-credential"


class Passwords:
    """Hashes and checks passwords in threads; any text is a password, even what is not valid Unicode."""

    def __init__(
        self, *, memory_kib: int = MEMORY_KIB, passes: int = PASSES, max_queue: int = MAX_QUEUE
    ) -> None:
        """Take the cost of one hash, ``memory_kib`` KiB ``passes`` times over, and how many may wait."""
        self._hasher = PasswordHasher(time_cost=passes, memory_cost=memory_kib, parallelism=LANES)
        cores = os.cpu_count() or 1
        threads = min(max(1, cores - 1), MOST_THREADS)
        self._threads = ThreadPoolExecutor(threads, "password", initializer=_stand_back)
        self._max_queue = max_queue
        self._queued = 0
        self._asking = 0
        self._turns = asyncio.Semaphore(TURNS_PER_CORE * min(cores, MOST_THREADS))
        self._nobodys = self._hasher.hash(secrets.token_bytes(16))  # of what nobody can type

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait for a turn to look a password up and compare it, first come, first served.

        Raises:
            Overloaded: too many are waiting already.
        """
        self._check_room(self._asking)
        self._asking += 1
        try:
            async with self._turns:
                yield
        finally:
            self._asking -= 1

    async def hash(self, password: str) -> str:
        """Hash a password with a salt of its own.

        Raises:
            Overloaded: too many are waiting already.
        """
        return await self._in_thread(lambda: self._hasher.hash(_bytes(password)))

    async def matches(self, stored: str | None, password: str) -> bool:
        """Compare ``password`` with a stored hash; without one (``None``) say no, no sooner than otherwise.

        Raises:
            UnreadableCredential: ``stored`` is not a hash.
            Overloaded: too many are waiting already.
        """
        return await self._in_thread(lambda: self._verify(stored or self._nobodys, _bytes(password)))

    def _check_room(self, waiting: int) -> None:
        if waiting >= self._max_queue:
            _refused.add(1)
            raise Overloaded

    async def _in_thread(self, work: Callable[[], T]) -> T:
        self._check_room(self._queued)
        self._queued += 1
        _hashes.add(1)
        future = asyncio.get_running_loop().run_in_executor(self._threads, work)
        future.add_done_callback(self._done)  # also of those whose caller has gone
        return await future

    def _done(self, _future: object) -> None:
        self._queued -= 1

    def _verify(self, stored: str, password: bytes) -> bool:
        try:
            return self._hasher.verify(stored, password)
        except VerifyMismatchError:
            return False
        except (VerificationError, InvalidHashError) as broken:
            raise UnreadableCredential from broken


def _stand_back() -> None:
    """Let everything else go first on the cores, where the system ranks threads one by one (Linux does)."""
    if sys.platform == "linux":
        thread = threading.get_native_id()
        os.setpriority(os.PRIO_PROCESS, thread, os.getpriority(os.PRIO_PROCESS, thread) + STEPS_BACK)


def _bytes(password: str) -> bytes:
    return password.encode("utf-8", "surrogatepass")
