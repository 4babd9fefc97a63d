"""Registering lets exactly one person in under a user name, and the log does not know who."""

import asyncio
import hashlib
import json

import pytest

from ledger.domain.account.decide import ACCOUNT
from ledger.domain.account.events import AccountRegistered
from ledger.domain.authority import AdminRequired, Role
from ledger.identity import people
from ledger.identity.actor import Actor
from ledger.identity.identity import Identity
from ledger.identity.people import UnstorableText, folded
from ledger.identity.registering import (
    UsernameTaken,
    ensure_first_admin,
    register,
    registered_person,
)
from ledger.store.envelope import Provenance
from ledger.store.ledger import account_stream
from ledger.store.streams import keyed_command_id, read_stream, recorded
from tests.identity.house import (
    PASSWORD,
    admitted,
    asking,
    operator,
    principal,
    record,
)


async def test_the_log_commits_to_who_somebody_is(identity: Identity) -> None:
    sam = await admitted(identity, "sam")
    row = await people.read(identity.ledger.pool, identity.ledger.ledger_id, sam)
    stream = await read_stream(identity.ledger, account_stream(sam))
    event = recorded(stream.events[0], ACCOUNT.event_types).event

    assert row is not None
    assert isinstance(event, AccountRegistered)
    fields = {"email": "sam@example.org", "full_name": "sam the tester", "username": "sam"}
    canonical = json.dumps(fields, sort_keys=True, separators=(",", ":")).encode()
    assert event.commitment == hashlib.sha256(row.salt + canonical).hexdigest()


@pytest.mark.parametrize("again", ["sam", "SAM", "\uff33\uff21\uff2d"])
async def test_a_user_name_is_taken_once_however_it_is_written(identity: Identity, again: str) -> None:
    await admitted(identity, "sam")

    with pytest.raises(UsernameTaken, match="Username already registered"):
        await admitted(identity, again)


async def test_of_many_who_want_one_name_at_once_one_gets_it(identity: Identity) -> None:
    outcomes = await asyncio.gather(*(admitted(identity, "sam") for _ in range(10)), return_exceptions=True)

    assert sum(isinstance(outcome, UsernameTaken) for outcome in outcomes) == 9
    assert await identity.ledger.head() == 1


async def test_only_an_administrator_registers_people(identity: Identity) -> None:
    await admitted(identity, "ada", role=Role.ADMIN)
    await admitted(identity, "sam")
    ada, sam = await principal(identity, "ada"), await principal(identity, "sam")

    with pytest.raises(AdminRequired):
        await register(identity, record("ben"), asking(sam), password=PASSWORD, role=Role.ANALYST)
    handled = await register(identity, record("ben"), asking(ada), password=PASSWORD, role=Role.ANALYST)

    event = handled.events[0].event
    assert isinstance(event, AccountRegistered)
    assert event.by == ada.person


async def test_the_same_registration_sent_again_and_again_lets_one_person_in(identity: Identity) -> None:
    caller = await admitted(identity, "ada", role=Role.ADMIN)
    provenance = Provenance(
        actor=str(caller), command_id=keyed_command_id(caller, "key"), is_keyed=True, request="r"
    )

    handled = await asyncio.gather(
        *(
            register(
                identity,
                record("sam"),
                Actor(principal=None, provenance=provenance),
                password=PASSWORD,
                role=Role.ANALYST,
            )
            for _ in range(10)
        )
    )

    assert len({registered_person(one) for one in handled}) == 1
    assert len({one.position for one in handled}) == 1
    assert await identity.ledger.head() == 2


@pytest.mark.parametrize("text", ["a\0b", "a\ud800b"])
async def test_what_cannot_be_stored_is_refused_by_field(identity: Identity, text: str) -> None:
    with pytest.raises(UnstorableText) as refused:
        await register(identity, record(text), operator(), password=PASSWORD, role=Role.ANALYST)

    assert refused.value.context == {"field": "username"}


@pytest.mark.parametrize(("name", "other"), [("Straße", "STRASSE"), ("\u03f2", "\u03a3"), ("\ufb01n", "FIN")])
def test_what_looks_the_same_is_the_same(name: str, other: str) -> None:
    assert folded(name) == folded(other)


@pytest.mark.parametrize("name", ["sam", "STRASSE", "Straße", "\uff33\uff21\uff2d", "\u017fam", "ﷺ", "İi"])
def test_folding_twice_changes_nothing(name: str) -> None:
    assert folded(folded(name)) == folded(name)


async def test_an_empty_ledger_gets_its_first_administrator_once(identity: Identity) -> None:
    first = await ensure_first_admin(identity, "admin", None)

    assert first is not None
    assert first.generated_password is not None
    who = await principal(identity, "admin", first.generated_password)
    assert who.role is Role.ADMIN
    assert await ensure_first_admin(identity, "admin", None) is None


async def test_a_given_password_is_used_and_not_shown(identity: Identity) -> None:
    first = await ensure_first_admin(identity, "admin", PASSWORD)

    assert first is not None
    assert first.generated_password is None
    assert (await principal(identity, "admin")).role is Role.ADMIN


async def test_services_that_start_at_once_make_one_first_administrator(identity: Identity) -> None:
    started = await asyncio.gather(
        *(ensure_first_admin(identity, name, None) for name in ("admin", "admin", "root", "root"))
    )

    made = [first for first in started if first is not None]
    assert len(made) == 1
    assert await identity.ledger.head() == 1
    assert (await principal(identity, made[0].username, made[0].generated_password or "")).role is Role.ADMIN


async def test_somebody_registered_is_reason_enough_to_make_no_administrator(identity: Identity) -> None:
    await admitted(identity, "sam")

    assert await ensure_first_admin(identity, "admin", None) is None
