"""What an item may become after it was submitted: another one of its kind, checked as submissions are."""

from datetime import datetime

import msgspec

from ledger.api.call import Call
from ledger.api.desk import row_of
from ledger.api.items import item_of
from ledger.domain.decider import fold
from ledger.domain.decision.item import (
    Item,
    Parameter,
    ParameterDoesNotFit,
    UnknownParameter,
    changed,
    payload_of,
)
from ledger.domain.decision.state import DecisionState, InReview, Pending, is_overdue
from ledger.domain.ids import DecisionId
from ledger.domain.kind.decide import KIND
from ledger.domain.kind.state import KindNotFound, Registered, Unregistered
from ledger.domain.terms import BUILT_IN_KIND
from ledger.personal.covering import SubjectErased
from ledger.personal.opening import Opener, opener
from ledger.store.streams import read_stream, recorded


class Shape(msgspec.Struct, frozen=True):
    """What items of a decision's kind look like, at the version it was submitted under (``None``: the built-in one).

    ``opener`` holds the key of what is sealed in its item.
    """

    kind: Registered | None
    opener: Opener

    def item_of(self, payload: str) -> Item:
        """Read a payload as an item.

        Raises:
            InvalidPayload: it is not as its kind says; the places are named.
        """
        return item_of(payload, self.kind)

    def must_fit(self, state: DecisionState, parameters: tuple[Parameter, ...], now: datetime) -> None:
        """Refuse parameters with which an open item could not have been submitted; who may change what is not asked.

        Raises:
            InvalidPayload: naming the places in the payload as it would be.
            SubjectErased: a part of it is gone, so that nobody can say whether the whole would fit.
        """
        if not isinstance(state, Pending | InReview) or is_overdue(state.case, now):
            return  # the decider says why nothing can be changed any more
        try:
            item, changes = changed(state.case.item, parameters)
        except (UnknownParameter, ParameterDoesNotFit):
            return  # as does it here, after everything else that may forbid it
        if not changes:
            return
        payload = msgspec.json.encode(payload_of(item)).decode()
        if not self.opener.can_open(payload):
            raise SubjectErased(decision_id=state.case.decision_id)
        self.item_of(self.opener.json(payload))


async def shape_of(call: Call, wanted: DecisionId) -> Shape:
    """Look up what a decision's item must look like; a version of a kind never changes, so that no append relies on it.

    Raises:
        DecisionNotFound: it is not there, or not theirs to know of.
    """
    row = await row_of(call, wanted)
    found = await opener(call.services.identity, row.submission.decode())
    if row.kind == BUILT_IN_KIND:
        return Shape(None, found)
    ledger = call.services.ledger
    stored = (await read_stream(ledger, ledger.kind_stream(row.kind))).events
    kind = fold(KIND, (recorded(one, KIND.event_types).event for one in stored))
    if isinstance(kind, Unregistered):
        raise KindNotFound(kind=row.kind)
    return Shape(
        Registered(name=kind.name, title=kind.title, schemas=kind.schemas[: row.kind_version]), found
    )
