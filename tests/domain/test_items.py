import hashlib

import pytest
from msgspec.structs import replace

from ledger.domain.decision.events import Priority
from ledger.domain.decision.item import (
    Change,
    KindItem,
    Parameter,
    ParameterDoesNotFit,
    UnknownParameter,
    changed,
    kind_of,
    payload_of,
    subject_digest,
)
from ledger.domain.ids import DecisionId
from tests.builders import ITEM, SUSPECT

TRANSFER = KindItem(
    name="transfer", payload='{"to": "ACME", "amount": 900, "lines": [{"net": true}], "note": ""}'
)


def test_an_item_is_of_the_built_in_kind_or_of_the_one_it_names():
    assert kind_of(ITEM) == "threat_analysis"
    assert kind_of(TRANSFER) == "transfer"


def test_a_payload_does_not_repeat_the_kind():
    assert payload_of(ITEM) == {
        "threat_level": "high",
        "source_ip": "203.0.113.9",
        "confidence": 89.5,
        "iocs": ("evil.example",),
        "ttps": ("T1071",),
        "recommended_actions": ("block_ip",),
        "forensic_summary": "Beacons every 60 s.",
        "incident_id": None,
        "attributed_actor": None,
    }
    assert payload_of(TRANSFER) == {"to": "ACME", "amount": 900, "lines": [{"net": True}], "note": ""}


def test_the_digest_of_the_built_in_kind_is_that_of_earlier_releases():
    item = replace(ITEM, incident_id="INC-7", attributed_actor="APT Größe", iocs=())

    assert subject_digest(SUSPECT, item, 1, Priority.LOW) == (
        "50d02a3369742e8cf79134e880b9e365c84848637b6f54906cf2ff20cac9eea1"
    )


def test_the_digest_of_a_registered_kind_is_the_sha256_of_the_canonical_json_of_what_is_shown():
    shown = (
        '{"decision_id":"analysis-7","item":{"kind":"transfer","payload":'
        '{"amount":900,"lines":[{"net":true}],"note":"","to":"ACME"}},"kind_version":2,"priority":"low"}'
    )

    assert subject_digest(SUSPECT, TRANSFER, 2, Priority.LOW) == hashlib.sha256(shown.encode()).hexdigest()


def test_blanks_and_the_order_of_names_do_not_count():
    spaced = KindItem(name="transfer", payload='{ "a": {"x": 1, "y": 2}, "b": 3 }')
    dense = KindItem(name="transfer", payload='{"b":3,"a":{"y":2,"x":1}}')

    assert subject_digest(SUSPECT, spaced, 1, Priority.LOW) == subject_digest(SUSPECT, dense, 1, Priority.LOW)


@pytest.mark.parametrize(
    "other",
    [
        subject_digest(DecisionId("analysis-8"), TRANSFER, 1, Priority.LOW),
        subject_digest(SUSPECT, replace(TRANSFER, name="refund"), 1, Priority.LOW),
        subject_digest(SUSPECT, replace(TRANSFER, payload="{}"), 1, Priority.LOW),
        subject_digest(SUSPECT, TRANSFER, 2, Priority.LOW),
        subject_digest(SUSPECT, TRANSFER, 1, Priority.HIGH),
    ],
)
def test_whatever_a_person_is_shown_of_a_registered_kind_changes_the_digest(other):
    assert other != subject_digest(SUSPECT, TRANSFER, 1, Priority.LOW)


def test_a_changed_parameter_is_told_with_both_values():
    other, changes = changed(TRANSFER, (Parameter("/amount", "500"),))

    assert payload_of(other) == {"to": "ACME", "amount": 500, "lines": [{"net": True}], "note": ""}
    assert kind_of(other) == "transfer"
    assert changes == (Change(pointer="/amount", before="900", after="500"),)


def test_a_parameter_of_the_built_in_kind_is_changed_too():
    other, changes = changed(ITEM, (Parameter("/iocs", '["evil.example", "bad.example"]'),))

    assert other == replace(ITEM, iocs=("evil.example", "bad.example"))
    assert changes == (
        Change(pointer="/iocs", before='["evil.example"]', after='["evil.example","bad.example"]'),
    )


def test_several_parameters_are_changed_one_after_the_other():
    other, changes = changed(ITEM, (Parameter("/iocs", '["x", "y"]'), Parameter("/iocs/1", '"z"')))

    assert other == replace(ITEM, iocs=("x", "z"))
    assert changes == (
        Change(pointer="/iocs", before='["evil.example"]', after='["x","y"]'),
        Change(pointer="/iocs/1", before='"y"', after='"z"'),
    )


@pytest.mark.parametrize(
    "wish",
    [
        Parameter("/amount", "900"),
        Parameter("/amount", " 900 "),
        Parameter("/lines", '[ {"net": true} ]'),
        Parameter("", '{"note": "", "amount": 900, "to": "ACME", "lines": [{"net": true}]}'),
    ],
)
def test_the_same_json_changes_nothing(wish):
    assert changed(TRANSFER, (wish,)) == (TRANSFER, ())


def test_nothing_wished_changes_nothing():
    assert changed(TRANSFER, ()) == (TRANSFER, ())


def test_what_stays_the_same_does_not_hide_what_changes():
    _, changes = changed(TRANSFER, (Parameter("/amount", "900"), Parameter("/to", '"EMCA"')))

    assert changes == (Change(pointer="/to", before='"ACME"', after='"EMCA"'),)


def test_what_is_changed_and_changed_back_is_not_changed():
    assert changed(TRANSFER, (Parameter("/amount", "1"), Parameter("/amount", "900"))) == (TRANSFER, ())


@pytest.mark.parametrize(
    ("pointer", "before", "after"),
    [("/amount", "900", "900.0"), ("/lines", '[{"net":true}]', '[{"net":1}]'), ("/lines/0/net", "true", "1")],
)
def test_another_type_is_another_value(pointer, before, after):
    _, changes = changed(TRANSFER, (Parameter(pointer, after),))

    assert changes == (Change(pointer=pointer, before=before, after=after),)


def test_a_number_that_the_built_in_kind_reads_as_the_same_is_the_same():
    item = replace(ITEM, confidence=90.0)

    assert changed(item, (Parameter("/confidence", "90"),)) == (item, ())


@pytest.mark.parametrize("pointer", ["/account", "/lines/1", "/amount/0", "amount", "/~2"])
def test_a_parameter_that_the_item_does_not_have_is_refused_by_name(pointer):
    with pytest.raises(UnknownParameter) as refused:
        changed(TRANSFER, (Parameter("/amount", "1"), Parameter(pointer, "1")))

    assert refused.value.context == {"pointer": pointer}


def test_the_kind_is_no_parameter():
    with pytest.raises(UnknownParameter) as refused:
        changed(ITEM, (Parameter("/kind", '"registered"'),))

    assert refused.value.context == {"pointer": "/kind"}


@pytest.mark.parametrize("value", ['"very"', "null", "[]"])
def test_a_value_that_the_built_in_kind_cannot_have_is_refused_with_its_place(value):
    with pytest.raises(ParameterDoesNotFit) as refused:
        changed(ITEM, (Parameter("/source_ip", '"198.51.100.1"'), Parameter("/confidence", value)))

    assert refused.value.context == {"pointers": "/source_ip, /confidence"}


def test_the_whole_payload_of_the_built_in_kind_is_still_one_of_its_kind():
    with pytest.raises(ParameterDoesNotFit):
        changed(ITEM, (Parameter("", "[]"),))
