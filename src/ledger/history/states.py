"""What a decision was at a moment, and who could have decided it: folded from the log up to there, and nothing else."""

from collections.abc import Sequence
from typing import Final

import msgspec

from ledger.domain.account.decide import ACCOUNT
from ledger.domain.account.state import Registered
from ledger.domain.authority import Authority
from ledger.domain.decider import fold
from ledger.domain.decision import rules
from ledger.domain.decision.decide import DECISION
from ledger.domain.decision.events import DecisionEvent
from ledger.domain.decision.rules import REVIEWERS
from ledger.domain.decision.state import DecisionState, InReview, Pending, is_overdue
from ledger.domain.errors import LedgerError, NotFound, Refused, RuleViolation
from ledger.domain.event import Utc, type_name
from ledger.domain.ids import PersonId, Position, StreamName, Version
from ledger.history.moments import Moment
from ledger.projections.decision_row import DecisionRow, evolve
from ledger.store.excerpts import read_log_of
from ledger.store.findings import Aim, Bounds, Sought, find_page
from ledger.store.history import read_stream_until
from ledger.store.ledger import Ledger
from ledger.store.pool import reading
from ledger.store.streams import Recorded, recorded

AT_ONCE: Final = 200
MOST_ACCOUNTS: Final = 5_000
REGISTERED: Final = "account-registered"


class NotYetSubmitted(NotFound):
    """At that moment nobody had asked for this decision: not found."""

    code = "not-yet-submitted"


class DecisionThen(msgspec.Struct, frozen=True, kw_only=True):
    """A decision as its events from ``first`` to ``last`` leave it: for the rules (``state``) and for people (``row``)."""

    version: Version
    first: Position
    last: Position
    state: DecisionState
    row: DecisionRow


class Reviewer(msgspec.Struct, frozen=True, kw_only=True):
    """An active analyst or administrator of a moment; ``hindered_by``: why they could not decide (``None``: they could)."""

    person: PersonId
    account: Registered
    hindered_by: str | None


class Reviewers(msgspec.Struct, frozen=True, kw_only=True):
    """Everybody who reviewed at a moment; ``is_complete`` unless there were too many accounts to look at."""

    found: tuple[Reviewer, ...]
    is_complete: bool


def as_left_by(events: Sequence[Recorded[DecisionEvent]]) -> DecisionThen:
    """Fold the first events of a decision.

    Raises:
        NotYetSubmitted: there are none.
    """
    row: DecisionRow | None = None
    for item in events:
        row = evolve(row, item)
    if row is None:
        raise NotYetSubmitted
    state = fold(DECISION, (item.event for item in events))
    return DecisionThen(
        version=events[-1].version,
        first=events[0].position,
        last=events[-1].position,
        state=state,
        row=row,
    )


async def decision_at(ledger: Ledger, name: StreamName, moment: Moment) -> DecisionThen:
    """Say what a decision was at a moment.

    Raises:
        NotYetSubmitted: nobody had asked for it.
        Corrupt: this release cannot read one of its events.
    """
    stream = await read_stream_until(ledger, name, position=moment.position)
    return as_left_by([recorded(stored, DECISION.event_types) for stored in stream.events])


async def reviewers_at(ledger: Ledger, then: DecisionState, moment: Moment) -> Reviewers:
    """Say who could have decided at a moment, and what kept the others from it; nobody once it had ended."""
    if not isinstance(then, Pending | InReview) or is_overdue(then.case, moment.time):
        return Reviewers(found=(), is_complete=True)
    streams, is_complete = await _accounts_at(ledger, moment.position)
    found = list[Reviewer]()
    for start in range(0, len(streams), AT_ONCE):
        for account in await _folded(ledger, streams[start : start + AT_ONCE], moment.position):
            if account.is_active and account.role in REVIEWERS:
                hindered = _hindrance(then, account, moment.time)
                found.append(Reviewer(person=account.person, account=account, hindered_by=hindered))
    return Reviewers(found=tuple(found), is_complete=is_complete)


async def _accounts_at(ledger: Ledger, upto: Position) -> tuple[list[StreamName], bool]:
    """Name the accounts that had been registered, as many as may be looked at."""
    aimed = Aim(Sought(types=(REGISTERED,)), Bounds(Position(0), upto))
    streams, behind = list[StreamName](), Position(0)
    while len(streams) < MOST_ACCOUNTS:
        page = await find_page(ledger, aimed, behind=behind, limit=AT_ONCE)
        streams += [event.stream for event in page.events]
        if page.next is None:
            return streams, True
        behind = page.next
    return streams, False


async def _folded(ledger: Ledger, streams: Sequence[StreamName], upto: Position) -> list[Registered]:
    types = [type_name(event_type) for event_type in ACCOUNT.event_types]
    async with reading(ledger.source) as conn:
        stored = await read_log_of(conn, ledger.ledger_id, streams, upto=upto, wanted=types)
    states = dict.fromkeys(streams, ACCOUNT.initial)
    for one in stored:
        states[one.stream] = ACCOUNT.evolve(states[one.stream], recorded(one, ACCOUNT.event_types).event)
    return [state for state in states.values() if isinstance(state, Registered)]


def _hindrance(then: Pending | InReview, account: Registered, now: Utc) -> str | None:
    """Ask the rules themselves."""
    by = Authority(
        person=account.person,
        session=None,
        role=account.role,
        is_lead=account.is_lead,
        is_active=account.is_active,
        session_is_live=True,
        stepped_up_at=None,
        groups=account.groups,
    )
    try:
        rules.must_be_eligible(then.case, by)
        rules.must_be_for(then.case, by)
        rules.must_be_free_for(by.person, then, now)
    except (RuleViolation, Refused) as hindrance:
        return _code(hindrance)
    return None


def _code(error: LedgerError) -> str:
    return error.code
