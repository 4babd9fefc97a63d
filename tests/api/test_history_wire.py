"""What the history knows of every event there is: that it can be read, and which of its fields hold people."""

import typing
from collections.abc import Iterator
from datetime import UTC, datetime
from uuid import UUID, uuid4

import msgspec
import pytest

from ledger.api.history.wire import Form, told
from ledger.domain.event import type_name
from ledger.domain.ids import CommandId, EventId, PersonId, Position, StreamName, Version
from ledger.history.naming import PERSON_FIELDS, persons_of
from ledger.store.event_types import EVENT_TYPES
from ledger.store.streams import Stored
from tools.event_types import event_types
from tools.golden import GOLDEN, Golden


def stored(type_: str, version: int, payload: bytes, actor: str = "system") -> Stored:
    return Stored(
        position=Position(1),
        stream=StreamName("x-1"),
        version=Version(1),
        type=type_,
        schema_version=version,
        event_id=EventId(uuid4()),
        command_id=CommandId(uuid4()),
        recorded_at=datetime(2026, 3, 1, tzinfo=UTC),
        actor=actor,
        leaf=b"\x00",
        payload=payload,
        envelope=b"{}",
    )


def persons_fields(struct: type[msgspec.Struct]) -> Iterator[str]:
    """Name the fields of a struct, and of the structs in it, that hold a person."""
    for name, hint in typing.get_type_hints(struct).items():
        inner = list(leaves(hint))
        if PersonId in inner:
            yield name
        for part in inner:
            if isinstance(part, type) and issubclass(part, msgspec.Struct):
                yield from persons_fields(part)


def leaves(hint: object) -> Iterator[object]:
    if typing.get_args(hint):
        for part in typing.get_args(hint):
            yield from leaves(part)
    else:
        yield hint


def test_the_history_knows_every_event_type():
    assert {type_name(one): one for one in EVENT_TYPES} == event_types()


def test_it_knows_which_fields_of_payloads_hold_people():
    known = {name for event in EVENT_TYPES for name in persons_fields(event)}

    assert known == set(PERSON_FIELDS)


def test_people_are_found_wherever_they_stand_in_a_payload():
    ann, bea, act = uuid4(), uuid4(), uuid4()
    payload = msgspec.json.encode({"by": ann, "deep": [{"to": bea}], "lease_id": uuid4(), "holder": None})

    assert persons_of(stored("x", 1, payload, str(act))) == {ann, bea, act}
    assert persons_of(stored("x", 1, payload, "operator")) == {ann, bea}


def test_who_writes_like_a_person_is_none():
    payload = msgspec.json.encode({"notes": '"by":"' + str(uuid4()) + '"', "by": "-" * 36})

    assert persons_of(stored("x", 1, payload, "-" * 36)) == set()


@pytest.mark.parametrize(
    ("name", "version"),
    [
        (name, int(path.stem[1:]))
        for name in Golden().names()
        for path in sorted((GOLDEN / name).glob("v*[0-9].json"))
    ],
)
def test_every_version_of_every_event_is_told_as_it_is_stored_and_as_it_reads_today(name, version):
    golden = Golden()
    payload = golden.stored(name, version)

    both = told(stored(name, version, payload), Form.BOTH)

    assert both.payload is not msgspec.UNSET
    assert bytes(both.payload) == payload
    assert both.current is not msgspec.UNSET
    assert both.current.unreadable is None
    assert both.current.schema_version == golden.recorded(name).version
    assert len(both.current.upcasters) == both.current.schema_version - version
    assert msgspec.json.decode(both.current.payload) == msgspec.json.decode(golden.current(name, version))


@pytest.mark.parametrize(
    ("type_", "version", "payload", "why"),
    [
        ("of-another-release", 1, b'{"at":"2026"}', "unknown-event-type"),
        ("vote-cast", 99, b"{}", "unknown-schema-version"),
        ("vote-cast", 3, b"{}", "unreadable-event"),
    ],
)
def test_what_this_release_cannot_read_is_told_as_it_is_stored_and_why(type_, version, payload, why):
    both = told(stored(type_, version, payload), Form.BOTH)

    assert bytes(both.payload) == payload
    assert both.current == type(both.current)(unreadable=why)


@pytest.mark.parametrize("payload", [b"not json", b'{"a":', b"\xff\xfe"])
def test_a_payload_that_somebody_broke_does_not_break_the_page(payload):
    whole = msgspec.json.encode([told(stored("vote-cast", 3, payload), Form.BOTH)])

    (event,) = msgspec.json.decode(whole)
    assert event["payload"] == payload.decode(errors="replace")
    assert event["current"] == {"unreadable": "unreadable-event"}


def test_an_id_of_nobody_is_no_person():
    assert persons_of(stored("x", 1, b"{}", str(UUID(int=0)))) == {UUID(int=0)}
