"""All that the ledger knows of one decision, put together for those who judge it."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Final

import msgspec

from ledger.cli.evidence.leaves import Leaf, Seal, leaves_of, seal_over
from ledger.cli.evidence.people import Participant, participants, people_in
from ledger.cli.evidence.signatures import Sessions, Signature, sessions_of, signatures
from ledger.domain.decider import fold
from ledger.domain.decision.decide import DECISION
from ledger.domain.decision.events import (
    DecisionEvent,
    DecisionSubmitted,
    EvidenceAttached,
    InformationProvided,
)
from ledger.domain.decision.item import Item, kind_of, payload_of
from ledger.domain.decision.state import Case, DecisionNotFound, DecisionState, case_of
from ledger.domain.ids import DecisionId, Digest, PersonId, Position, SessionId
from ledger.domain.session.decide import SESSION
from ledger.domain.session.events import SessionOpened, SessionStepUpCompleted
from ledger.history.timeline import Entry, timeline
from ledger.identity.keys import Keyring
from ledger.personal.keys import keys_named
from ledger.personal.opening import Opener
from ledger.personal.tokens import MARK, keys_in
from ledger.store.ledger import Ledger, session_stream
from ledger.store.pool import reading
from ledger.store.streams import Recorded, Stored, read_stream, read_streams, recorded

INDENT: Final = 2


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """An item as people were shown it from a position on, as JSON; ``digest`` names exactly that.

    Where text in it is sealed, ``is_sealed``, it names the item as it is stored, sealed.
    """

    position: Position
    kind: str
    item: str
    digest: Digest
    is_sealed: bool


class Story(msgspec.Struct, frozen=True, kw_only=True):
    """What happened to the decision; ``stored`` are the same events as they lie there."""

    decision: DecisionId
    stored: tuple[Stored, ...]
    events: tuple[Recorded[DecisionEvent], ...]
    submitted: DecisionSubmitted
    state: DecisionState

    @property
    def case(self) -> Case:
        """Give the facts that do not depend on how it stands."""
        return case_of(self.state)

    @property
    def first(self) -> Position:
        """Give the position of its first event."""
        return self.stored[0].position

    @property
    def last(self) -> Position:
        """Give the position of its last event."""
        return self.stored[-1].position


class Dossier(msgspec.Struct, frozen=True, kw_only=True):
    """One decision; text is opened as far as its keys are there, but for the payloads of ``leaves``.

    ``leaves`` are the decision's own events, ``supporting`` those that commit to names, and that show how people who
    signed had logged in.
    """

    story: Story
    made_at: datetime
    people: dict[PersonId, Participant]
    signatures: tuple[Signature, ...]
    timeline: tuple[Entry, ...]
    leaves: tuple[Leaf, ...]
    supporting: tuple[Leaf, ...]
    seal: Seal | None
    opener: Opener

    def shown(self) -> Iterator[Shown]:
        """List what people were shown, the first item and every other one that took its place."""
        for one in self.story.events:
            event = one.event
            if isinstance(event, DecisionSubmitted | InformationProvided) and event.item is not None:
                stored = _readable(event.item)
                yield Shown(
                    position=one.position,
                    kind=kind_of(event.item),
                    item=self.opener.json(stored),
                    digest=event.subject_digest,
                    is_sealed=MARK in stored,
                )

    def attached(self) -> list[EvidenceAttached]:
        """List the files that were attached."""
        events = (one.event for one in self.story.events)
        return [event for event in events if isinstance(event, EvidenceAttached)]


async def gather(ledger: Ledger, keyring: Keyring, decision: DecisionId, *, now: datetime) -> Dossier:
    """Read all about a decision, up to its last event.

    Raises:
        DecisionNotFound: nobody asked for it.
        Tampered: what the database holds is not what was sealed.
    """
    stored = (await read_stream(ledger, ledger.decision_stream(decision))).events
    if not stored:
        raise DecisionNotFound(decision_id=decision)
    async with reading(ledger.pool) as conn:
        seal = await seal_over(conn, ledger.ledger_id, stored[-1].position)
    leaves = await leaves_of(ledger, stored, seal)  # before any of it is believed
    story = _story(decision, stored)
    told = "".join((one.payload or b"").decode() for one in story.stored)
    found = Opener(await keys_named(ledger, keyring, keys_in(told)))
    known = await participants(ledger, people_in(one.event for one in story.events))
    sessions = await _sessions(ledger, sessions_of(story.events))
    supporting = [one.registration for one in known.values() if one.registration is not None]
    return Dossier(
        story=story,
        made_at=now,
        people=known,
        signatures=tuple(_opened(one, found) for one in signatures(story.events, sessions.events)),
        timeline=tuple(
            msgspec.structs.replace(entry, what=found.text(entry.what))
            for entry in await timeline(ledger, decision)
            if entry.position <= story.last
        ),
        leaves=leaves,
        supporting=await leaves_of(ledger, [*supporting, *sessions.stored], seal),
        seal=seal,
        opener=found,
    )


class _Sessions(msgspec.Struct, frozen=True):
    events: Sessions
    stored: list[Stored]


def _story(decision: DecisionId, stored: tuple[Stored, ...]) -> Story:
    events = tuple(recorded(one, DECISION.event_types) for one in stored)
    submitted = next((one.event for one in events if isinstance(one.event, DecisionSubmitted)), None)
    if submitted is None:
        raise DecisionNotFound(decision_id=decision)
    return Story(
        decision=decision,
        stored=stored,
        events=events,
        submitted=submitted,
        state=fold(DECISION, (one.event for one in events)),
    )


async def _sessions(ledger: Ledger, names: Sequence[SessionId]) -> _Sessions:
    """Read the sessions in which people signed; of their events, those that show how they had logged in."""
    streams = await read_streams(ledger, [session_stream(name) for name in names])
    events = {
        name: [recorded(one, SESSION.event_types) for one in streams[session_stream(name)].events]
        for name in names
    }
    telling = {
        one.position
        for session in events.values()
        for one in session
        if isinstance(one.event, SessionOpened | SessionStepUpCompleted)
    }
    stored = [one for stream in streams.values() for one in stream.events if one.position in telling]
    return _Sessions(events, stored)


def _opened(signature: Signature, found: Opener) -> Signature:
    return msgspec.structs.replace(signature, said=found.text(signature.said))


def _readable(item: Item) -> str:
    return msgspec.json.format(msgspec.json.encode(payload_of(item)), indent=INDENT).decode()
