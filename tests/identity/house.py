"""A small house of people for tests: ``admitted(identity, "sam")``, ``logged_in(identity, "sam")``."""

from datetime import UTC, datetime, timedelta
from typing import Final

from ledger.domain.authority import Role
from ledger.domain.ids import PersonId
from ledger.identity.actor import Actor
from ledger.identity.identity import OPERATOR, Identity
from ledger.identity.login import login
from ledger.identity.opening import LoggedIn
from ledger.identity.people import Record
from ledger.identity.registering import register, registered_person
from ledger.identity.session_rows import Client
from ledger.identity.sessions import Principal, authenticate
from ledger.store.envelope import Provenance
from ledger.store.streams import new_command_id
from tests.builders.people import NOW

SECRET: Final = "a secret of the settings, long enough"
PASSWORD: Final = "correct horse battery staple"
CLIENT: Final = Client(address="192.0.2.7", user_agent="a browser")


class MovingClock:
    """Stands still until it is told to move."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now

    def to_now(self) -> None:
        """Say what other clocks say, for the sake of somebody who looks at one."""
        self.now = datetime.now(UTC)

    def forward(self, **by: float) -> None:
        self.now += timedelta(**by)


def operator() -> Actor:
    return Actor(principal=None, provenance=by_operator())


def asking(principal: Principal) -> Actor:
    return Actor(principal=principal, provenance=asked_by(principal))


def by_operator() -> Provenance:
    return Provenance(actor=OPERATOR, command_id=new_command_id())


def asked_by(principal: Principal) -> Provenance:
    return Provenance(actor=str(principal.person), command_id=new_command_id())


def record(username: str) -> Record:
    return Record(username=username, email=f"{username}@example.org", full_name=f"{username} the tester")


async def admitted(
    identity: Identity, username: str, *, role: Role = Role.ANALYST, password: str = PASSWORD
) -> PersonId:
    handled = await register(identity, record(username), operator(), password=password, role=role)
    person = registered_person(handled)
    assert person is not None
    return person


async def logged_in(identity: Identity, username: str, password: str = PASSWORD) -> LoggedIn:
    return await login(identity, username=username, password=password, client=CLIENT)


async def principal(identity: Identity, username: str, password: str = PASSWORD) -> Principal:
    answer = await logged_in(identity, username, password)
    return await authenticate(identity, answer.access_token)
