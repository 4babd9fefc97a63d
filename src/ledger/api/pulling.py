"""Pulling the next item: the best one that nobody holds, claimed before anybody else can.

A look-up reserves an item, the domain gives out the lease. Where the read model is behind, or somebody claims by name
meanwhile, the domain refuses: then the next one is tried. The caller hears of none of this.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final
from uuid import UUID, uuid4

import structlog

from ledger.api.call import Call
from ledger.api.claim_wire import Wanted
from ledger.command_handling.answering import Handled
from ledger.command_handling.facts import Facts
from ledger.domain.authority import Role
from ledger.domain.decision.commands import ClaimDecision, DecisionCommand
from ledger.domain.decision.decide import DECISION
from ledger.domain.decision.events import DecisionEvent
from ledger.domain.decision.rules import (
    AlreadyMade,
    AlreadyVoted,
    AssignedToAnother,
    DeadlinePassed,
    DecisionClosed,
    EscalatorMayNotDecide,
    LeaseHeld,
    NotInGroup,
    SelfReview,
)
from ledger.domain.decision.state import InReview, Pending
from ledger.domain.decision.voting import AllVotesAreIn, must_lack_votes
from ledger.domain.errors import Corrupt, Overloaded, VersionConflict
from ledger.domain.ids import LeaseId, StreamName
from ledger.identity.sessions import authority
from ledger.projections import picking
from ledger.projections.picking import Seeker, TooManyClaims

log = structlog.get_logger()


class _Unreadable(Exception):
    """This release cannot read the item; whoever asks for it by name is told why."""


LOST: Final = (
    AlreadyMade,
    AlreadyVoted,
    AssignedToAnother,
    DeadlinePassed,
    DecisionClosed,
    EscalatorMayNotDecide,
    LeaseHeld,
    NotInGroup,
    SelfReview,
    VersionConflict,
    _Unreadable,
)
"""What is the matter with this item, not with the caller: another one may do."""
MOST_LOST: Final = 100
"""Items that were lost to others in one call; whoever loses more has met a read model that is far behind."""


@asynccontextmanager
async def within_limit(call: Call, wanted: StreamName = picking.NO_STREAM) -> AsyncIterator[None]:
    """Claim one more, where this installation limits how many somebody may hold: one claim of theirs at a time.

    Who holds ``wanted`` already may claim it again, here or in another session: it is not one more. Hold on until
    the views show it: that is where they are counted.

    Raises:
        TooManyClaims: they hold as many as they may.
    """
    most, person = call.services.max_claims, call.principal.person
    if most is None or await call.done_before(DECISION) is not None:
        yield
        return
    ledger = call.services.ledger
    async with ledger.turns.on(StreamName(f"claims of {person}")):
        held = await picking.held_by(
            ledger.pool, ledger.ledger_id, person, now=call.services.clock(), beside=wanted
        )
        if held >= most:
            raise TooManyClaims(most=most)
        yield


async def pulled(call: Call, wanted: Wanted, reservation: UUID) -> Handled[DecisionEvent] | None:
    """Claim the next item under ``reservation``, which the caller gives up in the end; ``None``: nothing waits.

    Raises:
        LedgerError: this caller may not claim anything now.
        Overloaded: one item after the other went to somebody else.
    """
    ledger, principal = call.services.ledger, call.principal
    seeker = Seeker(
        person=principal.person,
        groups=principal.groups,
        is_admin=principal.role is Role.ADMIN,
        priority=wanted.priority,
        kind=wanted.kind,
    )
    lost: list[StreamName] = []
    tied: list[StreamName] = []
    while len(lost) < MOST_LOST:
        now = call.services.clock()
        stream = await picking.reserve(
            ledger.pool, ledger.ledger_id, seeker, now=now, reservation=reservation, without=[*lost, *tied]
        )
        if stream is None:
            return None
        try:
            claimed = await _claimed(call, stream)
        except AllVotesAreIn:
            tied.append(stream)  # not lost: however many stay so until somebody ends them, others wait behind
        else:
            if claimed is not None:
                return claimed
            lost.append(stream)
        await picking.give_up(ledger.pool, ledger.ledger_id, reservation)
    raise Overloaded


async def _claimed(call: Call, stream: StreamName) -> Handled[DecisionEvent] | None:
    """Claim one item; ``None``: it is lost, to others or to this very session, or nobody can read it.

    Raises:
        AllVotesAreIn: whoever got it could not vote; who claims it by name may still ask its submitter.
    """
    lease_id = LeaseId(uuid4())

    def build(facts: Facts) -> DecisionCommand:
        by = authority(
            facts, call.principal
        )  # not in the try: another item would not mend the caller's own streams
        try:
            state = facts.state(DECISION, stream)
        except Corrupt as broken:
            log.warning("pulling.item.unreadable", stream=stream, code=broken.code)
            raise _Unreadable from broken
        if isinstance(state, Pending | InReview):
            must_lack_votes(state.case)
        return ClaimDecision(now=facts.now, by=by, lease_id=lease_id)

    try:
        handled = await call.handle(DECISION, stream, build)
    except LOST:
        return None
    return handled if handled.events else None
