"""Whom events name, and whom and what a search of the history does."""

import re
from collections.abc import Iterable
from typing import Final
from uuid import UUID

from ledger.domain.ids import FIRST_VERSION, PersonId, StreamName
from ledger.identity import people
from ledger.identity.identity import OPERATOR, SYSTEM
from ledger.store.ledger import Ledger
from ledger.store.pool import reading
from ledger.store.streams import Stored, read_until

NOBODY: Final = frozenset({SYSTEM, OPERATOR, "imported"})
"""Actors that are no person."""
PERSON_FIELDS: Final = (
    *("by", "to", "person", "voter", "holder", "decided_by", "submitted_by", "on_behalf_of", "submitter"),
    *("requested_by", "approved_by"),
)
"""The fields of payloads that hold person ids."""
ID: Final = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
AN_ID: Final = re.compile(ID)
PERSONS: Final = re.compile(f'"(?:{"|".join(PERSON_FIELDS)})":"({ID})"'.encode())


def persons_in(events: Iterable[Stored]) -> set[PersonId]:
    """Collect who acts in events, and whom their payloads name."""
    found = set[PersonId]()
    for event in events:
        found.update(persons_of(event))
    return found


def persons_of(event: Stored) -> set[PersonId]:
    """Collect who acts in one event, and whom its payload names."""
    named = [match.decode() for match in PERSONS.findall(event.payload or b"")]
    texts = [*named, event.actor] if AN_ID.fullmatch(event.actor) else named
    return {PersonId(UUID(text)) for text in texts}


async def is_begun(ledger: Ledger, stream: StreamName) -> bool:
    """Say whether anything ever happened in a stream."""
    async with reading(ledger.source) as conn:
        return bool(await read_until(conn, ledger.ledger_id, stream, FIRST_VERSION))


async def actor_called(ledger: Ledger, text: str) -> str | None:
    """Read an actor: a person's id, a user name, or one of those that are no person; ``None``: nobody is called so."""
    if text in NOBODY:
        return text
    try:
        return str(UUID(text))
    except ValueError:
        found = await people.find(ledger.pool, ledger.ledger_id, text)
    return None if found is None else str(found.person)
