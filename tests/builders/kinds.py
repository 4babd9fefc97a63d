"""Kinds of items and who wants to change them: ``kind_registered()``, ``revise_kind(schema="{}")``."""

from datetime import datetime
from typing import Final

from ledger.domain.authority import Authority
from ledger.domain.ids import PersonId
from ledger.domain.kind.commands import RegisterKind, RetireKind, ReviseKind
from ledger.domain.kind.events import KindRegistered, KindRetired, KindRevised
from tests.builders.people import ADA, NOW, acting

PAYMENT: Final = "payment"
SCHEMA: Final = '{"type": "object", "required": ["amount"]}'
STRICTER: Final = '{"type": "object", "required": ["amount", "to"]}'


def kind_registered(
    name: str = PAYMENT, *, title: str = "A payment", schema: str = SCHEMA, by: PersonId = ADA
) -> KindRegistered:
    return KindRegistered(at=NOW, name=name, title=title, schema=schema, by=by, reason="")


def kind_revised(
    version: int = 2, *, title: str = "A payment", schema: str = STRICTER, by: PersonId = ADA
) -> KindRevised:
    return KindRevised(
        at=NOW, name=PAYMENT, version=version, title=title, schema=schema, by=by, reason="to whom?"
    )


def kind_retired(*, by: PersonId = ADA, reason: str = "nobody pays") -> KindRetired:
    return KindRetired(at=NOW, name=PAYMENT, by=by, reason=reason)


def register_kind(
    name: str = PAYMENT,
    *,
    title: str = "A payment",
    schema: str = SCHEMA,
    by: PersonId | Authority = ADA,
    now: datetime = NOW,
) -> RegisterKind:
    return RegisterKind(now=now, by=acting(by), name=name, title=title, schema=schema)


def revise_kind(
    name: str = PAYMENT,
    *,
    title: str | None = None,
    schema: str = STRICTER,
    by: PersonId | Authority = ADA,
    reason: str = "to whom?",
) -> ReviseKind:
    return ReviseKind(now=NOW, by=acting(by), name=name, title=title, schema=schema, reason=reason)


def retire_kind(
    name: str = PAYMENT, *, by: PersonId | Authority = ADA, reason: str = "nobody pays"
) -> RetireKind:
    return RetireKind(now=NOW, by=acting(by), name=name, reason=reason)
