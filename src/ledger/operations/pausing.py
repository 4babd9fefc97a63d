"""Letting a projection stand where it is, and go on; each act is on the record."""

from ledger.command_handling.answering import Handled
from ledger.domain.operations.commands import PauseProjection, ResumeProjection
from ledger.domain.operations.events import OperationsEvent
from ledger.operations.acting import Actor, Asked, about, act
from ledger.projections.checkpoints import set_paused
from ledger.projections.projection import Feed
from ledger.store.ledger import Ledger
from ledger.store.pool import Connection


async def pause(ledger: Ledger, feed: Feed, *, reason: str, actor: Actor) -> Handled[OperationsEvent]:
    """Let a projection stand where it is, in every process, from the next batch on.

    Raises:
        AlreadyPaused: it is paused.
    """

    def order(asked: Asked) -> PauseProjection:
        return PauseProjection(**about(asked), reason=reason)

    async def effect(conn: Connection) -> None:
        await set_paused(conn, ledger.ledger_id, feed, to=True)

    return await act(ledger, feed, order, actor, alongside=effect)


async def resume(ledger: Ledger, feed: Feed, *, reason: str, actor: Actor) -> Handled[OperationsEvent]:
    """Let a projection go on.

    Raises:
        NotPaused: it is not paused.
    """

    def order(asked: Asked) -> ResumeProjection:
        return ResumeProjection(**about(asked), reason=reason)

    async def effect(conn: Connection) -> None:
        await set_paused(conn, ledger.ledger_id, feed, to=False)

    return await act(ledger, feed, order, actor, alongside=effect)
