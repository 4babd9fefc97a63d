"""The checkpoints that a database keeps of before, beside the walk over its rows."""

from typing import Final

from ledger.sealing.rows import Sealed, checkpoints_from
from ledger.store.pool import Connection
from ledger.verifier.past import Growing, Kept, check_kept
from ledger.verifier.policy import Policy
from ledger.verifier.verdict import Unverified

PAGE: Final = 500


class PastCheckpoints:
    """Takes the leaf hashes of the log in their order, and holds every checkpoint that is kept against them.

    The last one, of ``size`` events, is verified by itself. ``wrong`` says what is wrong with the others; it counts only once
    the leaves have led to the root of the last.
    """

    def __init__(self, conn: Connection, ledger_id: int, policy: Policy | None, size: int) -> None:
        """Begin with the first leaf."""
        self.wrong: list[Unverified] = []
        self._conn, self._ledger_id, self._policy, self._size = conn, ledger_id, policy, size
        self._growing = Growing()
        self._ahead: list[Kept] = []
        self._is_over = False

    async def take(self, leaf: bytes) -> None:
        """Take the next leaf; those behind the last checkpoint are none of a tree yet."""
        if self._growing.size >= self._size:
            return
        if not self._ahead and not self._is_over:
            await self._read_ahead()
        self._growing.add(leaf)
        while self._ahead and self._ahead[-1].size == self._growing.size:
            try:
                check_kept(self._ahead.pop(), self._growing.root(), self._policy)
            except Unverified as wrong:
                self.wrong.append(wrong)

    async def _read_ahead(self) -> None:
        page = await checkpoints_from(self._conn, self._ledger_id, self._growing.size + 1, PAGE)
        self._ahead = [kept(one) for one in reversed(page) if one.size < self._size]
        self._is_over = len(self._ahead) < PAGE


def kept(sealed: Sealed) -> Kept:
    """Give a stored checkpoint as plain values."""
    return Kept(size=sealed.size, root=sealed.root, note=sealed.note.encode())
