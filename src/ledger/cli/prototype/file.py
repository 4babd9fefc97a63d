"""The prototype's dump: its records one by one, each with its place; a bad one does not spoil the rest."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Final, Generic, Literal, TypeVar

import msgspec

from ledger.domain.decision.events import Priority
from ledger.domain.errors import Invalid
from ledger.domain.terms import Action
from ledger.identity.people import is_storable
from ledger.personal.tokens import MARK

R = TypeVar("R", bound=msgspec.Struct)

LARGEST: Final = 1024**3
"""Bytes. The file is held in memory, twice at most."""
SECTIONS: Final = ("users", "decisions", "responses", "audit_log")

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
NOTHING: Final = msgspec.Raw(b"null")


class UnreadableDump(Invalid):
    """This is no dump of the prototype."""

    code = "unreadable-dump"
    advice = "It is one JSON object with the lists users, decisions, responses and audit_log."


class NotImportable(Exception):
    """A record that cannot be imported; the sentence says why."""


class User(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Somebody who could log in."""

    username: Name
    email: Annotated[str, msgspec.Meta(max_length=254)]
    full_name: Annotated[str, msgspec.Meta(max_length=200)]
    role: Literal["admin", "analyst", "viewer"]
    is_active: bool
    created_at: str


class Decision(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A submission."""

    analysis_id: Annotated[str, msgspec.Meta(min_length=1, max_length=200, pattern=r"^[^/]*(?!\n)$")]
    incident_id: str | None = None
    threat_level: str
    source_ip: str
    attributed_actor: str | None = None
    confidence: Annotated[float, msgspec.Meta(ge=0, le=100)]
    iocs: tuple[str, ...]
    ttps: tuple[str, ...]
    recommended_actions: tuple[str, ...]
    forensic_summary: str
    priority: Priority
    created_at: str


class Answer(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What somebody decided."""

    decision_id: str
    status: Literal["approved", "rejected", "escalated"]
    approved_actions: tuple[Action, ...]
    notes: str | None = None
    decided_by: Name
    decided_at: str
    escalation_reason: str | None = None


class AuditEntry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the prototype noted; ``details`` is any JSON."""

    timestamp: str
    event: str
    user: Name | None = None
    details: msgspec.Raw = NOTHING


class Bad(msgspec.Struct, frozen=True, kw_only=True):
    """A record that cannot be imported: where it is (RFC 6901), and why."""

    place: str
    reason: str


class Good(msgspec.Struct, Generic[R], frozen=True, kw_only=True):
    """A record, and where it is."""

    place: str
    record: R


class Dump(msgspec.Struct, frozen=True, kw_only=True):
    """A whole dump; ``strays`` are parts of it that nobody knows."""

    users: list[Good[User] | Bad]
    decisions: list[Good[Decision] | Bad]
    responses: list[Good[Answer] | Bad]
    audit_log: list[Good[AuditEntry] | Bad]
    strays: list[Bad]


def read_dump(path: Path) -> Dump:
    """Read a dump.

    Raises:
        UnreadableDump: the file cannot be read, is larger than 1 GiB, or is not one JSON object of lists.
    """
    try:
        if path.stat().st_size > LARGEST:
            raise UnreadableDump(file=path, reason="it is larger than 1 GiB; split it")
        sections = msgspec.json.decode(path.read_bytes(), type=dict[str, msgspec.Raw])
        lists = {
            name: msgspec.json.decode(sections.get(name, b"[]"), type=list[msgspec.Raw]) for name in SECTIONS
        }
    except OSError as reason:
        raise UnreadableDump(file=path, reason=reason.strerror) from reason
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as reason:
        raise UnreadableDump(file=path, reason=str(reason)) from reason
    return Dump(
        users=list(_records("users", lists["users"], User)),
        decisions=list(_records("decisions", lists["decisions"], Decision)),
        responses=list(_records("responses", lists["responses"], Answer)),
        audit_log=list(_records("audit_log", lists["audit_log"], AuditEntry)),
        strays=[
            Bad(place=f"/{name}", reason="the prototype had no such list")
            for name in sections
            if name not in SECTIONS
        ],
    )


def _records(section: str, raws: list[msgspec.Raw], shape: type[R]) -> Iterator[Good[R] | Bad]:
    for number, raw in enumerate(raws):
        place = f"/{section}/{number}"
        try:
            record = msgspec.json.decode(raw, type=shape)
            texts = list(texts_in(msgspec.json.decode(raw)))
            if not all(map(is_storable, texts)):
                yield Bad(place=place, reason="it holds a character that cannot be stored")
            elif any(MARK in text for text in texts):
                yield Bad(place=place, reason="it holds what looks like sealed text")
            else:
                yield Good(place=place, record=record)
        except (msgspec.MsgspecError, ValueError, RecursionError) as reason:
            yield Bad(place=place, reason=str(reason))


def texts_in(value: object) -> Iterator[str]:
    """Give every text in a JSON value, the names of fields as well."""
    match value:
        case str():
            yield value
        case dict():
            for key, inner in value.items():
                yield from texts_in(key)
                yield from texts_in(inner)
        case list():
            for inner in value:
                yield from texts_in(inner)
        case _:
            return
