"""People whom work is given to, by user name."""

from ledger.api.call import Call
from ledger.api.problems import FieldError, InvalidRequest
from ledger.command_handling.facts import Facts
from ledger.domain.account.decide import ACCOUNT
from ledger.domain.account.state import Registered
from ledger.domain.authority import Role
from ledger.domain.decision.commands import Colleague
from ledger.domain.ids import PersonId
from ledger.identity import people
from ledger.store.ledger import account_stream


async def person_named(call: Call, username: str, field: str) -> PersonId:
    """Find somebody.

    Raises:
        InvalidRequest: nobody is called so.
    """
    ledger = call.services.ledger
    found = await people.find(ledger.pool, ledger.ledger_id, username)
    if found is None:
        raise InvalidRequest(FieldError(field, "is nobody's user name"))
    return found.person


def colleague_of(facts: Facts, person: PersonId) -> Colleague:
    """Say what their account, one of the streams that were read, says of somebody."""
    account = facts.state(ACCOUNT, account_stream(person))
    known = account if isinstance(account, Registered) else None
    return Colleague(
        person=person,
        role=Role.VIEWER if known is None else known.role,
        is_active=known is not None and known.is_active,
        groups=() if known is None else known.groups,
    )
