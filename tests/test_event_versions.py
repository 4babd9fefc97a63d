"""The lock on the storage format: what changes without a version is told, and how to make it right."""

from datetime import UTC, datetime
from typing import ClassVar

import msgspec
import pytest
from msgspec.structs import replace

from ledger.domain.decider import Decider
from ledger.domain.event import Event
from ledger.upcasters import chain
from ledger.upcasters.step import Step
from tools.event_versions import findings, record, unrecorded
from tools.golden import Golden, as_recorded
from tools.shapes import difference, example_of, shape_of
from tools.upcaster_scaffold import scaffold


class Noted(Event, frozen=True, kw_only=True, tag="noted"):
    text: str
    count: int


class NotedMore(Event, frozen=True, kw_only=True, tag="noted"):
    text: str
    count: int
    by: str | None = None


class NotedAtLength(Event, frozen=True, kw_only=True, tag="noted"):
    text: str
    count: int
    length: int


class NotedOtherwise(Event, frozen=True, kw_only=True, tag="noted"):
    words: str
    count: float


class NotedAgain(Event, frozen=True, kw_only=True, tag="noted"):
    schema_version: ClassVar[int] = 2

    words: str
    count: float


class Quiet(msgspec.Struct, frozen=True, tag="quiet"):
    """Nothing is noted."""


class Full(msgspec.Struct, frozen=True, tag="full"):
    text: str


def noted_v1_to_v2(payload):
    return {"type": "noted", "at": payload["at"], "words": payload["text"], "count": float(payload["count"])}


CHAIN = {("noted", 1): Step(type="noted", version=1, lift=noted_v1_to_v2)}


def notebook(state_type=Quiet, version=1):
    return Decider(
        category="notebook",
        event_types=(Noted,),
        state_type=state_type,
        initial=Quiet(),
        decide=lambda *_: (),
        evolve=lambda state, _: state,
        version=version,
    )


@pytest.fixture
def golden(tmp_path):
    """A folder in which ``noted`` is recorded."""
    found = Golden(tmp_path)
    list(record(found, "noted", Noted))
    return found


@pytest.fixture
def past(monkeypatch):
    """A release in which ``noted`` has a past."""
    monkeypatch.setattr(chain.way, "__defaults__", (CHAIN,))


def told(golden, event):
    return "\n".join(findings(golden, {"noted": event}, {}, CHAIN))


def test_what_is_recorded_is_not_spoken_of(golden):
    assert told(golden, Noted) == ""


def test_a_new_type_is_told_the_command_that_records_it(tmp_path):
    assert "run 'make event-version NAME=noted'" in told(Golden(tmp_path), Noted)


def test_a_field_with_a_default_asks_only_to_be_recorded(golden):
    found = told(golden, NotedMore)

    assert "by is new, with a default" in found
    assert "Way 1 applies" in found
    assert "make event-version NAME=noted" in found

    list(record(golden, "noted", NotedMore))
    assert told(golden, NotedMore) == ""


def test_a_required_field_has_all_three_ways_out(golden):
    found = told(golden, NotedAtLength)

    assert "length is new, and required" in found
    assert "Way 1, new fields with a default and nothing else: applies if there is a default" in found
    assert "Way 2, a new version: set schema_version to 2, run 'make event-version NAME=noted'" in found
    assert "Way 3, another fact" in found


def test_a_field_that_is_gone_or_another_needs_a_new_version_or_a_new_type(golden):
    found = told(golden, NotedOtherwise)

    assert "text is gone" in found
    assert "count is another" in found
    assert "Way 1, new fields with a default and nothing else: does not apply" in found


def test_a_changed_shape_is_not_recorded_under_its_old_version(golden):
    before = golden.recorded("noted")

    assert "has changed under version 1" in "\n".join(record(golden, "noted", NotedOtherwise))
    assert golden.recorded("noted") == before


def test_a_raised_version_without_a_golden_file_is_told(golden):
    assert "is at version 2 and has golden files up to 1" in told(golden, NotedAgain)


@pytest.mark.usefixtures("past")
def test_a_version_that_falls_is_told(golden):
    list(record(golden, "noted", NotedAgain, CHAIN))

    assert "was at version 2 before" in told(golden, Noted)


@pytest.mark.usefixtures("past")
def test_a_new_version_gets_a_golden_file_beside_the_old_ones(golden):
    old = golden.stored("noted", 1)
    list(record(golden, "noted", NotedAgain, CHAIN))

    assert golden.stored("noted", 1) == old
    assert golden.recorded("noted").golden.keys() == {"v1.json", "v2.json"}
    assert told(golden, NotedAgain) == ""


def test_a_golden_file_that_was_edited_is_told(golden):
    path = golden.path("noted", 1)
    path.write_bytes(path.read_bytes().replace(b"3", b"4"))

    assert "noted/v1.json is not as it was stored: golden files are never edited" in told(golden, Noted)


def test_a_golden_file_that_was_lost_is_told(golden):
    golden.path("noted", 1).unlink()

    assert "noted/v1.json is not as it was stored" in told(golden, Noted)


