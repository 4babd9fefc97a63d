"""The words of an evidence page: who, by which rules, and all that they said."""

import pytest
from msgspec.structs import replace

from ledger.cli.evidence.people import Participant, described
from ledger.cli.evidence.signatures import _act
from ledger.cli.evidence.terms_told import sentences
from ledger.identity.people import Person, Record
from tests.builders.decision_events import escalated, submitted
from tests.builders.people import ANA, NOW


@pytest.mark.parametrize(("full_name", "told"), [("", "admin"), ("Ada", "Ada (admin)")])
def test_whoever_has_no_full_name_is_told_by_the_user_name_alone(full_name: str, told: str):
    record = Record(username="admin", email="", full_name=full_name)
    row = Person(person=ANA, record=record, salt=b"", created_at=NOW)
    assert described(ANA, {ANA: Participant(person=ANA, row=row, roles=(), registration=None)}) == told


@pytest.mark.parametrize(
    ("reason", "notes", "said"),
    [
        ("too large", "call the bank", "too large; notes: call the bank"),
        ("too large", "", "too large"),
        ("", "call the bank", "call the bank"),
        ("same", "same", "same"),
    ],
)
def test_an_escalation_is_signed_with_its_reason_and_its_notes(reason: str, notes: str, said: str):
    act = _act(escalated(reason=reason, notes=notes))
    assert act is not None
    assert act.said == said


@pytest.mark.parametrize(("count", "end"), [(1, "; 1 rejection ends it."), (2, "; 2 rejections end it.")])
def test_how_many_rejections_end_it_is_told(count: int, end: str):
    policy = replace(submitted().policy, rejections_needed=count)
    assert sentences(policy)[0].endswith(end)
