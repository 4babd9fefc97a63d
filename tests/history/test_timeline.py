"""The history of a decision in sentences."""

from ledger.domain.decision.events import ReleaseCause
from ledger.domain.ids import DecisionId
from ledger.domain.terms import Action
from ledger.history.timeline import timeline
from ledger.identity import people
from ledger.identity.people import Person, Record
from ledger.store.ledger import Ledger
from ledger.store.pool import Connection
from tests.builders.decision_events import (
    SUSPECT,
    claimed,
    escalated,
    released,
    renewed,
    resolved,
    submitted,
    voted,
)
from tests.builders.people import ANA, BEN, ENGINE, NOW
from tests.support.recorded import happened


async def known(ledger: Ledger, conn: Connection) -> None:
    for person, name in ((ENGINE, "engine"), (ANA, "ana")):
        record = Record(username=name, email="", full_name="")
        row = Person(person=person, record=record, salt=bytes(32), created_at=NOW)
        await people.insert(conn, ledger.ledger_id, row)


async def test_every_event_is_a_sentence_with_its_place(ledger: Ledger):
    async with ledger.pool.acquire() as conn:
        await known(ledger, conn)
    last = await happened(
        ledger,
        ledger.decision_stream(SUSPECT),
        submitted(),
        claimed(by=ANA),
        renewed(by=ANA),
        released(by=None, cause=ReleaseCause.SESSION_ENDED),
        escalated(by=ANA, reason="too large for me"),
        voted(by=BEN, actions=(Action.BLOCK_IP, Action.CUSTOM), notes="yes"),
        resolved(by=BEN),
    )
    told = await timeline(ledger, SUSPECT)
    assert [(entry.who, entry.what) for entry in told] == [
        ("engine", "submitted it, high, 89.5 % sure"),
        ("ana", "took it until 2026-03-02 09:05:00 UTC"),
        ("ana", "keeps it until 2026-03-02 09:05:00 UTC"),
        ("nobody (a timer)", "gave it back (session ended)"),
        ("ana", "moved it up to level 1: “too large for me”"),
        ("somebody erased", "voted to approve block_ip, custom: “yes”"),
        ("somebody erased", "settled it: approved"),
    ]
    assert [entry.position for entry in told] == list(range(last - 6, last + 1))
    assert {len(entry.leaf) for entry in told} == {64}


async def test_what_nobody_submitted_has_no_history(ledger: Ledger):
    assert await timeline(ledger, DecisionId("nothing")) == []
