"""What was, in the words of the wire: a decision and a queue at a moment, and what hangs together."""

import msgspec

from ledger.api import wire
from ledger.api.history.wire import proof_of
from ledger.domain.authority import Role
from ledger.domain.decision.state import Status
from ledger.domain.event import Utc
from ledger.domain.ids import CommandId, DecisionId, EventId, PersonId, Position, StreamName, Version
from ledger.domain.terms import Policy
from ledger.history.chains import Link, Relation
from ledger.history.states import Reviewer
from ledger.store.envelope import timestamp
from ledger.webhooks.deliveries import Sent


class MomentTold(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Everything up to ``position`` had happened, and it was ``time``; the stream was at ``version``."""

    position: Position
    time: Utc
    version: Version | None = None


class ReviewerTold(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody who reviewed decisions at that moment; ``hindered_by`` is the code of what kept them from this one.

    ``null``: they could have decided it.
    """

    person: PersonId
    username: str
    role: Role
    is_lead: bool
    groups: tuple[str, ...]
    hindered_by: str | None


class DecisionThenTold(msgspec.Struct, frozen=True, kw_only=True):
    """A decision as it was at a moment.

    ``decision`` is what ``GET /api/decisions/{id}`` would have answered, ``answer`` what ``…/response`` would have
    (``null``: nothing yet), ``policy`` the terms it was decided under. ``reviewers`` are there while it was open:
    everybody who was one at that moment, unless ``reviewers_complete`` is false.
    """

    decision_id: DecisionId
    stream: StreamName
    at: MomentTold
    status: Status
    decision: wire.JsonObject
    answer: wire.Response | None
    policy: Policy
    reviewers: tuple[ReviewerTold, ...]
    reviewers_complete: bool


class QueueThenTold(msgspec.Struct, frozen=True, kw_only=True):
    """The queue as it was: ``total`` decisions in all; the next page is the same call with ``cursor`` = ``next``."""

    at: MomentTold
    total: int
    items: tuple[wire.JsonObject, ...]
    next: str | None


class LinkTold(msgspec.Struct, frozen=True, kw_only=True):
    """An event that hangs together with what was asked for, and why.

    ``own``: it is of the decision itself; ``same-trace``: of a request that shares a trace with one of it; ``cause``
    and ``effect``: by causation; ``superseded-by`` and ``supersedes``: of the decision asked for instead, or of the one
    that this stands instead of.
    """

    position: Position
    event_id: EventId
    stream: StreamName
    version: Version
    type: str
    recorded_at: str
    actor: str
    relations: tuple[Relation, ...]
    decision_id: DecisionId | None
    what: str | None
    command_id: CommandId
    causation_id: EventId | None
    correlation_id: str
    leaf_hash: str
    proof: str


class ChainTold(msgspec.Struct, frozen=True, kw_only=True):
    """What hangs together, in the order of the ledger; a thousand events of one relation are told at most.

    ``deliveries`` are what webhooks were told of these events, while that is remembered.
    """

    links: tuple[LinkTold, ...]
    deliveries: tuple[Sent, ...]
    is_complete: bool
    people: dict[str, str]


def link_told(link: Link) -> LinkTold:
    """Write an event of a chain."""
    event = link.stored
    return LinkTold(
        position=event.position,
        event_id=event.event_id,
        stream=event.stream,
        version=event.version,
        type=event.type,
        recorded_at=timestamp(event.recorded_at),
        actor=event.actor,
        relations=link.relations,
        decision_id=link.decision,
        what=link.what,
        command_id=event.command_id,
        causation_id=event.causation_id,
        correlation_id=event.correlation_id,
        leaf_hash=event.leaf.hex(),
        proof=proof_of(event.event_id),
    )


def reviewer_told(reviewer: Reviewer, username: str) -> ReviewerTold:
    """Write a reviewer."""
    account = reviewer.account
    return ReviewerTold(
        person=reviewer.person,
        username=username,
        role=account.role,
        is_lead=account.is_lead,
        groups=account.groups,
        hindered_by=reviewer.hindered_by,
    )
