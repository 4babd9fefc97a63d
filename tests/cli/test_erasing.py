"""Erasing and holding from the command line: the operator asks, and nobody's word is taken from whoever types it."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import TypeVar, get_args
from uuid import uuid4

import msgspec
import pytest

from ledger.api.services import Services
from ledger.cli import erasing
from ledger.cli.erasing import BasisName, NoApprover
from ledger.cli.operating import by_operator, operating, operator
from ledger.domain.account.decide import AccountNotFound
from ledger.domain.authority import Role
from ledger.domain.errors import ReasonMissing
from ledger.domain.subject.decide import HoldNotFound, LegalHold, SubjectNotFound
from ledger.domain.subject.events import LegalBasis
from ledger.erasing import acting, finding
from ledger.erasing.rows import Named
from ledger.identity import administering, people, registering
from ledger.identity.login import login
from ledger.identity.people import Record
from ledger.identity.session_rows import Client
from ledger.identity.sessions import Principal, authenticate
from tests.support.databases import Database
from tests.support.http import PASSWORD, cheap_passwords

T = TypeVar("T")
HERE = Client(address="127.0.0.1", user_agent="tests")


def on_services(act: Callable[[Services], Awaitable[T]]) -> T:
    async def once() -> T:
        async with operating(only="api") as services:
            return await act(services)

    return asyncio.run(once())


@pytest.fixture
def staffed(installed: Database) -> Database:
    """An installation with two administrators, an analyst who has left, and one who has not."""

    async def let_in(services: Services) -> None:
        cheap = msgspec.structs.replace(services.identity, passwords=cheap_passwords())
        for name, role in (
            ("ada", Role.ADMIN),
            ("boss", Role.ADMIN),
            ("sam", Role.ANALYST),
            ("ana", Role.ANALYST),
        ):
            await registering.register(
                cheap,
                Record(username=name, email=f"{name}@example.org", full_name=name),
                operator(),
                password=PASSWORD,
                role=role,
            )
        await administering.deactivate(services.identity, "sam", operator(), reason="left")

    on_services(let_in)
    return installed


async def logged_in(services: Services, name: str) -> tuple[Named, Principal]:
    """Sam, and somebody in a session of their own, as over HTTP."""
    identity = services.identity
    tokens = await login(identity, username=name, password=PASSWORD, client=HERE)
    named = await finding.find(services.ledger, "person", "sam")
    return named, await authenticate(identity, tokens.access_token)


def approve(by: str) -> None:
    async def approved(services: Services) -> None:
        named, principal = await logged_in(services, by)
        await acting.approve(services.identity, named, principal, by_operator())

    on_services(approved)


def person_of(name: str) -> str:
    async def look(services: Services) -> str:
        found = await people.find(services.ledger.pool, services.ledger.ledger_id, name)
        if found is None:
            raise AccountNotFound
        return str(found.person)

    return on_services(look)


def erase(subject: str, by: str = "ada", *, reason: str = "ticket 17", wait: float = 0) -> int:
    return erasing.erase(subject, basis="consent_withdrawn", approved_by=by, reason=reason, wait=wait)


def test_every_ground_can_be_typed():
    assert set(get_args(BasisName)) == {basis.value for basis in LegalBasis}


def test_it_waits_until_the_administrator_who_is_named_has_approved(
    staffed: Database, capsys: pytest.CaptureFixture[str]
):
    person = person_of("sam")

    assert erase("person/sam") == 2
    assert "It waits for ada" in capsys.readouterr().out
    assert erase("person/sam", wait=0.1) == 2
    approve("ada")

    assert erase(f"person/{person}") == 0
    assert "approved by ada" in capsys.readouterr().out
    assert erase(f"person/{person}", "boss") == 1
    assert "approved by another administrator" in capsys.readouterr().out
    with pytest.raises(AccountNotFound):
        person_of("sam")


def test_whoever_waits_hears_that_it_was_refused(staffed: Database, capsys: pytest.CaptureFixture[str]):
    erase("person/sam")

    async def told(services: Services) -> int:
        named, principal = await logged_in(services, "boss")
        subject = named.about.subject
        asked = (await finding.states_now(services.ledger, [subject]))[subject]
        waiting = asyncio.create_task(erasing._waited(services.ledger, subject, asked, 60))
        await acting.refuse(services.identity, named, principal, by_operator(), reason="still needed")
        return erasing._say(named, await waiting, principal.person, "boss")

    assert on_services(told) == 1
    assert "It was refused, or withdrawn." in capsys.readouterr().out


def test_what_is_not_known_or_not_said_is_refused(staffed: Database):
    for name in ("nobody", "ana", "sam"):
        with pytest.raises(NoApprover):
            erase("person/sam", name)
    with pytest.raises(NoApprover):
        erase("person/ada", "ada")
    for subject in ("person/nobody", "data_subject/nobody", f"person/{uuid4()}"):
        with pytest.raises(SubjectNotFound):
            erase(subject)
    for subject in ("sam", "C-77", "people/sam", "person/", "data_subject"):
        with pytest.raises(erasing.NotASubject):
            erase(subject)
    with pytest.raises(ReasonMissing):
        erase("person/sam", reason=" ")


def test_a_hold_is_placed_shown_and_lifted(staffed: Database, capsys: pytest.CaptureFixture[str]):
    erase("person/sam")
    capsys.readouterr()
    erasing.place("person/sam", reason="case 2041")
    hold = capsys.readouterr().out.strip()

    erasing.show(json=True)
    (one,) = json.loads(capsys.readouterr().out)
    assert (one["subject"], [held["hold_id"] for held in one["holds"]]) == ("sam", [hold])
    erasing.show()
    table = capsys.readouterr().out
    assert hold in table
    assert "operator" in table
    with pytest.raises(LegalHold):
        approve("ada")
    for odd in (str(uuid4()), "no-id"):
        with pytest.raises(HoldNotFound):
            erasing.lift("person/sam", odd, reason="case closed")
    assert erasing.lift("person/sam", hold, reason="case closed") == 0

    approve("ada")
    capsys.readouterr()
    erasing.show(json=True)
    assert json.loads(capsys.readouterr().out) == []
