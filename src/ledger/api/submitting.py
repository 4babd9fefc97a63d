"""Submissions as they come in: the prototype's fields, or any kind with its payload."""

from datetime import datetime

import msgspec

from ledger.api import wire
from ledger.api.bodies import as_utc
from ledger.api.call import Call
from ledger.api.colleagues import person_named
from ledger.api.items import item_of, kind_state, payload_text, policy_of, registered, version_of
from ledger.command_handling.facts import Facts
from ledger.domain.authority import Authority
from ledger.domain.decision.commands import SubmitDecision
from ledger.domain.decision.events import Priority
from ledger.domain.decision.item import Item
from ledger.domain.ids import DecisionId, PersonId
from ledger.domain.terms import BUILT_IN_KIND
from ledger.store.ledger import Ledger


class Submission(msgspec.Struct, frozen=True, kw_only=True):
    """What was sent: an ``item`` that was read already, or the ``payload`` of a kind to read it by."""

    decision_id: DecisionId
    kind: str
    item: Item | None
    payload: str
    priority: Priority
    created_at: datetime
    on_behalf_of: PersonId | None = None

    def command(self, facts: Facts, ledger: Ledger, by: Authority) -> SubmitDecision:
        """Ask for the decision, by the kind and under the policy that hold at this moment.

        Raises:
            UnknownKind: nobody knows the kind.
            KindIsRetired: there are to be no more of it.
            InvalidPayload: the payload is not as the kind says.
        """
        kind = registered(self.kind, kind_state(facts, ledger, self.kind))
        return SubmitDecision(
            now=facts.now,
            by=by,
            decision_id=self.decision_id,
            item=item_of(self.payload, kind) if self.item is None else self.item,
            kind_version=version_of(kind),
            priority=self.priority,
            created_at=self.created_at,
            policy=policy_of(facts, ledger, self.kind),
            on_behalf_of=self.on_behalf_of,
        )


async def read_submission(call: Call) -> Submission:
    """Read the body: with ``kind`` and ``payload`` it is the general form, else the prototype's.

    Raises:
        InvalidRequest: fields are missing or wrong; they are named.
    """
    if await call.names_fields("kind", "payload"):
        return await _of_any_kind(call)
    given = await call.json(wire.Submission)
    return Submission(
        decision_id=wire.decision_id(given.analysis_id),
        kind=BUILT_IN_KIND,
        item=given.item(),
        payload="",
        priority=given.priority,
        created_at=as_utc(given.created_at, "created_at"),
    )


async def _of_any_kind(call: Call) -> Submission:
    given = await call.json(wire.KindSubmission)
    whose = given.on_behalf_of
    return Submission(
        decision_id=wire.decision_id(given.analysis_id),
        kind=given.kind,
        item=None,
        payload=payload_text(given.payload),
        priority=given.priority,
        created_at=as_utc(given.created_at, "created_at"),
        on_behalf_of=None if whose is None else await person_named(call, whose, "on_behalf_of"),
    )
