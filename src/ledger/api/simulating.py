"""What a policy would ask of a payload, told without writing anything."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final

import msgspec

from ledger.api import wire
from ledger.api.items import item_of, payload_text, registered, version_of
from ledger.api.kind_wire import Name
from ledger.api.policy_wire import Terms
from ledger.api.services import Services
from ledger.command_handling.facts import state_of
from ledger.domain.decision.events import EscalationCause, Priority
from ledger.domain.decision.item import Item, payload_of
from ledger.domain.decision.personal import SubjectMissing, subject_of
from ledger.domain.event import Utc
from ledger.domain.ids import DecisionId
from ledger.domain.json_pointer import PointsNowhere, at
from ledger.domain.kind.decide import KIND
from ledger.domain.kind.state import Registered
from ledger.domain.policy.decide import POLICY
from ledger.domain.policy.rules import must_be_consistent
from ledger.domain.policy.state import terms_of
from ledger.domain.terms import DEFAULT_VERSION, DefaultOutcome, Policy
from ledger.payloads.faults import InvalidPayload
from ledger.store.streams import read_streams

NOTHING: Final = msgspec.Raw(b"null")
NOBODY: Final = DecisionId("")
"""What is not submitted has no id, and is no data subject."""
UNPUBLISHED: Final = 0
"""The version of terms that were sent along: they have none."""


class Question(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A payload, and the terms to try on it (left out: those that hold)."""

    kind: Name
    payload: wire.JsonObject
    priority: Priority = Priority.MEDIUM
    policy: Terms | None = None


class Misfit(msgspec.Struct, frozen=True):
    """What is wrong with the payload: a JSON pointer into it, and what is wrong there."""

    pointer: str
    message: str


class Parameter(msgspec.Struct, frozen=True, kw_only=True):
    """What an approver may change, with its value in this payload; ``is_there``: this payload has it."""

    pointer: str
    is_there: bool
    value: msgspec.Raw


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """A move up by the clock: when, why and to whom (``group`` ``None``: to every reviewer)."""

    at: Utc
    cause: EscalationCause
    level: int
    group: str | None


class Simulation(msgspec.Struct, frozen=True, kw_only=True):
    """What would be asked if this were submitted now.

    ``policy_version`` is ``None`` for terms that were sent along, whose version reads 0. Moments are those without questions to the submitter.
    """

    kind: str
    kind_version: int
    priority: Priority
    policy_version: int | None
    is_default: bool
    is_valid: bool
    errors: tuple[Misfit, ...]
    terms: Policy
    editable_parameters: tuple[Parameter, ...]
    asked_at: Utc
    target_at: Utc | None
    deadline_at: Utc | None
    steps: tuple[Step, ...]
    default_outcome: DefaultOutcome | None


async def simulate(services: Services, question: Question) -> Simulation:
    """Answer a question.

    Raises:
        InconsistentPolicy: the terms that were sent along break a rule.
        UnknownKind: nobody knows the kind.
        KindIsRetired: there are to be no more of them.
        Unavailable: the database cannot be reached.
    """
    ledger = services.ledger
    policies, kinds = ledger.policy_stream(question.kind), ledger.kind_stream(question.kind)
    streams = await read_streams(ledger, [policies, kinds])
    in_force = terms_of(state_of(POLICY, streams[policies]), question.kind)
    terms = in_force
    if question.policy is not None:
        terms = question.policy.policy(question.kind, UNPUBLISHED)
    must_be_consistent(terms)
    kind = registered(question.kind, state_of(KIND, streams[kinds]))
    item, errors = _read(payload_text(question.payload), kind, terms)
    now = services.clock()
    return Simulation(
        kind=question.kind,
        kind_version=version_of(kind),
        priority=question.priority,
        policy_version=in_force.version if question.policy is None else None,
        is_default=terms.version == DEFAULT_VERSION,
        is_valid=item is not None,
        errors=errors,
        terms=terms,
        editable_parameters=_parameters(terms, item),
        asked_at=now,
        target_at=_after(now, terms.target_seconds),
        deadline_at=_after(now, terms.deadline_seconds),
        steps=tuple(_steps(terms, now)),
        default_outcome=None if terms.deadline_seconds is None else terms.default_outcome,
    )


def _read(payload: str, kind: Registered | None, terms: Policy) -> tuple[Item | None, tuple[Misfit, ...]]:
    try:
        item = item_of(payload, kind)
        if terms.personal:
            subject_of(item, terms, NOBODY)
    except InvalidPayload as invalid:
        return None, tuple(Misfit(fault.pointer, fault.message) for fault in invalid.faults)
    except SubjectMissing:
        return None, (Misfit(terms.subject or "", "does not say whom it is about"),)
    return item, ()


def _after(now: datetime, seconds: float | None) -> datetime | None:
    return None if seconds is None else now + timedelta(seconds=seconds)


def _parameters(terms: Policy, item: Item | None) -> tuple[Parameter, ...]:
    payload = {} if item is None else payload_of(item)
    return tuple(_parameter(pointer, payload) for pointer in terms.editable_parameters)


def _parameter(pointer: str, payload: object) -> Parameter:
    try:
        value = msgspec.json.encode(at(payload, pointer))
        return Parameter(pointer=pointer, is_there=True, value=msgspec.Raw(value))
    except PointsNowhere:
        return Parameter(pointer=pointer, is_there=False, value=NOTHING)


def _steps(terms: Policy, now: datetime) -> Iterator[Step]:
    """Name the moves up that the clock makes while nobody decides, as far as there are levels."""
    wanted = terms.target_seconds or terms.deadline_seconds
    half = None if wanted is None or not terms.escalates_at_half else wanted / 2
    breach = terms.target_seconds if terms.escalates_at_breach else None
    level = 0
    for seconds, cause in ((half, EscalationCause.HALF_TIME), (breach, EscalationCause.BREACH)):
        if seconds is not None and level < terms.escalation_levels:
            level += 1
            group = next(iter(terms.ladder[level - 1 : level]), "") or None
            yield Step(at=now + timedelta(seconds=seconds), cause=cause, level=level, group=group)
