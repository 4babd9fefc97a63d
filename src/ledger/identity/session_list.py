"""Who is logged in where: the living sessions of a person, as they are shown to them and to administrators."""

from datetime import datetime

import msgspec

from ledger.command_handling.facts import state_of
from ledger.domain.account.decide import ACCOUNT
from ledger.domain.account.state import Registered, keeps
from ledger.domain.ids import PersonId
from ledger.domain.session.decide import SESSION
from ledger.domain.session.state import Active, is_live
from ledger.identity import session_rows
from ledger.identity.identity import Identity
from ledger.identity.session_rows import Used
from ledger.store.ledger import account_stream, session_stream
from ledger.store.streams import read_streams


class LivingSession(msgspec.Struct, frozen=True, kw_only=True):
    """A session that is good now; ``used`` says from where and when last."""

    state: Active
    used: Used


async def living_sessions(identity: Identity, person: PersonId) -> tuple[LivingSession, ...]:
    """List a person's living sessions, the last used one first."""
    ledger, now = identity.ledger, identity.clock()
    rows = await session_rows.used_by(ledger.pool, ledger.ledger_id, person)
    its_account = account_stream(person)
    streams = await read_streams(ledger, [its_account, *(session_stream(row.session) for row in rows)])
    account = state_of(ACCOUNT, streams[its_account])
    if not (isinstance(account, Registered) and account.is_active):
        return ()
    states = [(state_of(SESSION, streams[session_stream(row.session)]), row) for row in rows]
    return tuple(
        LivingSession(state=state, used=row)
        for state, row in states
        if isinstance(state, Active) and _is_good(account, state, now)
    )


def _is_good(account: Registered, state: Active, now: datetime) -> bool:
    return is_live(state, now) and keeps(account, state.session, state.epoch)
