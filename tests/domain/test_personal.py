"""Which texts of commands are personal: those that the policy marks, all of them, and no other."""

import json
from typing import get_args

import msgspec
import pytest
from msgspec.structs import replace

from ledger.domain.decision.commands import DecisionCommand
from ledger.domain.decision.item import KindItem, ThreatAnalysis
from ledger.domain.decision.personal import ERASED, SubjectMissing, covered, subject_of
from ledger.domain.terms import BUILT_IN_LISTS, BUILT_IN_TEXTS, PersonalText
from tests.builders.decision_commands import cast_vote, escalate, submit
from tests.builders.decision_events import ITEM
from tests.builders.policies import terms
from tests.builders.workflow_commands import comment, provide_information, withdraw

ALL = tuple(PersonalText)
NO_TEXT_OF_ITS_OWN = {"media_type"}
LOAN = KindItem(name="loan", payload='{"who": {"id":  "ann"}, "sum": 1.50, "list": ["a", "b"], "n": 7}')


class Blots:
    """Writes down what it covers."""

    def __init__(self) -> None:
        self.found: list[tuple[str, str]] = []

    def text(self, field: str, text: str) -> str:
        self.found.append((field, text))
        return f"[{field}]"

    def value(self, field: str, json: str) -> str:
        return self.text(field, json)


def blotted(command, *personal, item=None, subject=None):
    policy = terms(personal=personal, subject=subject)
    return covered(command if item is None else replace(command, item=item), policy, Blots())


@pytest.mark.parametrize("kind", get_args(DecisionCommand), ids=lambda kind: kind.__name__)
def test_every_text_of_every_command_can_be_marked(kind):
    """A new text that nobody thought of here would stay readable for good."""
    fields = msgspec.structs.fields(kind)
    texts = {field.name for field in fields if field.type is str} - NO_TEXT_OF_ITS_OWN
    made = kind(**{field.name: "word" if field.name in texts else None for field in fields})
    if any(field.name == "item" for field in fields):
        made = replace(made, item=LOAN)

    changed = covered(made, terms(personal=ALL), Blots())

    assert {name for name in kind.__struct_fields__ if getattr(changed, name) != getattr(made, name)} == texts


def test_what_is_not_marked_stays():
    assert blotted(escalate(reason="up", notes="why"), PersonalText.NOTES) == escalate(
        reason="up", notes="[notes]"
    )
    assert blotted(comment(text="hello"), PersonalText.REASON, PersonalText.ANSWER) == comment(text="hello")


@pytest.mark.parametrize("text", ["", "  ", "\n\t", ERASED])
def test_what_says_nothing_about_anybody_stays(text):
    assert blotted(cast_vote(notes=text), *ALL).notes == text
    assert blotted(withdraw(reason=text), *ALL).reason == text


def test_parts_of_a_payload_are_covered_and_the_rest_stays_as_it_was_written():
    command = blotted(submit(), "/who", "/list/1", "/n", "/none", "/sum/none", item=LOAN)

    assert command.item.payload == (
        '{"who": "[payload/who]", "sum": 1.50, "list": ["a", "[payload/list/1]"], "n": "[payload/n]"}'
    )


def test_a_part_that_says_erased_stays():
    item = KindItem(name="loan", payload='{"who": "erased", "n": "Erased"}')

    assert blotted(provide_information(), "/who", "/n", item=item).item.payload == (
        '{"who": "erased", "n": "[payload/n]"}'
    )


def test_an_answer_without_an_item_has_none():
    assert blotted(provide_information(), "/who").item is None


def test_texts_of_the_built_in_kind_are_covered_and_lists_element_by_element():
    item = replace(ITEM, iocs=("a", "", "b"), source_ip="192.0.2.1", incident_id=None)

    found = blotted(submit(), "/iocs", "/source_ip", "/incident_id", item=item).item

    assert found == replace(
        item, iocs=("[payload/iocs/0]", "", "[payload/iocs/2]"), source_ip="[payload/source_ip]"
    )


def test_what_can_be_sealed_of_the_built_in_kind_is_what_it_has():
    types = {field.name: field.type for field in msgspec.structs.fields(ThreatAnalysis)}

    assert {f"/{name}" for name, kind in types.items() if kind in (str, str | None)} == BUILT_IN_TEXTS
    assert {f"/{name}" for name, kind in types.items() if kind == tuple[str, ...]} == BUILT_IN_LISTS


def test_the_subject_is_who_the_payload_says_or_else_the_decision():
    assert subject_of(LOAN, terms(subject="/who/id"), "L-1") == "ann"
    assert subject_of(LOAN, terms(subject="/n"), "L-1") == "7"
    assert subject_of(ITEM, terms(subject="/source_ip"), "L-1") == ITEM.source_ip
    assert subject_of(LOAN, terms(), "L-1") == "decision/L-1"


@pytest.mark.parametrize(
    "name", [None, True, 1.5, "", " ", [], {}, "decision/L-2", "x" * 501, "missing"], ids=repr
)
def test_a_payload_that_does_not_name_its_subject_is_refused(name):
    payload = {} if name == "missing" else {"id": name}
    item = KindItem(name="loan", payload=json.dumps(payload))

    with pytest.raises(SubjectMissing) as refused:
        subject_of(item, terms(subject="/id"), "L-1")

    assert refused.value.context == {"pointer": "/id"}
