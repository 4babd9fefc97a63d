"""What the prototype kept reads as today's events: everything it said, and nothing it did not."""

import time
from datetime import datetime
from uuid import UUID

import msgspec
import pytest
from hypothesis import given, settings

from ledger.domain.account.events import AccountDeactivated, AccountRegistered
from ledger.domain.decision.events import (
    Choice,
    DecisionEscalated,
    DecisionResolved,
    DecisionSubmitted,
    EscalationCause,
    Outcome,
    VoteCast,
)
from ledger.domain.decision.item import subject_digest
from ledger.domain.event import Imported, type_name
from ledger.domain.terms import THREAT_ANALYSIS_POLICY, Policy
from ledger.store.codec import UnreadableEvent, decode
from ledger.upcasters.account import INACTIVE_BEFORE
from ledger.upcasters.decision import PROTOTYPE_POLICY
from ledger.upcasters.prototype import UNTOLD
from tests.upcasters.prototype_records import (
    as_utc,
    deactivations,
    escalations,
    registrations,
    stored,
    submissions,
    verdicts,
    votes,
)
from tools.golden import Golden

some = settings(max_examples=150, deadline=None)


def lifted(event_type, record):
    return decode((event_type,), type_name(event_type), 1, stored(record))


def as_read(record):
    return Imported(time_zone=record.imported.time_zone, is_assumed=record.imported.is_assumed)


@some
@given(submissions())
def test_every_submission_lifts(made):
    moment, record = made
    event = lifted(DecisionSubmitted, record)

    assert event.at == event.created_at == as_utc(moment, record, "created_at")
    assert event.at.utcoffset().total_seconds() == 0
    assert event.decision_id == record.analysis_id
    assert event.priority == record.priority
    for field in ("incident_id", "threat_level", "source_ip", "attributed_actor", "confidence", "iocs"):
        assert getattr(event.item, field) == getattr(record, field)
    for field in ("ttps", "recommended_actions", "forensic_summary"):
        assert getattr(event.item, field) == getattr(record, field)
    assert event.submitted_by == UUID(record.imported.submitted_by)
    assert (event.session, event.kind_version, event.imported) == (None, 1, as_read(record))
    assert event.policy == THREAT_ANALYSIS_POLICY
    assert event.subject_digest == subject_digest(event.decision_id, event.item, 1, event.priority)


@some
@given(votes)
def test_every_verdict_is_a_vote(made):
    moment, record = made
    event = lifted(VoteCast, record)

    assert event == VoteCast(
        at=as_utc(moment, record, "decided_at"),
        voter=UUID(record.decided_by),
        session=None,
        choice=Choice.APPROVE if record.status == "approved" else Choice.REJECT,
        approved_actions=record.approved_actions,
        notes=record.notes or "",
        subject_digest=record.imported.subject_digest,
        level=record.imported.level,
        lease_id=None,
        fencing_token=None,
        imported=as_read(record),
    )


@some
@given(verdicts)
def test_every_verdict_is_an_end(made):
    moment, record = made
    event = lifted(DecisionResolved, record)
    is_approved = record.status == "approved"

    assert event == DecisionResolved(
        at=as_utc(moment, record, "decided_at"),
        outcome=Outcome(record.status),
        decided_by=UUID(record.decided_by),
        approved_actions=record.approved_actions,
        notes=record.notes or "",
        subject_digest=record.imported.subject_digest,
        approvals=1 if is_approved else 0,
        rejections=0 if is_approved else 1,
        imported=as_read(record),
    )


@some
@given(escalations)
def test_every_escalation_lifts(made):
    moment, record = made
    event = lifted(DecisionEscalated, record)

    assert event == DecisionEscalated(
        at=as_utc(moment, record, "decided_at"),
        by=UUID(record.decided_by),
        session=None,
        cause=EscalationCause.PERSON,
        reason=record.escalation_reason or "",
        level=record.imported.level + 1,
        approved_actions=record.approved_actions,
        notes=record.notes or "",
        imported=as_read(record),
    )


@some
@given(registrations())
def test_every_user_is_an_account(made):
    moment, record = made
    event = lifted(AccountRegistered, record)

    assert event == AccountRegistered(
        at=as_utc(moment, record, "created_at"),
        person=UUID(record.person),
        role=record.role,
        commitment=record.imported.commitment,
        by=None,
        imported=as_read(record),
    )


@some
@given(deactivations())
def test_every_inactive_user_is_deactivated_when_the_import_saw_it(made):
    moment, record = made
    event = lifted(AccountDeactivated, record)

    assert event == AccountDeactivated(at=moment, by=None, reason=INACTIVE_BEFORE, imported=as_read(record))


def test_the_prototypes_rules_are_those_of_the_built_in_kind():
    assert msgspec.convert(PROTOTYPE_POLICY, Policy) == THREAT_ANALYSIS_POLICY


def test_nobody_can_be_the_person_whom_the_prototype_did_not_record():
    assert UUID(UNTOLD).version is None


@pytest.fixture
def elsewhere(monkeypatch):
    """A machine whose own clock is not at UTC."""
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("elsewhere")
def test_a_moment_is_the_same_wherever_the_machine_stands():
    event = decode((DecisionSubmitted,), "decision-submitted", 1, Golden().stored("decision-submitted", 1))

    assert event.at.isoformat() == "2025-12-06T20:11:02.649150+00:00"


@pytest.mark.usefixtures("elsewhere")
def test_a_time_of_neither_offset_nor_zone_is_utc():
    payload = msgspec.json.decode(Golden().stored("decision-submitted", 1))
    payload["imported"]["offsets"] = {}
    event = decode((DecisionSubmitted,), "decision-submitted", 1, msgspec.json.encode(payload))

    assert event.at == datetime.fromisoformat(payload["created_at"] + "+00:00")


def test_without_a_named_submitter_it_is_nobody():
    payload = msgspec.json.decode(Golden().stored("decision-submitted", 1))
    del payload["imported"]["submitted_by"]
    event = decode((DecisionSubmitted,), "decision-submitted", 1, msgspec.json.encode(payload))

    assert event.submitted_by == UUID(int=0)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("created_at", "yesterday"),
        ("created_at", "0001-01-01T00:00:00+14:00"),
        ("confidence", "high"),
        ("priority", "urgent"),
        ("imported", None),
    ],
)
def test_a_record_that_is_none_is_unreadable_not_guessed_at(field, value):
    payload = {**msgspec.json.decode(Golden().stored("decision-submitted", 1)), field: value}

    with pytest.raises(UnreadableEvent):
        decode((DecisionSubmitted,), "decision-submitted", 1, msgspec.json.encode(payload))


def test_an_answer_of_another_kind_is_unreadable():
    payload = {**msgspec.json.decode(Golden().stored("vote-cast", 1)), "status": "escalated"}

    with pytest.raises(UnreadableEvent):
        decode((VoteCast,), "vote-cast", 1, msgspec.json.encode(payload))
