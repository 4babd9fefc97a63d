"""What is asked for when the ledger is taken out, and the lines that come."""

from base64 import b64encode
from collections.abc import Sequence
from typing import Annotated, Final
from uuid import UUID

import msgspec

from ledger.domain.errors import Corrupt
from ledger.domain.export.events import LedgerExported, Tier
from ledger.domain.ids import CommandId, PersonId
from ledger.identity.people import Person
from ledger.personal.keys import KeptKey

BIGGEST: Final = 2**63 - 1

At = Annotated[int, msgspec.Meta(ge=1, le=BIGGEST)]


class NewExport(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which positions are wanted, and how much of each: all that is sealed, unless it says otherwise.

    The checkpoint they are taken with is over ``covering`` at least: of such ones that which most witnesses cosigned.
    """

    tier: Tier
    from_: At = msgspec.field(name="from", default=1)
    to: At | None = None
    covering: At = 1


class Export(msgspec.Struct, frozen=True, kw_only=True):
    """What may be fetched under this id, for a day; ``checkpoint`` is over ``size`` events, signed and cosigned."""

    export_id: UUID
    tier: Tier
    from_: int = msgspec.field(name="from")
    to: int
    size: int
    checkpoint: str


class ExportedPerson(msgspec.Struct, frozen=True, kw_only=True):
    """Who a person id is; SHA-256(salt ‖ canonical JSON of the three) is the commitment in the ledger."""

    person: PersonId
    username: str
    email: str
    full_name: str
    salt: str


class ExportedKey(msgspec.Struct, frozen=True, kw_only=True):
    """The key of a data subject, in base64; ``key_id`` commits to it."""

    subject: UUID
    key_id: str
    key: str


class KeysUnreadable(Corrupt):
    """Keys of data subjects cannot be unwrapped: what they sealed would look as if it had been erased.

    Context: how many there are, ``keys``.
    """

    code = "subject-keys-unreadable"
    advice = "Name the secret key that wrapped them in LEDGER_PREVIOUS_SECRET_KEYS."


def export_told(export: CommandId, event: LedgerExported, checkpoint: str) -> Export:
    """Write what somebody was given leave to take."""
    return Export(
        export_id=export,
        tier=event.tier,
        from_=event.first,
        to=event.last,
        size=event.size,
        checkpoint=checkpoint,
    )


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


def keys_told(page: Sequence[KeptKey]) -> tuple[ExportedKey, ...]:
    """Write keys.

    Raises:
        KeysUnreadable: no secret key of this service unwraps one of them.
    """
    unreadable = sum(kept.key is None for kept in page)
    if unreadable:
        raise KeysUnreadable(keys=unreadable)
    return tuple(
        ExportedKey(subject=kept.subject, key_id=kept.key_id, key=b64encode(kept.key.secret).decode())
        for kept in page
        if kept.key is not None
    )
