"""Who signed what, with which meaning, and how it was known that it was they (21 CFR 11.50)."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

import msgspec

from ledger.domain.decision.events import (
    Choice,
    DecisionCancelled,
    DecisionEscalated,
    DecisionEvent,
    DecisionOverridden,
    DecisionWithdrawn,
    OverrideCountersigned,
    VoteCast,
)
from ledger.domain.ids import Digest, PersonId, Position, SessionId
from ledger.domain.session.events import (
    Factor,
    SessionEvent,
    SessionOpened,
    SessionStepUpCompleted,
)
from ledger.domain.session.state import SECOND_FACTORS
from ledger.store.streams import Recorded

MEANINGS = {
    Choice.APPROVE: "approval",
    Choice.REJECT: "rejection",
    Choice.ABSTAIN: "review, without a verdict",
}
FACTORS = {
    Factor.PASSWORD: "password",
    Factor.TOTP: "one-time code",
    Factor.BACKUP_CODE: "backup code",
}
NOT_KNOWN = "not known: another system recorded it, before this ledger took it over"
FRESH = (
    "a session of theirs in which a second factor had been proven within 5 minutes: the rule for this act; "
    "its event does not name the session"
)
UNNAMED = "a session of theirs; its event does not name it"


class Signature(msgspec.Struct, frozen=True, kw_only=True):
    """An act of a person on a decision, with what they meant by it; ``digest`` names what they were shown."""

    position: Position
    person: PersonId
    at: datetime
    meaning: str
    said: str
    authentication: str
    digest: Digest | None


class _Act(msgspec.Struct, frozen=True, kw_only=True):
    person: PersonId
    meaning: str
    said: str
    session: SessionId | None
    digest: Digest | None = None
    without_session: str = UNNAMED


Sessions = Mapping[SessionId, Sequence[Recorded[SessionEvent]]]


def signatures(events: Sequence[Recorded[DecisionEvent]], sessions: Sessions) -> Iterator[Signature]:
    """List what people signed, in order."""
    for item in events:
        act = _act(item.event)
        if act is not None:
            yield Signature(
                position=item.position,
                person=act.person,
                at=item.event.at,
                meaning=act.meaning,
                said=act.said,
                authentication=_authentication(act, item, sessions),
                digest=act.digest,
            )


def sessions_of(events: Sequence[Recorded[DecisionEvent]]) -> list[SessionId]:
    """Name the sessions in which people signed, each once."""
    acts = [act for item in events if (act := _act(item.event)) is not None]
    return list(dict.fromkeys(act.session for act in acts if act.session is not None))


def _act(event: DecisionEvent) -> _Act | None:  # noqa: PLR0911 - one for each event
    """Say what a person meant by an event; ``None``: it is no signature."""
    match event:
        case VoteCast():
            return _vote(event)
        case DecisionEscalated():
            return _escalation(event)
        case DecisionOverridden():
            return _Act(
                person=event.by,
                meaning=f"override of all rules: {event.outcome.value}",
                said=f"{event.ticket}: {event.reason}",
                session=event.session,
                digest=event.subject_digest,
            )
        case OverrideCountersigned():
            meaning = "countersignature of the override"
            return _Act(
                person=event.by, meaning=meaning, said=event.notes, session=None, without_session=FRESH
            )
        case DecisionCancelled():
            return _Act(person=event.by, meaning="cancellation", said=event.reason, session=None)
        case DecisionWithdrawn():
            return _Act(
                person=event.by,
                meaning="withdrawal by whoever asked",
                said=event.reason,
                session=None,
                without_session="a session or an API key of theirs; its event does not name it",
            )
        case _:
            return None


def _vote(event: VoteCast) -> _Act:
    changed = " with changes" if event.changes else ""
    return _Act(
        person=event.voter,
        meaning=f"{MEANINGS[event.choice]}{changed}",
        said=event.notes,
        session=event.session,
        digest=event.subject_digest,
        without_session=UNNAMED if event.imported is None else NOT_KNOWN,
    )


def _escalation(event: DecisionEscalated) -> _Act | None:
    if event.by is None:
        return None
    return _Act(
        person=event.by,
        meaning=f"escalation to level {event.level}",
        said="; notes: ".join(dict.fromkeys(words for words in (event.reason, event.notes) if words)),
        session=event.session,
        without_session=UNNAMED if event.imported is None else NOT_KNOWN,
    )


def _authentication(act: _Act, item: Recorded[DecisionEvent], sessions: Sessions) -> str:
    """Say how it was known that it was they, as the session stood at the signature."""
    if act.session is None:
        return act.without_session
    before = [one.event for one in sessions.get(act.session, ()) if one.position < item.position]
    opened = next((event for event in before if isinstance(event, SessionOpened)), None)
    if opened is None:
        return f"session {act.session}; how it was opened is not known"
    factors = " and ".join(FACTORS[factor] for factor in opened.factors)
    told = f"session {act.session}, opened {opened.at:%Y-%m-%d %H:%M:%S} UTC with {factors}"
    proven = _proven(opened, before)
    if proven is None:
        return f"{told}; no second factor was proven in it"
    seconds = max(0, round((item.event.at - proven).total_seconds()))
    return f"{told}; second factor last proven {seconds:,} s before"


def _proven(opened: SessionOpened, before: Sequence[SessionEvent]) -> datetime | None:
    steps = [event.at for event in before if isinstance(event, SessionStepUpCompleted)]
    if steps:
        return steps[-1]
    return None if SECOND_FACTORS.isdisjoint(opened.factors) else opened.at
