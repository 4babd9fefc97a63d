"""A notary for tests: keys and guard in a folder, events to seal, and rounds that go when the test says so."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path

from ledger.sealing.guard import GUARD_FILE, FileGuard, Guard
from ledger.sealing.keyring import Keyring
from ledger.sealing.notary import default_origin
from ledger.sealing.rows import Sealed, last_checkpoint
from ledger.sealing.sealer import BATCH, Sealer
from ledger.store.ledger import Ledger
from ledger.store.streams import append, draft
from tests.support.events import an_event, by_somebody, new_stream


def utc_now() -> datetime:
    return datetime.now(UTC)


def keyring_in(
    ledger: Ledger, folder: Path, *, origin: str | None = None, is_strict: bool = False
) -> Keyring:
    return Keyring(origin or default_origin(ledger), folder, is_strict=is_strict)


def guard_in(folder: Path) -> FileGuard:
    return FileGuard(folder / GUARD_FILE)


def sealer_in(ledger: Ledger, folder: Path, *, batch: int = BATCH, guard: Guard | None = None) -> Sealer:
    """A notary whose keys and guard are in ``folder``; it seals in ``seal``."""
    return Sealer(ledger, keyring_in(ledger, folder), guard or guard_in(folder), utc_now, batch=batch)


async def append_some(ledger: Ledger, count: int) -> None:
    """Append so many events, each to a stream of its own."""
    drafts = [draft(new_stream(), [an_event()], by_somebody()) for _ in range(count)]
    await asyncio.gather(*(append(ledger, one) for one in drafts))


async def seal(sealer: Sealer) -> None:
    """Seal all there is."""
    while not await sealer.round():
        pass


async def sealed_in(ledger: Ledger, folder: Path) -> Sealed:
    """Seal all there is, by a notary of the moment; the last checkpoint."""
    sealer = sealer_in(ledger, folder)
    await seal(sealer)
    await sealer.release()
    async with ledger.pool.acquire() as conn:
        found = await last_checkpoint(conn, ledger.ledger_id)
    assert found is not None
    return found
