"""Items as they are submitted: of which kind they are, whether they are as it says, and under which policy."""

import msgspec

from ledger.api import wire
from ledger.api.bodies import decode_json, text_of
from ledger.api.problems import InvalidRequest
from ledger.command_handling.facts import Facts
from ledger.domain.decision.item import Item, KindItem
from ledger.domain.errors import Invalid
from ledger.domain.ids import StreamName
from ledger.domain.kind.decide import KIND
from ledger.domain.kind.state import KindNotFound, KindState, Registered, known
from ledger.domain.policy.decide import POLICY
from ledger.domain.policy.state import terms_of
from ledger.domain.terms import BUILT_IN_KIND, BUILT_IN_VERSION, Policy
from ledger.payloads.checking import check_payload
from ledger.payloads.faults import Fault, InvalidPayload
from ledger.store.ledger import Ledger


class UnknownKind(Invalid):
    """Nobody knows this kind of item."""

    code = "unknown-kind"
    advice = "GET /api/kinds lists what there is; an administrator registers more."


def registered(kind: str, state: KindState) -> Registered | None:
    """Give a kind that can be submitted, whose stream says ``state``; ``None``: it is the built-in one.

    Raises:
        UnknownKind: nobody knows it.
        KindIsRetired: there are to be no more of them.
    """
    if kind == BUILT_IN_KIND:
        return None
    try:
        return known(state)
    except KindNotFound as unknown:
        raise UnknownKind(kind=kind) from unknown


def version_of(kind: Registered | None) -> int:
    """Number the version under which items of a kind are submitted."""
    return BUILT_IN_VERSION if kind is None else kind.version


def item_of(payload: str, kind: Registered | None) -> Item:
    """Read a payload as an item of its kind.

    Raises:
        InvalidPayload: it is not as its kind says; the places are named.
    """
    if kind is None:
        return _threat(payload)
    check_payload(payload, kind.schema)
    return KindItem(name=kind.name, payload=payload)


def streams_behind(ledger: Ledger, kind: str) -> tuple[StreamName, ...]:
    """Name the streams that a submission relies on, beside its submitter's."""
    policies = ledger.policy_stream(kind)
    return (policies,) if kind == BUILT_IN_KIND else (policies, ledger.kind_stream(kind))


def policy_of(facts: Facts, ledger: Ledger, kind: str) -> Policy:
    """Say which terms hold now, by the stream itself: the append checks that it is still so."""
    return terms_of(facts.state(POLICY, ledger.policy_stream(kind)), kind)


def kind_state(facts: Facts, ledger: Ledger, kind: str) -> KindState:
    """Say what its stream says of a kind; the built-in one has none."""
    return KIND.initial if kind == BUILT_IN_KIND else facts.state(KIND, ledger.kind_stream(kind))


def payload_text(raw: msgspec.Raw) -> str:
    """Take a payload as it was sent.

    Raises:
        InvalidRequest: it is not valid UTF-8.
    """
    return text_of(raw, "payload")


def _threat(payload: str) -> Item:
    try:
        return decode_json(payload.encode(), wire.ThreatPayload).item()
    except InvalidRequest as wrong:
        faults = [
            Fault("" if error.field == "body" else f"/{error.field}", error.message) for error in wrong.errors
        ]
        raise InvalidPayload(faults) from wrong
