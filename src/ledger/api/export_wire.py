"""What is asked for when the ledger is taken out, and the lines that come."""

from typing import Annotated, Final
from uuid import UUID

import msgspec

from ledger.domain.export.events import LedgerExported, Tier
from ledger.domain.ids import CommandId, PersonId
from ledger.identity.people import Person

BIGGEST: Final = 2**63 - 1

At = Annotated[int, msgspec.Meta(ge=1, le=BIGGEST)]


class NewExport(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which positions are wanted, and how much of each: all that is sealed, unless it says otherwise.

    ``size`` is that of the checkpoint they are taken with: the newest, unless another is named.
    """

    tier: Tier
    from_: At = msgspec.field(name="from", default=1)
    to: At | None = None
    size: At | None = None


class Export(msgspec.Struct, frozen=True, kw_only=True):
    """What may be fetched under this id, for a day."""

    export_id: UUID
    tier: Tier
    from_: int = msgspec.field(name="from")
    to: int
    size: int


class ExportedPerson(msgspec.Struct, frozen=True, kw_only=True):
    """Who a person id is; SHA-256(salt ‖ canonical JSON of the three) is the commitment in the ledger."""

    person: PersonId
    username: str
    email: str
    full_name: str
    salt: str


def export_told(export: CommandId, event: LedgerExported) -> Export:
    """Write what somebody was given leave to take."""
    return Export(export_id=export, tier=event.tier, from_=event.first, to=event.last, size=event.size)


def person_told(person: Person) -> ExportedPerson:
    """Write who somebody is."""
    record = person.record
    return ExportedPerson(
        person=person.person,
        username=record.username,
        email=record.email,
        full_name=record.full_name,
        salt=person.salt.hex(),
    )
