"""What a patrol of another process has found, as far as this one has heard.

Processes that seal walk over the log; those that answer over HTTP may be others. So a patrol that has found something says
so after each look, on a channel, and says when all is well again. Nothing is stored: what a patrol knows ends with its
process, and whoever heard of it forgets it soon after.
"""

import time
from typing import Final
from uuid import UUID

from ledger.store.pool import Connection

TAMPERED_CHANNEL: Final = "ledger_tampered"
BELIEVED_SECONDS: Final = 45.0
"""A patrol rests for ten at the end of the log, and may meet a database that does not answer."""

# $1 channel, $2 ledger, who found how many
TELL: Final = "select pg_notify($1, $2)"


async def tell(conn: Connection, ledger_id: int, owner: UUID, findings: int) -> None:
    """Let every process know how many events a patrol knows that are not what was sealed."""
    await conn.execute(TELL, TAMPERED_CHANNEL, f"{ledger_id} {owner} {findings}")


class Hearsay:
    """What patrols of this ledger say, wherever they walk."""

    def __init__(self, ledger_id: int, *, believed_seconds: float = BELIEVED_SECONDS) -> None:
        """Begin without any; what was not repeated for so long is not believed any more."""
        self._ledger, self._believed = str(ledger_id), believed_seconds
        self._until: dict[str, float] = {}

    def hear(self, said: str | None) -> None:
        """Take what came over the channel; what nobody here can have said is passed over."""
        words = (said or "").split(" ")
        if len(words) != len(("ledger", "owner", "findings")) or words[0] != self._ledger:
            return
        self._forget_old()
        _, owner, findings = words
        if findings == "0":
            self._until.pop(owner, None)
        else:
            self._until[owner] = time.monotonic() + self._believed

    def is_tampered(self) -> bool:
        """Say whether one of them has found something, lately enough."""
        self._forget_old()
        return bool(self._until)

    def _forget_old(self) -> None:
        now = time.monotonic()
        self._until = {owner: until for owner, until in self._until.items() if until > now}
