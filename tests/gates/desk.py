"""Decisions, a session and an account in a real log, and what somebody does with them through ``handle``."""

from datetime import datetime
from typing import Final
from uuid import uuid4

import msgspec

from ledger.command_handling.answering import Handled
from ledger.command_handling.context import CommandContext
from ledger.command_handling.handler import Alongside, handle
from ledger.domain.authority import Role
from ledger.domain.decision.decide import DECISION
from ledger.domain.decision.events import DecisionEvent
from ledger.domain.ids import DecisionId, SessionId, StreamName
from ledger.domain.session.decide import SESSION
from ledger.domain.session.events import SessionEvent
from ledger.identity.sessions import Principal, authority, reads_of
from ledger.store.envelope import Provenance
from ledger.store.ledger import Ledger, account_stream, session_stream
from tests.builders import ANA, cast_vote, claimed, later, opened, registered, renew, revoke, submitted
from tests.support.events import by_somebody
from tests.support.recorded import happened

MOMENT: Final = later(5)


def clock() -> datetime:
    return MOMENT


class Desk(msgspec.Struct, frozen=True):
    """An analyst at work in a session."""

    principal: Principal

    @classmethod
    async def opened(cls, ledger: Ledger) -> "Desk":
        """Have her log in, to a session that nobody had before."""
        session = SessionId(uuid4())
        if not await _exists(ledger, account_stream(ANA)):
            await happened(ledger, account_stream(ANA), registered(ANA))
        await happened(ledger, session_stream(session), opened(ANA, session=session))
        return cls(Principal(person=ANA, session=session, role=Role.ANALYST, is_lead=False))

    async def votes(
        self,
        ledger: Ledger,
        decision: StreamName,
        provenance: Provenance | None = None,
        alongside: Alongside | None = None,
    ) -> Handled[DecisionEvent]:
        return await handle(
            ledger,
            CommandContext(
                decider=DECISION,
                target=decision,
                clock=clock,
                provenance=provenance or by_somebody(),
                reads=reads_of(self.principal),
            ),
            lambda facts: cast_vote(by=authority(facts, self.principal), now=facts.now),
            alongside=alongside,
        )

    async def renews(self, ledger: Ledger, decision: StreamName) -> Handled[DecisionEvent]:
        return await handle(
            ledger,
            CommandContext(
                decider=DECISION,
                target=decision,
                clock=clock,
                provenance=by_somebody(),
                reads=reads_of(self.principal),
            ),
            lambda facts: renew(by=authority(facts, self.principal), now=facts.now),
        )

    async def is_revoked(self, ledger: Ledger) -> Handled[SessionEvent]:
        return await handle(
            ledger,
            CommandContext(
                decider=SESSION,
                target=session_stream(self.principal.session),
                clock=clock,
                provenance=by_somebody(),
            ),
            lambda facts: revoke(now=facts.now),
        )


async def submission(ledger: Ledger) -> StreamName:
    """A decision that waits for a verdict."""
    decision = DecisionId(str(uuid4()))
    stream = ledger.decision_stream(decision)
    await happened(ledger, stream, submitted(decision_id=decision))
    return stream


async def claimed_submission(ledger: Ledger, desk: Desk) -> StreamName:
    """A decision that the analyst of this desk has claimed."""
    stream = await submission(ledger)
    await happened(ledger, stream, claimed(ANA, session=desk.principal.session))
    return stream


async def _exists(ledger: Ledger, stream: StreamName) -> bool:
    return bool(
        await ledger.pool.fetchval("select exists (select from ledger.events where stream = $1)", stream)
    )
