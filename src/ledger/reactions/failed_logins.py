"""Failed attempts to log in, written down behind the answers: at most one sum a minute and person.

Any number of processes may tell of one person: the ledger takes one sum a minute, and what another process had to
say waits for the next. A process that is killed loses what it had not told, a minute's worth at most.
"""

import asyncio
from typing import Final

import structlog

from ledger.command_handling.context import CommandContext
from ledger.command_handling.handler import handle
from ledger.domain.errors import LedgerError
from ledger.domain.login.commands import LoginCommand, RecordFailures
from ledger.domain.login.decide import LOGIN
from ledger.identity.identity import SYSTEM, Identity
from ledger.store.envelope import Provenance
from ledger.store.ledger import login_stream
from ledger.store.streams import new_command_id

log = structlog.get_logger()

TELL_SECONDS: Final = 1.0


async def run_forever(identity: Identity, *, every: float = TELL_SECONDS) -> None:
    """Tell what is due every so many seconds until cancelled."""
    while True:
        await tell(identity)
        await asyncio.sleep(every)


async def tell(identity: Identity) -> None:
    """Write what is due; what cannot be written now is kept."""
    for command in identity.failed_logins.take(identity.clock()):
        try:
            is_told = await _record(identity, command)
        except LedgerError as failed:
            log.warning("failed_logins.not_told", code=failed.code)
            identity.failed_logins.give_back(command)
        else:
            if isinstance(command, RecordFailures) and not is_told:
                identity.failed_logins.give_back(command)


async def _record(identity: Identity, command: LoginCommand) -> bool:
    handled = await handle(
        identity.ledger,
        CommandContext(
            decider=LOGIN,
            target=login_stream(command.person),
            clock=identity.clock,
            provenance=Provenance(actor=SYSTEM, command_id=new_command_id()),
        ),
        lambda _facts: command,
    )
    return bool(handled.events)
