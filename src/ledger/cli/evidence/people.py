"""Who took part in a decision: found in its events by the types of their fields, so that nobody is forgotten."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import get_args, get_type_hints
from uuid import UUID

import msgspec

from ledger.domain.account.decide import ACCOUNT
from ledger.domain.account.events import AccountEvent, AccountRegistered, RoleChanged
from ledger.domain.authority import Role
from ledger.domain.event import Event
from ledger.domain.ids import PersonId, Position
from ledger.identity import people
from ledger.identity.people import ERASED, Person
from ledger.store.ledger import Ledger, account_stream
from ledger.store.streams import Recorded, Stored, read_streams, recorded

MACHINE = "a machine: a service account"
ROLES = {
    Role.ADMIN: "a person: an administrator",
    Role.ANALYST: "a person: an analyst",
    Role.AUDITOR: "a person: an auditor",
    Role.VIEWER: "a person: a viewer",
    Role.SERVICE: MACHINE,
}
UNKNOWN = "nobody that this ledger has an account of"


class Participant(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody who took part, or of whom it was said; ``row`` is ``None`` once they are erased.

    ``roles`` are those they were given, each with its position; ``registration`` is the event that commits to their name
    (``None``: there is none).
    """

    person: PersonId
    row: Person | None
    roles: tuple[tuple[Position, Role], ...]
    registration: Stored | None

    def username(self) -> str:
        """Give their user name, or the word that stands for it."""
        return ERASED if self.row is None else self.row.record.username

    def full_name(self) -> str:
        """Give their name, or the word that stands for it."""
        return ERASED if self.row is None else self.row.record.full_name

    def role(self, at: Position) -> Role | None:
        """Give the role at a position of the log; before they had one, their first. ``None``: they have no account."""
        held = [role for position, role in self.roles if position <= at]
        return held[-1] if held else next((role for _, role in self.roles), None)

    def is_machine(self, at: Position) -> bool:
        """Say whether it was a service."""
        return self.role(at) is Role.SERVICE

    def described(self, at: Position) -> str:
        """Say what they were."""
        role = self.role(at)
        return UNKNOWN if role is None else ROLES[role]


def people_in(events: Iterable[Event]) -> list[PersonId]:
    """Name everybody whom these events name, in the order they come up."""
    found = (getattr(event, field) for event in events for field in _people_fields(type(event)))
    return list(dict.fromkeys(PersonId(person) for person in found if isinstance(person, UUID)))


async def participants(ledger: Ledger, persons: Sequence[PersonId]) -> dict[PersonId, Participant]:
    """Look people up."""
    streams = await read_streams(ledger, [account_stream(person) for person in persons])
    found = dict[PersonId, Participant]()
    for person in persons:
        stored = streams[account_stream(person)].events
        events = [recorded(one, ACCOUNT.event_types) for one in stored]
        found[person] = Participant(
            person=person,
            row=await people.read(ledger.pool, ledger.ledger_id, person),
            roles=tuple(_roles(events)),
            registration=stored[0] if stored else None,
        )
    return found


def described(person: PersonId | None, known: Mapping[PersonId, Participant]) -> str:
    """Write who somebody is, by both names, where they have both."""
    if person is None:
        return "nobody"
    found = known[person]
    if found.row is None:
        return f"somebody erased ({person})"
    full, username = found.full_name(), found.username()
    return f"{full} ({username})" if full else username


def _roles(events: Sequence[Recorded[AccountEvent]]) -> Iterator[tuple[Position, Role]]:
    for one in events:
        if isinstance(one.event, AccountRegistered | RoleChanged):
            yield one.position, one.event.role


@cache
def _people_fields(event_type: type[Event]) -> tuple[str, ...]:
    hints = get_type_hints(event_type)
    return tuple(
        field for field in event_type.__struct_fields__ if PersonId in (hints[field], *get_args(hints[field]))
    )
