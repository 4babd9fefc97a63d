"""Passwords: argon2id, as many at once as there are cores, the same time for people who do not exist."""

import asyncio
import os
import secrets
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError, VerifyMismatchError

from ledger.domain.errors import Corrupt

MEMORY_KIB: Final = 19 * 1024
PASSES: Final = 2
LANES: Final = 1
"""OWASP Password Storage Cheat Sheet, argon2id."""


class UnreadableCredential(Corrupt):
    """A stored password hash cannot be read by this release."""

    code = "unreadable-credential"


class Passwords:
    """Hashes and checks passwords in threads; any text is a password, even what is not valid Unicode."""

    def __init__(self, *, memory_kib: int = MEMORY_KIB, passes: int = PASSES) -> None:
        """Take the cost of one hash: ``memory_kib`` KiB, ``passes`` times over it."""
        self._hasher = PasswordHasher(time_cost=passes, memory_cost=memory_kib, parallelism=LANES)
        self._cores = asyncio.Semaphore(os.cpu_count() or 1)
        self._nobodys = self._hasher.hash(secrets.token_bytes(16))  # of what nobody can type

    async def hash(self, password: str) -> str:
        """Hash a password with a salt of its own."""
        async with self._cores:
            return await asyncio.to_thread(self._hasher.hash, _bytes(password))

    async def matches(self, stored: str | None, password: str) -> bool:
        """Compare ``password`` with a stored hash; without one (``None``) say no, no sooner than otherwise.

        Raises:
            UnreadableCredential: ``stored`` is not a hash.
        """
        async with self._cores:
            return await asyncio.to_thread(self._verify, stored or self._nobodys, _bytes(password))

    def _verify(self, stored: str, password: bytes) -> bool:
        try:
            return self._hasher.verify(stored, password)
        except VerifyMismatchError:
            return False
        except (VerificationError, InvalidHashError) as broken:
            raise UnreadableCredential from broken


def _bytes(password: str) -> bytes:
    return password.encode("utf-8", "surrogatepass")
