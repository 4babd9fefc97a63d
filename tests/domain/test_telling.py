"""What happened, as people read it."""

from typing import get_args
from uuid import UUID

import pytest
from msgspec.structs import replace

from ledger.domain.decision.events import (
    Choice,
    DecisionEvent,
    EscalationCause,
    InvalidationCause,
    Milestone,
    Outcome,
    ReleaseCause,
)
from ledger.domain.decision.item import Change, KindItem
from ledger.domain.decision.telling import what, who
from ledger.domain.ids import BulkId
from ledger.domain.terms import Action, DefaultOutcome
from tests.builders import (
    ADA,
    ANA,
    BEN,
    ENGINE,
    ITEM,
    LEA,
    claimed,
    escalated,
    released,
    renewed,
    resolved,
    submitted,
    voted,
)
from tests.builders.workflow_events import (
    assigned,
    cancelled,
    commented,
    countersigned,
    evidence_attached,
    information_provided,
    information_requested,
    milestone_passed,
    offered,
    outcome_reported,
    overridden,
    override_lapsed,
    redeemed,
    reprioritised,
    superseded,
    timed_out,
    votes_invalidated,
    withdrawn,
)

CHANGE = Change(pointer="/iocs", before="[]", after='["x"]')
TRANSFER = KindItem(name="transfer", payload="{}")
NOBODY = None
TOGETHER = BulkId(UUID(int=80_000))

TOLD = [
    (submitted(), ENGINE, "submitted it, high, 89.5 % sure"),
    (submitted(item=TRANSFER), ENGINE, "submitted it, high, transfer"),
    (submitted(item=replace(ITEM, confidence=90.0)), ENGINE, "submitted it, high, 90 % sure"),
    (claimed(by=ANA), ANA, "took it until 2026-03-02 09:05:00 UTC"),
    (renewed(by=ANA, seconds=600), ANA, "keeps it until 2026-03-02 09:10:00 UTC"),
    (released(by=ANA), ANA, "gave it back (released)"),
    (
        released(by=LEA, holder=ANA, cause=ReleaseCause.TAKEN_OVER, reason="busy"),
        LEA,
        "gave it back (taken over): “busy”",
    ),
    (
        released(by=None, holder=ANA, cause=ReleaseCause.SESSION_ENDED),
        NOBODY,
        "gave it back (session ended)",
    ),
    (offered(by=ANA, to=BEN), ANA, "offered it to a colleague"),
    (assigned(to=ANA, by=LEA), LEA, "assigned it to one person: “knows it”"),
    (assigned(to=None, by=LEA, reason="away"), LEA, "assigned it to everybody again: “away”"),
    (reprioritised(by=LEA), LEA, "made it critical: “it spreads”"),
    (voted(by=ANA), ANA, "voted to approve block_ip"),
    (voted(choice=Choice.REJECT, actions=(), notes="no"), ANA, "voted to reject: “no”"),
    (replace(voted(actions=()), bulk=TOGETHER), ANA, "voted to approve, with others"),
    (
        replace(assigned(to=ANA, by=LEA), bulk=TOGETHER),
        LEA,
        "assigned it to one person, with others: “knows it”",
    ),
    (voted(choice=Choice.ABSTAIN, actions=()), ANA, "voted to abstain"),
    (
        voted(changes=(CHANGE,), actions=(Action.BLOCK_IP, Action.CUSTOM), notes="milder"),
        ANA,
        "voted to approve with changes block_ip, custom: “milder”",
    ),
    (resolved(by=ANA, outcome=Outcome.REJECTED), ANA, "settled it: rejected"),
    (escalated(by=ANA), ANA, "moved it up to level 1: “beyond me”"),
    (escalated(by=ANA, notes="call"), ANA, "moved it up to level 1: “beyond me”; notes: “call”"),
    (
        escalated(by=None, level=2, cause=EscalationCause.HALF_TIME, reason=""),
        NOBODY,
        "moved it up to level 2 (half time)",
    ),
    (
        votes_invalidated(InvalidationCause.SUBJECT_CHANGED),
        NOBODY,
        "voided the votes so far (subject changed)",
    ),
    (milestone_passed(Milestone.HALF_TIME), NOBODY, "passed a milestone (half time)"),
    (information_requested(by=ANA), ANA, "asked the submitter: “Which host?”"),
    (information_provided(), ENGINE, "answered: “The build host.”"),
    (information_provided(item=ITEM), ENGINE, "answered: “The build host.”, and changed the item"),
    (commented(by=BEN), BEN, "said: “Seen before.”"),
    (evidence_attached(by=BEN), BEN, "attached capture.pcap, 2,048 bytes"),
    (withdrawn(), ENGINE, "withdrew it"),
    (withdrawn(reason="a false alarm"), ENGINE, "withdrew it: “a false alarm”"),
    (superseded(), ENGINE, "asked for analysis-8 instead"),
    (superseded(reason="more is known"), ENGINE, "asked for analysis-8 instead: “more is known”"),
    (cancelled(), ADA, "cancelled it: “a test”"),
    (timed_out(), NOBODY, "let it expire, unseen: deny"),
    (timed_out(human_seen=True, default=DefaultOutcome.APPROVE), NOBODY, "let it expire: approve"),
    (overridden(), ADA, "overrode all rules: approved, INC-7: “nobody else is awake”"),
    (countersigned(by=LEA), LEA, "countersigned the override"),
    (countersigned(by=LEA, notes="yes"), LEA, "countersigned the override: “yes”"),
    (override_lapsed(), NOBODY, "let the override lapse"),
    (redeemed(), ENGINE, "redeemed the approval"),
    (outcome_reported(), ENGINE, "reported success"),
    (outcome_reported(succeeded=False, details="no route"), ENGINE, "reported failure: “no route”"),
]


@pytest.mark.parametrize(("event", "person", "sentence"), TOLD, ids=lambda value: type(value).__name__)
def test_it_is_told_who_did_what(event, person, sentence):
    assert who(event) == person
    assert what(event) == sentence


def test_every_event_is_told():
    assert {type(event) for event, _, _ in TOLD} == set(get_args(DecisionEvent))
