"""Who and whose keys a part of the ledger names: what leaves with it when it is disclosed, and nothing else.

One page of events is in memory, and what was found so far by id: people and keys are few beside events.
"""

from collections.abc import AsyncIterator
from typing import Final

from ledger.domain.ids import PersonId, Position, SubjectKeyId
from ledger.history.naming import persons_in
from ledger.identity.keys import Keyring
from ledger.identity.people import Person, read_those
from ledger.personal.keys import KeptKey, kept_keys
from ledger.personal.tokens import keys_in
from ledger.store.findings import Aim, Bounds, Sought, find_page
from ledger.store.ledger import Ledger
from ledger.store.streams import Stored

PAGE: Final = 500


async def people_named(
    ledger: Ledger, *, first: Position, last: Position
) -> AsyncIterator[tuple[Person, ...]]:
    """Give the people who act or are named in events from ``first`` to ``last``, each once; the erased are missing.

    Raises:
        DatabaseUnreachable: the connection is lost, or none is free.
    """
    seen = set[PersonId]()
    async for events in _events(ledger, first, last):
        named = persons_in(events) - seen
        seen |= named
        if found := await read_those(ledger.pool, ledger.ledger_id, sorted(named)):
            yield found


async def keys_named(
    ledger: Ledger, keyring: Keyring, *, first: Position, last: Position
) -> AsyncIterator[tuple[KeptKey, ...]]:
    """Give the keys under which something in events from ``first`` to ``last`` is sealed; the erased are missing.

    Raises:
        DatabaseUnreachable: the connection is lost, or none is free.
    """
    seen = set[SubjectKeyId]()
    async for events in _events(ledger, first, last):
        texts = ((event.payload or b"").decode(errors="replace") for event in events)
        named = frozenset().union(*map(keys_in, texts)) - seen
        seen |= named
        if found := await kept_keys(ledger, keyring, named):
            yield tuple(sorted(found, key=lambda kept: kept.key_id))


async def _events(ledger: Ledger, first: Position, last: Position) -> AsyncIterator[tuple[Stored, ...]]:
    """Give all of them, page by page."""
    aimed, behind = Aim(Sought(), Bounds(Position(first - 1), last)), Position(first - 1)
    while True:
        page = await find_page(ledger, aimed, behind=behind, limit=PAGE)
        yield page.events
        if page.next is None:
            return
        behind = page.next