def test_a_golden_file_that_was_slipped_in_is_told(golden):
    golden.path("noted", 2).write_bytes(b"{}")

    assert "noted/v2.json is not recorded" in told(golden, Noted)


@pytest.mark.usefixtures("past")
def test_a_past_version_without_a_golden_file_is_told(tmp_path):
    golden = Golden(tmp_path)
    list(record(golden, "noted", NotedAgain, CHAIN))

    assert "noted/v1.json is missing" in told(golden, NotedAgain)


def test_a_type_that_was_taken_away_is_told(golden):
    found = "\n".join(findings(golden, {}, {}))

    assert "noted has golden files and is no event of this release" in found


def test_a_golden_file_is_the_very_bytes_of_an_event(golden):
    event = msgspec.json.decode(golden.stored("noted", 1), type=Noted)

    assert event.at == datetime(2026, 3, 2, 9, 0, 0, 123456, tzinfo=UTC)
    assert golden.current("noted", 1) == as_recorded(event)


def test_a_state_that_changes_under_its_version_is_told(golden):
    golden.write_state(notebook())

    def told_of(decider):
        return "\n".join(findings(golden, {"noted": Noted}, {"notebook": decider}))

    assert told_of(notebook()) == ""
    assert "raise 'version' of its Decider to 2" in told_of(notebook(Quiet | Full))
    assert "run 'make event-version NAME=notebook'" in told_of(notebook(Quiet | Full, version=2))
    golden.write_state(notebook(version=2))
    assert "versions only rise" in told_of(notebook())


def test_a_state_that_is_not_recorded_is_told(golden):
    found = "\n".join(findings(golden, {"noted": Noted}, {"notebook": notebook()}))

    assert found == "The state of notebook is not recorded: run 'make event-version NAME=notebook'."


def test_what_is_new_can_be_recorded_all_at_once(golden):
    golden.write_state(notebook())
    diary = replace(notebook(), category="diary")

    assert unrecorded(golden, {"noted": Noted, "lost": Noted}, {"notebook": notebook(), "diary": diary}) == [
        "lost",
        "diary",
    ]


class Part(msgspec.Struct, frozen=True):
    name: str


class Whole(msgspec.Struct, frozen=True):
    parts: tuple[Part, ...]
    pair: tuple[int, str]
    named: dict[str, Part]
    stage: Quiet | Full
    spare: Part | None = None
    inner: "Whole | None" = None


def test_a_shape_names_every_field_at_every_depth():
    shape = shape_of(Whole)

    assert shape["parts[].name"] == "string"
    assert (shape["pair[0]"], shape["pair[1]"]) == ("integer", "string")
    assert shape["named.*.name"] == "string"
    assert shape["stage<full>.text"] == "string"
    assert shape["spare"] == "optional object or null"
    assert shape["spare.name"] == "string"
    assert shape["inner"] == "optional object or null"
    assert "inner.parts" not in shape


def test_an_example_has_every_field():
    example = example_of(Noted)

    assert example == {
        "type": "noted",
        "at": "2026-03-02T09:00:00.123456Z",
        "text": "text, “äöü” ✓",
        "count": 3,
    }


@pytest.mark.parametrize(
    ("before", "after", "is_additive"),
    [
        ({"a": "string"}, {"a": "string", "b": "optional object or null", "b.c": "string"}, True),
        ({"a": "string"}, {"a": "string", "ab": "string"}, False),
        ({"a": "object"}, {"a": "object", "a.b": "string"}, False),
        ({"a": "string"}, {"a": "optional string"}, True),
        ({"a": "optional string"}, {"a": "string"}, False),
        ({"a": "low | high"}, {"a": "low | high | critical"}, False),
    ],
)
def test_only_what_older_events_can_do_without_is_an_addition(before, after, is_additive):
    assert difference(before, after).is_additive is is_additive


def test_the_scaffold_of_an_upcaster_is_a_step_a_test_and_where_they_are(tmp_path):
    for folder in ("src/ledger/upcasters", "tests/upcasters"):
        (tmp_path / folder).mkdir(parents=True)
    first = list(scaffold("notebook", "noted", 1, tmp_path))
    second = list(scaffold("notebook", "note-lost", 3, tmp_path))

    source = (tmp_path / "src/ledger/upcasters/notebook.py").read_text()
    made: dict[str, object] = {}
    exec(compile(source, "notebook.py", "exec"), made)  # noqa: S102 - what was just written
    assert [(step.type, step.version, step.name()) for step in made["STEPS"]] == [
        ("noted", 1, "noted_v1_to_v2"),
        ("note-lost", 3, "note_lost_v3_to_v4"),
    ]
    assert made["noted_v1_to_v2"]({"text": "x"}) == {"text": "x"}
    assert "add its STEPS to ALL" in first[0]
    assert len(second) == 2
    tests = (tmp_path / "tests/upcasters/test_notebook.py").read_text()
    assert tests.count("def test_") == 2
