"""Whom and what a search of the history names."""

from typing import Final
from uuid import UUID

from ledger.domain.ids import StreamName, Version
from ledger.identity import people
from ledger.identity.identity import OPERATOR, SYSTEM
from ledger.store.ledger import Ledger
from ledger.store.pool import reading
from ledger.store.streams import read_until

NOBODY: Final = frozenset({SYSTEM, OPERATOR, "imported"})
"""Actors that are no person."""
FIRST: Final = Version(1)


async def is_begun(ledger: Ledger, stream: StreamName) -> bool:
    """Say whether anything ever happened in a stream."""
    async with reading(ledger.source) as conn:
        return bool(await read_until(conn, ledger.ledger_id, stream, FIRST))


async def actor_called(ledger: Ledger, text: str) -> str | None:
    """Read an actor: a person's id, a user name, or one of those that are no person; ``None``: nobody is called so."""
    if text in NOBODY:
        return text
    try:
        return str(UUID(text))
    except ValueError:
        found = await people.find(ledger.pool, ledger.ledger_id, text)
    return None if found is None else str(found.person)
