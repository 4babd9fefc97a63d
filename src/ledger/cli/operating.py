"""Operators' commands: they work beside a running service, and without one."""

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from ledger.api.services import Services
from ledger.cli.composing import Part, composed, level, secret_keys_of
from ledger.cli.database import beside, is_there, problems_with
from ledger.domain.errors import Unavailable
from ledger.identity.identity import OPERATOR, SUBJECT_KEY_PURPOSE, utc_now
from ledger.identity.keys import Keyring
from ledger.operations.acting import Actor
from ledger.settings import Settings, SettingsRefused, ensure_secret_key
from ledger.store.envelope import Provenance
from ledger.store.ledger import Ledger
from ledger.store.streams import new_command_id
from ledger.telemetry.logs import configure_logs


class NothingHereYet(Unavailable):
    """There is no ledger in the data folder yet.

    Context: ``data_dir``.
    """

    code = "nothing-here-yet"
    advice = "Look at LEDGER_DATA_DIR; a first 'ledger serve' or 'ledger migrate' makes a new ledger there."


def operator() -> Actor:
    """Take whoever may run commands on this machine as who does it, once, by this machine's clock."""
    return Actor(principal=None, provenance=by_operator(), clock=utc_now)


def by_operator() -> Provenance:
    """Say that whoever may run commands on this machine asks for it, once."""
    return Provenance(actor=OPERATOR, command_id=new_command_id())


def show_warnings_only() -> None:
    """Leave the terminal to the command: its answer on standard output, trouble on standard error."""
    configure_logs(level="warning", format="console", stream=sys.stderr)


@asynccontextmanager
async def operating(*, only: Part | None = None, may_begin: bool = False) -> AsyncIterator[Services]:
    """Everything that stands behind HTTP, with read models that are level, for one operator's command.

    ``only`` the ``api`` part does without read models: for commands that neither ask nor wait for them. ``may_begin`` is
    for commands that make sense on a ledger that is not there yet, and make it. An embedded PostgreSQL that does not run
    is started and migrated for the time of the block.

    Raises:
        SettingsRefused: the settings are wrong, or the database they name cannot be used.
        NothingHereYet: there is no ledger, and the command may not begin one: the folder was mistyped.
    """
    async with (
        _opened(may_begin=may_begin) as (settings, ledger),
        composed(ledger, settings, ensure_secret_key(settings), only=only) as services,
    ):
        await level(services)
        yield services


@asynccontextmanager
async def overseeing() -> AsyncIterator[Ledger]:
    """The ledger alone, for a command that looks at read models from outside and feeds none of them.

    Raises:
        SettingsRefused: as ``operating``.
        NothingHereYet: a ledger that is looked at is there already; a folder that was mistyped is left alone.
    """
    async with _opened() as (_, ledger), ledger:
        yield ledger


@asynccontextmanager
async def disclosing() -> AsyncIterator[tuple[Ledger, Keyring]]:
    """The ledger alone, and what unwraps the keys of data subjects, for a command that tells what is sealed.

    Raises:
        SettingsRefused, NothingHereYet: as ``overseeing``.
    """
    async with _opened() as (settings, ledger), ledger:
        keys = secret_keys_of(ensure_secret_key(settings), settings)
        yield ledger, Keyring(keys, SUBJECT_KEY_PURPOSE)


@asynccontextmanager
async def _opened(*, may_begin: bool = False) -> AsyncIterator[tuple[Settings, Ledger]]:
    show_warnings_only()
    settings = Settings.load()
    problems = await problems_with(settings)
    if problems:
        raise SettingsRefused(problems)
    if not may_begin and not await is_there(settings):
        raise NothingHereYet(data_dir=str(settings.data_dir))
    async with beside(settings) as (database, is_ours_alone):
        if is_ours_alone:
            await database.migrate()
        yield settings, await database.open(settings)
