"""The chain lifts one version at a time, and is checked as a whole at start."""

import pytest

from ledger.cli.composing import check_event_types
from ledger.upcasters.chain import CHAIN, BrokenChain, lifted, linked, validate, way
from ledger.upcasters.step import Json, Step
from tools.event_types import event_types


def a_v1_to_v2(payload: Json) -> Json:
    return {**payload, "name": "nobody"}


def a_v2_to_v3(payload: Json) -> Json:
    return {**payload, "count": 1}


FIRST = Step(type="a", version=1, lift=a_v1_to_v2)
SECOND = Step(type="a", version=2, lift=a_v2_to_v3)
TWO_STEPS = linked([FIRST, SECOND])


def test_a_payload_is_lifted_through_every_version_between():
    assert lifted({"x": 0}, [FIRST, SECOND]) == {"x": 0, "name": "nobody", "count": 1}


def test_the_way_begins_at_the_stored_version_and_ends_at_todays():
    assert way("a", 1, 3, TWO_STEPS) == (FIRST, SECOND)
    assert way("a", 2, 3, TWO_STEPS) == (SECOND,)
    assert way("a", 3, 3, TWO_STEPS) == ()


@pytest.mark.parametrize(("version", "current"), [(0, 3), (1, 4), (4, 3), (5, 3)])
def test_without_an_unbroken_way_there_is_none(version, current):
    assert way("a", version, current, TWO_STEPS) is None


def test_another_type_has_another_way():
    assert way("b", 1, 2, TWO_STEPS) is None


def test_a_step_is_named_after_its_function():
    assert FIRST.name() == "a_v1_to_v2"


def test_steps_are_found_by_the_type_and_version_that_they_begin_at():
    assert linked([FIRST, SECOND]) == {("a", 1): FIRST, ("a", 2): SECOND}


def test_two_steps_from_one_version_are_refused():
    with pytest.raises(BrokenChain) as refusal:
        linked([FIRST, SECOND, FIRST])

    assert str(refusal.value) == "a version 1 has two ways on"


@pytest.mark.parametrize("version", [0, 2, 11])
def test_a_step_that_leads_elsewhere_than_its_name_says_is_refused(version):
    with pytest.raises(BrokenChain) as refusal:
        linked([Step(type="a", version=version, lift=a_v1_to_v2)])

    assert str(refusal.value) == f"a_v1_to_v2 is listed as the way from version {version} of a"


def test_a_whole_chain_is_valid():
    validate({"a": 3, "b": 1}, TWO_STEPS)


@pytest.mark.parametrize(
    ("current", "broken"),
    [
        ({"b": 1}, "a is no event of this release"),
        ({"a": 2}, "a version 2 is not a past one: today's is 2"),
        ({"a": 4}, "a version 3 cannot be read: there is no step from it"),
        ({"a": 3, "b": 2}, "b version 1 cannot be read: there is no step from it"),
    ],
)
def test_an_orphan_an_overshoot_and_a_gap_stop_the_start(current, broken):
    with pytest.raises(BrokenChain) as refusal:
        validate(current, TWO_STEPS)

    assert str(refusal.value) == broken


def test_the_chain_of_this_release_is_whole():
    validate({name: event.schema_version for name, event in event_types().items()})
    check_event_types()


def test_the_check_at_start_knows_every_event_that_has_a_past():
    """A type that the check does not know would make its steps orphans."""
    assert {name for name, _ in CHAIN} <= event_types().keys()
