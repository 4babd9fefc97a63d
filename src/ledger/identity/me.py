"""Who somebody is, as they are told themselves."""

from datetime import datetime

import msgspec

from ledger.command_handling.facts import state_of
from ledger.domain.account.decide import ACCOUNT, AccountNotFound
from ledger.domain.account.state import Registered
from ledger.domain.authority import Role
from ledger.identity import people
from ledger.identity.identity import Identity
from ledger.identity.people import Record
from ledger.identity.sessions import Principal
from ledger.projections.views.sessions import last_login
from ledger.store.ledger import account_stream
from ledger.store.pool import reading
from ledger.store.streams import read_stream


class Me(msgspec.Struct, frozen=True, kw_only=True):
    """A person's own account; ``last_login`` is when they last opened a session (``None``: never)."""

    record: Record
    role: Role
    groups: tuple[str, ...]
    is_lead: bool
    is_2fa_enabled: bool
    last_login: datetime | None


async def me(identity: Identity, principal: Principal) -> Me:
    """Tell a person who they are.

    Raises:
        AccountNotFound: what was known of them has been erased.
    """
    ledger = identity.ledger
    person = await people.read(ledger.pool, ledger.ledger_id, principal.person)
    account = state_of(ACCOUNT, await read_stream(ledger, account_stream(principal.person)))
    if person is None or not isinstance(account, Registered):
        raise AccountNotFound
    async with reading(ledger.pool) as conn:
        last = await last_login(conn, ledger.ledger_id, principal.person)
    return Me(
        record=person.record,
        role=account.role,
        groups=account.groups,
        is_lead=account.is_lead,
        is_2fa_enabled=account.second_factor,
        last_login=last,
    )
