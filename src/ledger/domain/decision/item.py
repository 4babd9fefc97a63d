"""What a human is asked to look at: an item of the built-in kind or of a registered one, and its digest.

STORAGE FORMAT, as ``events.py``.
"""

import hashlib
from typing import TypeAlias

import msgspec

from ledger.domain.errors import RuleViolation
from ledger.domain.ids import DecisionId, Digest
from ledger.domain.json_pointer import PointsNowhere, at, put
from ledger.domain.terms import BUILT_IN_KIND


class ThreatAnalysis(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag=BUILT_IN_KIND):
    """What a security engine saw, as it was submitted; free text is kept verbatim."""

    threat_level: str
    source_ip: str
    confidence: float
    iocs: tuple[str, ...]
    ttps: tuple[str, ...]
    recommended_actions: tuple[str, ...]
    forensic_summary: str
    incident_id: str | None = None
    attributed_actor: str | None = None


class KindItem(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="registered"):
    """An item of the registered kind ``name``; ``payload`` is its JSON, an object, as text: kept verbatim."""

    name: str
    payload: str


Item: TypeAlias = ThreatAnalysis | KindItem


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """An approver's other value of one parameter: a JSON pointer into the payload, and both values as JSON."""

    pointer: str
    before: str
    after: str


class Parameter(msgspec.Struct, frozen=True):
    """What an approver wants a parameter to be: a JSON pointer into the payload, and the value as JSON."""

    pointer: str
    value: str


class UnknownParameter(RuleViolation):
    """The item has no such parameter.

    Context: the JSON ``pointer`` that leads nowhere.
    """

    code = "unknown-parameter"
    advice = "Point to something that the payload has."


class ParameterDoesNotFit(RuleViolation):
    """The item cannot have this value there.

    Context: ``pointers``, the changed ones.
    """

    code = "parameter-does-not-fit"
    advice = "Send values of the types that its kind has."


def kind_of(item: Item) -> str:
    """Name the kind of an item."""
    return item.name if isinstance(item, KindItem) else BUILT_IN_KIND


def payload_of(item: Item) -> object:
    """Give an item's payload as JSON values."""
    if isinstance(item, KindItem):
        return msgspec.json.decode(item.payload)
    builtins = msgspec.to_builtins(item)
    return {name: value for name, value in builtins.items() if name != "kind"}


def changed(item: Item, wishes: tuple[Parameter, ...]) -> tuple[Item, tuple[Change, ...]]:
    """Give the item as it is with other parameters, and what that changes.

    Values that are the same JSON change nothing: neither each by itself nor all of them together.

    Raises:
        UnknownParameter: a pointer leads nowhere.
        ParameterDoesNotFit: the item would not be one of its kind any more.
    """
    payload, changes = payload_of(item), list[Change]()
    for wish in wishes:
        value = msgspec.json.decode(wish.value)
        before, after = _canonical(_found(payload, wish.pointer)), _canonical(value)
        if before == after:
            continue
        payload = put(payload, wish.pointer, value)
        changes.append(Change(pointer=wish.pointer, before=before.decode(), after=after.decode()))
    other = _with(item, payload, wishes)
    is_another = _canonical(payload_of(other)) != _canonical(payload_of(item))
    return (other, tuple(changes)) if is_another else (item, ())


def _found(payload: object, pointer: str) -> object:
    try:
        return at(payload, pointer)
    except PointsNowhere as lost:
        raise UnknownParameter(pointer=pointer) from lost


def _with(item: Item, payload: object, wishes: tuple[Parameter, ...]) -> Item:
    if isinstance(item, KindItem):
        return KindItem(name=item.name, payload=msgspec.json.encode(payload).decode())
    try:
        return msgspec.convert(payload, ThreatAnalysis)
    except msgspec.ValidationError as unfit:
        raise ParameterDoesNotFit(pointers=", ".join(wish.pointer for wish in wishes)) from unfit


def subject_digest(decision_id: DecisionId, item: Item, kind_version: int, priority: str) -> Digest:
    """Name exactly what a human is shown: SHA-256 over its canonical JSON (sorted keys, no blanks)."""
    shown_item = {"kind": item.name, "payload": payload_of(item)} if isinstance(item, KindItem) else item
    shown = {
        "decision_id": decision_id,
        "item": shown_item,
        "kind_version": kind_version,
        "priority": priority,
    }
    return Digest(hashlib.sha256(_canonical(shown)).hexdigest())


def _canonical(value: object) -> bytes:
    return msgspec.json.encode(value, order="sorted")
