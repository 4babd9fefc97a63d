"""Registering people: a row that knows them, a credential, and an event that does not give them away."""

import secrets
from typing import Final
from uuid import UUID, uuid4

import asyncpg
import msgspec

from ledger.command_handling.answering import Handled
from ledger.command_handling.context import CommandContext
from ledger.command_handling.facts import Facts
from ledger.command_handling.handler import handle
from ledger.domain.account.commands import RegisterAccount
from ledger.domain.account.decide import ACCOUNT, AlreadyRegistered
from ledger.domain.account.events import AccountEvent, AccountRegistered
from ledger.domain.authority import Role
from ledger.domain.ids import PersonId
from ledger.identity import credentials, people
from ledger.identity.actor import Actor
from ledger.identity.identity import OPERATOR, Identity
from ledger.identity.people import Person, Record
from ledger.store.envelope import Provenance
from ledger.store.ledger import account_stream
from ledger.store.pool import Connection
from ledger.store.streams import keyed_command_id

FIRST_ADMIN_SPACE: Final = UUID("5b3c8f1e-6f0b-4f0e-9a51-2d7c1b9e4a60")
GENERATED_BYTES: Final = 18


class UsernameTaken(AlreadyRegistered):
    """Username already registered."""

    advice = "Choose another user name."


class FirstAdmin(msgspec.Struct, frozen=True, kw_only=True):
    """The administrator just made; the password is there only when it was generated, and only this once."""

    username: str
    generated_password: str | None


async def register(
    identity: Identity,
    record: Record,
    actor: Actor,
    *,
    password: str,
    role: Role,
) -> Handled[AccountEvent]:
    """Let somebody in; an administrator does, or the operator of the machine.

    Raises:
        AdminRequired: somebody else asks for it.
        StepUpRequired: it makes an administrator, and who asks has a second factor to be proven again.
        UsernameTaken: somebody has the user name, capitalised this way or another.
        UnstorableText: a field holds what cannot be stored.
    """
    person = _newcomer(identity, record)
    return await _register(identity, person, actor, password=password, role=role)


async def ensure_first_admin(identity: Identity, username: str, password: str | None) -> FirstAdmin | None:
    """Make an administrator of an empty ledger; ``None``: there is somebody, or another process was first.

    Without a ``password`` one is made up. However many processes start at once, one administrator is made:
    the command has the same id in all of them.
    """
    ledger = identity.ledger
    if await people.is_anybody_there(ledger.pool, ledger.ledger_id):
        return None
    generated = secrets.token_urlsafe(GENERATED_BYTES)
    person = _newcomer(identity, Record(username=username, email="", full_name=""))
    provenance = Provenance(
        actor=OPERATOR, command_id=keyed_command_id(FIRST_ADMIN_SPACE, "first-admin"), is_keyed=True
    )
    handled = await _register(
        identity,
        person,
        Actor(principal=None, provenance=provenance),
        password=password or generated,
        role=Role.ADMIN,
    )
    if registered_person(handled) != person.person:
        return None
    return FirstAdmin(username=username, generated_password=None if password else generated)


def registered_person(handled: Handled[AccountEvent]) -> PersonId | None:
    """Name the person whom a registration let in, this time or the first time it was asked for."""
    return next(
        (one.event.person for one in handled.events if isinstance(one.event, AccountRegistered)), None
    )


def _newcomer(identity: Identity, record: Record) -> Person:
    people.check_storable(record)
    return Person(
        person=PersonId(uuid4()), record=record, salt=people.new_salt(), created_at=identity.clock()
    )


async def _register(
    identity: Identity,
    person: Person,
    actor: Actor,
    *,
    password: str,
    role: Role,
) -> Handled[AccountEvent]:
    ledger = identity.ledger
    password_hash = await identity.passwords.hash(password)

    def build(facts: Facts) -> RegisterAccount:
        return RegisterAccount(
            now=facts.now,
            by=actor.authority(facts),
            person=person.person,
            role=role,
            commitment=people.commitment(person.salt, person.record),
            credential=credentials.committed(password_hash.encode()),
        )

    async def write_rows(conn: Connection) -> None:
        await people.insert(conn, ledger.ledger_id, person)
        await credentials.insert(conn, ledger.ledger_id, person.person, password_hash, person.created_at)

    try:
        return await handle(
            ledger,
            CommandContext(
                decider=ACCOUNT,
                target=account_stream(person.person),
                clock=identity.clock,
                provenance=actor.provenance,
                reads=actor.reads(),
            ),
            build,
            alongside=write_rows,
        )
    except asyncpg.UniqueViolationError as taken:
        raise UsernameTaken from taken
