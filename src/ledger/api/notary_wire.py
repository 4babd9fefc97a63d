"""How the log is sealed, as HTTP and the command line tell it."""

from base64 import b64encode
from datetime import datetime
from typing import Final

import msgspec

from ledger.api.witness_wire import StampedTold, WitnessedTold, stamped_told, witnessed_told
from ledger.sealing.notary import Status, status_of
from ledger.sealing.timestamps import newest_by_authority
from ledger.sealing.tree import NO_LEAVES
from ledger.sealing.witnesses import Watch, witnessed
from ledger.store.pool import Connection

NOTHING: Final = b64encode(NO_LEAVES).decode()


class Halted(msgspec.Struct, frozen=True, kw_only=True):
    """Why nothing is sealed: a code that never changes, the same in words, and since when."""

    code: str
    because: str
    since: datetime


class NotaryStatus(msgspec.Struct, frozen=True, kw_only=True):
    """The last checkpoint of the log called ``origin``, and what came after it.

    ``vkey`` is the public key that auditors are given (C2SP signed-note), ``null`` while there is none; ``root`` is in
    base64, as in the checkpoint; ``sealed_at`` is ``null`` while nothing is sealed. ``lag_events`` wait for the next
    one, the oldest since ``unsealed_since``. ``is_sealing``: some process does it, or would, were it not ``halted``.
    ``witnessed`` is ``null`` where no witness is configured.
    """

    origin: str
    vkey: str | None
    size: int
    root: str
    sealed_at: datetime | None
    lag_events: int
    unsealed_since: datetime | None
    is_sealing: bool
    halted: Halted | None
    witnessed: WitnessedTold | None
    stamped: tuple[StampedTold, ...]


async def notary_status_of(
    conn: Connection, ledger_id: int, origin: str, watch: Watch | None, now: datetime
) -> NotaryStatus:
    """Ask the database how the log stands that is called ``origin``, and how far those of ``watch`` have witnessed it."""
    status = await status_of(conn, ledger_id, origin)
    told = None
    if watch is not None:
        told = witnessed_told(await witnessed(conn, ledger_id, watch), watch, now)
    return _shown(status, told, stamped_told(await newest_by_authority(conn, ledger_id)))


def _shown(status: Status, witnessed: WitnessedTold | None, stamped: tuple[StampedTold, ...]) -> NotaryStatus:
    """Tell how it stands."""
    sealed, halt = status.sealed, status.halt
    return NotaryStatus(
        origin=status.origin,
        vkey=status.vkey,
        size=0 if sealed is None else sealed.size,
        root=NOTHING if sealed is None else b64encode(sealed.root).decode(),
        sealed_at=None if sealed is None else sealed.sealed_at,
        lag_events=status.lag,
        unsealed_since=status.unsealed_since,
        is_sealing=status.is_held,
        halted=None if halt is None else Halted(code=halt.code, because=halt.because, since=halt.since),
        witnessed=witnessed,
        stamped=stamped,
    )
