"""What was stored on the first day reads on the last, by every path there is."""

from uuid import uuid4

import msgspec
import pytest
from msgspec.structs import replace

from ledger.command_handling.facts import state_of
from ledger.domain.decider import fold
from ledger.domain.event import type_name
from ledger.domain.ids import NO_EVENTS, EventId, Position, StreamName
from ledger.personal.tokens import Form, SubjectKey, seal
from ledger.projections.catalog import ALL
from ledger.store.appends import Append, NewEvent
from ledger.store.codec import encode, read
from ledger.store.envelope import NO_LEAF
from ledger.store.history import read_page, read_stream_until
from ledger.store.snapshots import Snapshot, freeze
from ledger.store.streams import append, load_streams, read_stream, recorded
from ledger.upcasters.chain import CHAIN
from tests.projections.given import rows_of, views_undone
from tests.support.events import by_somebody
from tools.event_types import deciders, event_types
from tools.golden import Golden, as_recorded

GOLDEN = Golden()
TYPES = event_types()
FILES = [
    (name, int(file.removeprefix("v").removesuffix(".json")))
    for name in GOLDEN.names()
    for file in GOLDEN.digests(name)
]


def decider_of(name):
    """The aggregate of a type, if it has one."""
    return next((found for found in deciders().values() if TYPES[name] in found.event_types), None)


def story_of(name, version):
    """The golden file behind the one that opens a stream of its aggregate, as (type, version, bytes)."""
    decider = decider_of(name)
    opening = type_name(decider.event_types[0]) if decider else name
    begun = () if opening == name else (golden(opening, TYPES[opening].schema_version),)
    return (*begun, golden(name, version))


def golden(name, version):
    return name, version, GOLDEN.stored(name, version)


def category_of(name):
    decider = decider_of(name)
    return decider.category if decider else "other"


def events_of(name):
    decider = decider_of(name)
    return decider.event_types if decider else (TYPES[name],)


def todays(event):
    """The same event as a ledger that never knew an older version would hold it."""
    name, version, payload = event
    return name, TYPES[name].schema_version, encode(read((TYPES[name],), name, version, payload).event)


async def laid_down(ledger, category, story):
    """Append stored bytes as they are, as an older release did; the stream as it was read back."""
    name = StreamName(f"{category}-{uuid4()}")
    events = tuple(
        NewEvent(event_id=EventId(uuid4()), type=kind, schema_version=version, payload=payload)
        for kind, version, payload in story
    )
    by = by_somebody()
    await append(ledger, Append(stream=name, expected=NO_EVENTS, prev=NO_LEAF, events=events, provenance=by))
    return await read_stream(ledger, name)


@pytest.mark.parametrize(("name", "version"), FILES)
def test_a_golden_file_reads_as_recorded(name, version):
    reading = read((TYPES[name],), name, version, GOLDEN.stored(name, version))

    assert as_recorded(reading.event) == GOLDEN.current(name, version)
    assert reading.stored == GOLDEN.stored(name, version)
    assert reading.upcasters == tuple(
        CHAIN[name, past].name() for past in range(version, TYPES[name].schema_version)
    )


@pytest.mark.parametrize(("name", "version"), sorted(CHAIN))
def test_each_step_gives_the_json_of_the_next_version(name, version):
    payload = msgspec.json.decode(GOLDEN.stored(name, version))
    stepped = CHAIN[name, version].lift(payload)

    assert stepped["type"] == name
    assert msgspec.json.encode(payload) == GOLDEN.stored(name, version)


async def test_every_golden_file_reads_alike_when_loaded_logged_and_travelled_to(ledger):
    for name, version in FILES:
        stored = await laid_down(ledger, category_of(name), story_of(name, version))
        last = stored.events[-1]
        found = [
            (await load_streams(ledger, [stored.name]))[stored.name].events[-1],
            (await read_stream_until(ledger, stored.name, version=last.version)).events[-1],
            (await read_stream_until(ledger, stored.name, position=last.position)).events[-1],
            (await read_page(ledger, after=Position(last.position - 1), types=[name])).events[-1],
        ]

        expected = msgspec.json.decode(GOLDEN.current(name, version), type=TYPES[name])
        assert [recorded(one, events_of(name)).event for one in found] == [expected] * 4
        assert [one.payload for one in found] == [GOLDEN.stored(name, version)] * 4


async def test_a_snapshot_of_a_golden_file_is_that_of_its_current_form(ledger):
    for name, version in FILES:
        decider = decider_of(name)
        if decider is None:
            continue
        story = story_of(name, version)
        stored = await laid_down(ledger, decider.category, story)
        snapshot = Snapshot(
            stream=stored.name,
            version=stored.version(),
            position=stored.position(),
            leaf=stored.last_leaf(),
            state=freeze(state_of(decider, stored)),
        )
        await ledger.snapshots._write(snapshot)
        loaded = (await load_streams(ledger, [stored.name]))[stored.name]

        twin = fold(decider, [read((TYPES[one[0]],), *todays(one)).event for one in story])
        assert (loaded.events, loaded.snapshot) == ((), snapshot)
        assert state_of(decider, loaded) == twin


async def test_a_golden_file_is_projected_as_its_current_form_is(ledger):
    for name, version in FILES:
        story = story_of(name, version)
        stored = (await laid_down(ledger, category_of(name), story)).events
        twin = [
            replace(event, schema_version=current, payload=payload)
            for event, (_, current, payload) in zip(stored, map(todays, story), strict=True)
        ]
        for feed in ALL:
            assert await _rows(ledger, feed, stored) == await _rows(ledger, feed, twin), (name, version)


async def _rows(ledger, feed, log):
    async with views_undone(ledger) as conn:
        await feed.feed(conn, ledger.ledger_id, log)
        return await rows_of(conn, feed)


def test_every_event_type_and_every_version_that_can_be_read_has_its_golden_file():
    readable = {(name, event.schema_version) for name, event in TYPES.items()} | CHAIN.keys()

    assert set(FILES) == readable


SAID = ("notes", "reason", "text", "question", "answer", "details", "forensic_summary", "source_ip")
"""Fields of events and items that may hold sealed text."""


def with_tokens(value, found):
    """A JSON value whose free texts are tokens; each is written down."""
    if isinstance(value, list):
        return [with_tokens(inner, found) for inner in value]
    if not isinstance(value, dict):
        return value
    changed = {}
    for key, inner in value.items():
        if key in ("policy", "terms"):
            changed[key] = inner
        elif key in SAID and isinstance(inner, str):
            changed[key] = seal(SubjectKey.new(), EventId(uuid4()), key, Form.TEXT, inner)
            found.append(changed[key])
        else:
            changed[key] = with_tokens(inner, found)
    return changed


@pytest.mark.parametrize(("name", "version"), FILES)
def test_sealed_text_is_carried_to_the_newest_version_unopened(name, version):
    tokens = []
    stored = msgspec.json.encode(with_tokens(msgspec.json.decode(GOLDEN.stored(name, version)), tokens))

    read_today = encode(read((TYPES[name],), name, version, stored).event).decode()

    assert all(token in read_today for token in tokens)
