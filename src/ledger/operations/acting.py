"""Doing something to a projection: the effect and the event that records it commit together, or neither does."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import TypeAlias, TypedDict, TypeVar

import msgspec

from ledger.command_handling.answering import Handled
from ledger.command_handling.context import CommandContext
from ledger.command_handling.facts import Facts
from ledger.command_handling.handler import Alongside, handle, handle_after
from ledger.domain.authority import Authority
from ledger.domain.event import Utc
from ledger.domain.operations.commands import OperationsCommand
from ledger.domain.operations.decide import OPERATIONS
from ledger.domain.operations.events import OperationsEvent
from ledger.domain.operations.state import OperationsState
from ledger.identity import actor
from ledger.projections.projection import Feed
from ledger.store.ledger import Ledger
from ledger.store.pool import Connection

T = TypeVar("T")


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What every command is made of; ``by`` is ``None`` for the operator of the machine."""

    now: datetime
    by: Authority | None
    projection: str
    projection_version: int


class About(TypedDict):
    """What every command says first."""

    now: Utc
    by: Authority | None
    projection: str
    projection_version: int


def about(asked: Asked) -> About:
    """Take what every command says first from what is asked."""
    return About(
        now=asked.now,
        by=asked.by,
        projection=asked.projection,
        projection_version=asked.projection_version,
    )


class Actor(actor.Actor, frozen=True, kw_only=True):
    """Who does it, by which clock."""

    clock: Callable[[], datetime]


Order: TypeAlias = Callable[[Asked], OperationsCommand]
Account: TypeAlias = Callable[[Asked, T], OperationsCommand]
Effect: TypeAlias = Callable[[Connection], Awaitable[T]]


async def act(
    ledger: Ledger, feed: Feed, order: Order, actor: Actor, *, alongside: Alongside | None = None
) -> Handled[OperationsEvent]:
    """Do to a projection what ``order`` makes a command of; ``alongside`` writes its effect's rows.

    An actor with a keyed provenance gets the first answer when the same is asked again.

    Raises:
        LedgerError: as ``decide`` of operations, and as ``handle``.
    """
    return await handle(
        ledger,
        _context(ledger, feed, actor),
        lambda facts: order(_asked(facts, feed, actor)),
        alongside=alongside,
    )


async def act_and_tell(
    ledger: Ledger, feed: Feed, effect: Effect[T], account: Account[T], actor: Actor
) -> Handled[OperationsEvent]:
    """Do something whose outcome is only known once it is done: ``account`` makes a command of what ``effect`` did.

    The counts for the answer are in the event: a repeated request finds them there, and has no second effect.

    Raises:
        LedgerError: as ``decide`` of operations, and as ``handle_after``; what was done is rolled back.
    """
    return await handle_after(
        ledger,
        _context(ledger, feed, actor),
        effect,
        lambda facts, done: account(_asked(facts, feed, actor), done),
    )


def _context(
    ledger: Ledger, feed: Feed, actor: Actor
) -> CommandContext[OperationsCommand, OperationsState, OperationsEvent]:
    return CommandContext(
        decider=OPERATIONS,
        target=ledger.operations_stream(feed.name, feed.version),
        clock=actor.clock,
        provenance=actor.provenance,
        reads=actor.reads(),
    )


def _asked(facts: Facts, feed: Feed, actor: Actor) -> Asked:
    return Asked(
        now=facts.now,
        by=actor.authority(facts),
        projection=feed.name,
        projection_version=feed.version,
    )
