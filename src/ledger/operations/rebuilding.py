"""Asking for rebuilds: begin, reset, roll back, cancel. Whatever process has workers takes them up."""

from typing import Final

from uuid_utils.compat import uuid7

from ledger.command_handling.answering import Handled
from ledger.domain.errors import NotFound
from ledger.domain.ids import RebuildId
from ledger.domain.operations.commands import (
    CancelRebuild,
    OperationsCommand,
    ResetProjection,
    RollBackRebuild,
    StartRebuild,
)
from ledger.domain.operations.decide import ProjectionState
from ledger.domain.operations.events import OperationsEvent
from ledger.operations.acting import Actor, Asked, act
from ledger.projections import rebuilds
from ledger.projections.accounts import kept
from ledger.projections.projection import Feed
from ledger.projections.rebuild import leave_off
from ledger.projections.rebuilds import Kind, RebuildState
from ledger.store.ledger import Ledger
from ledger.store.pool import Connection

# $1 ledger, $2 name of the kept rows, $3 version
KEPT_PARKED: Final = """
select events_parked from views.checkpoints where ledger_id = $1 and projection = $2 and version = $3
"""


class NeverRebuilt(NotFound):
    """This projection has never been rebuilt: not found."""

    code = "never-rebuilt"


class KeptRowsLackEvents(ProjectionState):
    """Events are parked in the rows that were kept."""

    code = "kept-rows-lack-events"
    advice = "With failures accepted they come back all the same, and their failures with them."


async def ask(
    ledger: Ledger, feed: Feed, actor: Actor, kind: Kind, *, reason: str = "", accept_failures: bool = False
) -> Handled[OperationsEvent]:
    """Have a projection made anew, or its kept rows brought back; some process with workers does it.

    It ends without a switch when an event cannot be applied, unless ``accept_failures``.

    Raises:
        RebuildUnderWay: one is under way.
        NothingToRollBack: no rows of before a rebuild are kept.
        KeptRowsLackEvents: they are, with events parked in them, and that was not accepted.
        LedgerError: as ``act``.
    """
    rebuild = RebuildId(uuid7())

    async def ask_for_it(conn: Connection) -> None:
        if kind is Kind.ROLLBACK and not accept_failures:
            await _require_whole_rows(conn, ledger, feed)
        await rebuilds.ask(conn, ledger.ledger_id, feed, rebuild, kind, accept_failures=accept_failures)

    def order(asked: Asked) -> OperationsCommand:
        return WISHES[kind](
            now=asked.now,
            by=asked.by,
            projection=asked.projection,
            projection_version=asked.projection_version,
            reason=reason,
            rebuild=rebuild,
            accept_failures=accept_failures,
        )

    return await act(ledger, feed, order, actor, alongside=ask_for_it)


async def _require_whole_rows(conn: Connection, ledger: Ledger, feed: Feed) -> None:
    """Refuse at once what would fail on its way."""
    parked = await conn.fetchval(KEPT_PARKED, ledger.ledger_id, kept(feed).name, feed.version)
    if parked:
        raise KeptRowsLackEvents(projection=feed.name, parked=parked)


WISHES: dict[Kind, type[StartRebuild | ResetProjection | RollBackRebuild]] = {
    Kind.REBUILD: StartRebuild,
    Kind.RESET: ResetProjection,
    Kind.ROLLBACK: RollBackRebuild,
}


async def cancel(ledger: Ledger, feed: Feed, actor: Actor, *, reason: str = "") -> Handled[OperationsEvent]:
    """Stop the rebuild that is under way and throw away what was built; the rows that serve go on serving.

    The rows of a rollback are kept, and may come back another time.

    Raises:
        NoRebuildUnderWay: there is none.
        LedgerError: as ``act``.
    """

    async def stop_it(conn: Connection) -> None:
        await rebuilds.hold(conn, ledger.ledger_id, feed)
        found = await rebuilds.find(conn, ledger.ledger_id, feed)
        if found is not None and not found.is_over():
            await leave_off(conn, ledger.ledger_id, feed, found.kind, with_failures=True)
            await rebuilds.end(conn, ledger.ledger_id, found.rebuild, RebuildState.CANCELLED)

    def order(asked: Asked) -> OperationsCommand:
        return CancelRebuild(
            now=asked.now,
            by=asked.by,
            projection=asked.projection,
            projection_version=asked.projection_version,
            reason=reason,
        )

    return await act(ledger, feed, order, actor, alongside=stop_it)
