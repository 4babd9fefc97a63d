"""Which texts of a command are personal, as the policy of its decision marks them, and the command with those covered."""

from typing import Final, Protocol, TypeAlias, assert_never

import msgspec
from msgspec.structs import replace

from ledger.domain.decision.commands import (
    AcceptHandover,
    Assign,
    AttachEvidence,
    Cancel,
    CastVote,
    ClaimDecision,
    Comment,
    Countersign,
    DecisionCommand,
    Escalate,
    Expire,
    LapseOverride,
    OfferHandover,
    Override,
    PassMilestone,
    ProvideInformation,
    Redeem,
    ReleaseClaim,
    RenewClaim,
    ReportOutcome,
    Reprioritise,
    RequestInformation,
    SubmitDecision,
    Supersede,
    Withdraw,
)
from ledger.domain.decision.item import Item, KindItem, ThreatAnalysis, payload_of
from ledger.domain.errors import Invalid
from ledger.domain.json_pointer import PointsNowhere, at
from ledger.domain.json_text import rewritten
from ledger.domain.terms import BUILT_IN_LISTS, BUILT_IN_TEXTS, PersonalText, Policy

LONGEST_SUBJECT: Final = 500
ERASED: Final = "erased"
"""Says nothing about anybody: it is taken where something must be said of whom nothing can be said any more."""
OF_A_DECISION: Final = "decision/"
"""How a decision's own subject is called, before its id; no payload can call one so."""


class Cover(Protocol):
    """What puts something else in the place of what is personal; ``field`` says what that is."""

    def text(self, field: str, text: str) -> str:
        """Cover a text."""

    def value(self, field: str, json: str) -> str:
        """Cover a JSON value, by a text that stands for all of it."""


class SubjectMissing(Invalid):
    """The payload does not say whom it is about, where its policy has it say so.

    Context: the ``pointer``.
    """

    code = "data-subject-missing"
    advice = "Name the data subject there, by a text of at most 500 characters or a number."


_Silent: TypeAlias = (
    ReleaseClaim
    | RenewClaim
    | OfferHandover
    | AcceptHandover
    | PassMilestone
    | Expire
    | LapseOverride
    | Redeem
)
_Reasoned: TypeAlias = ClaimDecision | Assign | Reprioritise | Withdraw | Supersede | Cancel


def subject_of(item: Item, policy: Policy, decision_id: str) -> str:
    """Say what the data subject of an item is called; where the policy does not point to it, it is the decision.

    Raises:
        SubjectMissing: the payload calls it nothing, or what no data subject is called.
    """
    if policy.subject is None:
        return f"{OF_A_DECISION}{decision_id}"
    try:
        found = at(payload_of(item), policy.subject)
    except PointsNowhere:
        found = None
    name = str(found) if isinstance(found, str | int) and not isinstance(found, bool) else ""
    if not name.strip() or len(name) > LONGEST_SUBJECT or name.startswith(OF_A_DECISION):
        raise SubjectMissing(pointer=policy.subject)
    return name


def covered(  # noqa: PLR0911 - one for each of them
    command: DecisionCommand, policy: Policy, cover: Cover
) -> DecisionCommand:
    """Give the command with what the policy marks as personal covered; what says nothing stays: blanks, and ERASED."""
    texts = _Texts(frozenset(policy.personal), cover)
    match command:
        case SubmitDecision():
            return replace(command, item=_covered_item(command.item, policy, cover))
        case CastVote() | Countersign():
            return replace(command, notes=texts.of(PersonalText.NOTES, command.notes))
        case Escalate():
            notes = texts.of(PersonalText.NOTES, command.notes)
            return replace(command, notes=notes, reason=texts.of(PersonalText.REASON, command.reason))
        case Override():
            ticket = texts.of(PersonalText.TICKET, command.ticket)
            return replace(command, ticket=ticket, reason=texts.of(PersonalText.REASON, command.reason))
        case ReportOutcome():
            return replace(command, details=texts.of(PersonalText.DETAILS, command.details))
        case RequestInformation() | ProvideInformation() | Comment() | AttachEvidence():
            return _talk(command, policy, texts)
        case _:
            return _work(command, texts)


class _Texts(msgspec.Struct, frozen=True):
    marked: frozenset[str]
    cover: Cover

    def of(self, what: PersonalText, text: str) -> str:
        is_personal = what in self.marked and _says_something(text)
        return self.cover.text(what.value, text) if is_personal else text


def _says_something(text: str) -> bool:
    return bool(text.strip()) and text != ERASED


def _work(command: _Reasoned | _Silent, texts: _Texts) -> DecisionCommand:
    match command:
        case ClaimDecision() | Assign() | Reprioritise() | Withdraw() | Supersede() | Cancel():
            return replace(command, reason=texts.of(PersonalText.REASON, command.reason))
        case (
            ReleaseClaim()
            | RenewClaim()
            | OfferHandover()
            | AcceptHandover()
            | PassMilestone()
            | Expire()
            | LapseOverride()
            | Redeem()
        ):
            return command
        case _:
            assert_never(command)


def _talk(
    command: RequestInformation | ProvideInformation | Comment | AttachEvidence, policy: Policy, texts: _Texts
) -> DecisionCommand:
    match command:
        case RequestInformation():
            return replace(command, question=texts.of(PersonalText.QUESTION, command.question))
        case ProvideInformation():
            item = None if command.item is None else _covered_item(command.item, policy, texts.cover)
            return replace(command, answer=texts.of(PersonalText.ANSWER, command.answer), item=item)
        case Comment():
            return replace(command, text=texts.of(PersonalText.COMMENT, command.text))
        case AttachEvidence():
            return replace(command, name=texts.of(PersonalText.EVIDENCE_NAME, command.name))
        case _:
            assert_never(command)


def _covered_item(item: Item, policy: Policy, cover: Cover) -> Item:
    pointers = tuple(mark for mark in policy.personal if mark.startswith("/"))
    if isinstance(item, ThreatAnalysis):
        return _covered_threat(item, frozenset(pointers), cover)

    def write(pointer: str, value: str) -> str:
        if value == f'"{ERASED}"':
            return value
        return msgspec.json.encode(cover.value(_field(pointer), value)).decode()

    return KindItem(name=item.name, payload=rewritten(item.payload, pointers, write))


def _covered_threat(item: ThreatAnalysis, pointers: frozenset[str], cover: Cover) -> ThreatAnalysis:
    fields: dict[str, str | tuple[str, ...]] = {}
    for pointer in sorted(pointers & BUILT_IN_TEXTS):
        text: str | None = getattr(item, pointer[1:])
        if text is not None and _says_something(text):
            fields[pointer[1:]] = cover.text(_field(pointer), text)
    for pointer in sorted(pointers & BUILT_IN_LISTS):
        listed: tuple[str, ...] = getattr(item, pointer[1:])
        fields[pointer[1:]] = tuple(
            cover.text(_field(f"{pointer}/{number}"), text) if _says_something(text) else text
            for number, text in enumerate(listed)
        )
    return replace(item, **fields)


def _field(pointer: str) -> str:
    return f"payload{pointer}"
