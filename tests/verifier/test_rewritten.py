"""What was rewritten under a checkpoint is named, and so is what does not fit into one history."""

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from ledger.verifier.verdict import Verdict
from tests.support.bundles import (
    BOB,
    Bundle,
    Sealed,
    add_up,
    changed,
    hashes_of,
    on,
    seal,
    tile_files,
)
from tests.verifier.asking import HISTORY, LONG, STREAMS, found, verify

# What the owner of the log can do who rewrites everything but what was signed.


def rewritten(folder: Path, history: list[Sealed]) -> Path:
    """The bundle with another history, under the checkpoint that was signed for the first one."""
    signed = (folder / "checkpoint").read_bytes()
    leaves = tile_files(hashes_of(HISTORY))
    Bundle(sealed=history).write(folder)
    (folder / "checkpoint").write_bytes(signed)
    for name in tile_files(hashes_of(history)):
        (folder / name).unlink()
    for name, content in leaves.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    add_up(folder)
    return folder


def test_a_back_dated_event_is_named(written: Path):
    events = on(*STREAMS)
    events[4].recorded_at = "2025-03-01T08:30:00.000000Z"

    report = verify(rewritten(written, seal(events)))

    assert report.verdict is Verdict.TAMPERED
    assert found(report) == ("entry-differs", 5, events[4].stream)


def test_two_swapped_events_are_named(written: Path):
    history = list(HISTORY)
    history[6], history[7] = history[7], history[6]

    assert found(verify(rewritten(written, history))) == ("entry-differs", 7, on("a")[0].stream)


def test_a_deleted_event_is_noticed_at_its_place_and_at_the_end(written: Path):
    """The manifest still has to say how many there are."""
    history = HISTORY[:5] + HISTORY[6:]

    report = verify(rewritten(written, history))

    assert (report.verdict, found(report)[0]) == (Verdict.TAMPERED, "manifest-wrong")


def test_an_inserted_event_is_named(written: Path):
    events = on(*STREAMS)
    events.insert(3, on("z")[0])

    report = verify(rewritten(written, seal(events[:-1])))

    assert found(report) == ("entry-differs", 4, on("z")[0].stream)


def test_tiles_that_were_changed_to_fit_lead_to_another_root(written: Path):
    events = on(*STREAMS)
    events[4].actor = BOB
    signed = (written / "checkpoint").read_bytes()
    Bundle(sealed=seal(events)).write(written)
    (written / "checkpoint").write_bytes(signed)
    add_up(written)

    assert found(verify(written))[0] == "root-differs"


def test_a_tile_below_another_names_the_events_that_it_stands_for(tmp_path: Path):
    folder = Bundle(sealed=LONG).write(tmp_path / "bundle")
    changed(folder / "tile/0/001", lambda hashes: hashes[:64] + b"\0" * 32 + hashes[96:])
    add_up(folder)

    report = verify(folder)

    assert [(one.code, one.facts.get("first"), one.facts.get("position")) for one in report.found] == [
        ("tiles-disagree", 257, None),
        ("entry-differs", None, 259),
    ]


def test_a_changed_file_is_named_and_so_is_the_event(written: Path):
    changed(written / "tile/entries/000.p/12", lambda raw: raw.replace(b"comment-added", b"comment-addex", 1))

    report = verify(written)

    assert [one.code for one in report.found] == ["files-differ", "entry-differs"]
    assert report.found[0].facts == {"changed": ["tile/entries/000.p/12"]}
    assert report.found[1].facts["position"] == 1


# What a dishonest writer could seal, and nobody could change afterwards.


@pytest.mark.parametrize(
    ("change", "code", "position"),
    [
        ({"version": 9}, "stream-broken", 7),
        ({"prev": "ab" * 32}, "stream-broken", 7),
        ({"prev": ""}, "stream-broken", 7),
        ({"ledger": 2}, "other-ledger", 7),
        ({"actor": 'x"y'}, "envelope-malformed", 7),
        ({"event_id": "not a uuid"}, "envelope-malformed", 7),
        ({"recorded_at": "2026-03-01T08:30:00Z"}, "envelope-malformed", 7),
        ({"payload": '{"type":"vote-cast"}'}, "type-differs", 7),
        ({"payload": "[]"}, "type-differs", 7),
    ],
)
def test_what_does_not_fit_into_the_history_is_named(
    change: dict[str, object], code: str, position: int, tmp_path: Path
):
    events = on(*STREAMS)
    events[6] = msgspec.structs.replace(events[6], **change)

    report = verify(Bundle(sealed=seal(events)).write(tmp_path / "bundle"))

    assert report.verdict is Verdict.TAMPERED
    assert found(report)[:2] == (code, position)


@pytest.mark.parametrize("first", [1, 300])
def test_an_event_that_is_there_twice_is_named(first: int, tmp_path: Path):
    events = on(*(STREAMS * 55))
    events[399].event_id = events[310].event_id = "01890000-0000-7000-8000-000000000003"

    report = verify(Bundle(sealed=seal(events), first=first).write(tmp_path / "bundle"))

    assert found(report) == ("event-twice", 400, events[399].stream)


def test_a_stream_that_does_not_begin_with_its_first_version_is_named(tmp_path: Path):
    history = seal(on("a", "a", "b"))[1:]

    assert found(verify(Bundle(sealed=history).write(tmp_path / "bundle"))) == (
        "stream-broken",
        1,
        on("a")[0].stream,
    )


@pytest.mark.parametrize(
    "spelling",
    [
        lambda raw: raw.replace(b'"v":1', b'"v":2'),
        lambda raw: raw.replace(b'"v":1,', b'"v":1, '),
        lambda raw: raw[:-1] + b',"more":1}',
        lambda raw: raw.replace(b'"ledger":1', b'"ledger":1.0'),
        lambda raw: raw.replace(b'"type":"comment-added"', b'"type":"comment\\u002dadded"'),
        lambda raw: raw + b"\n",
    ],
    ids=["version", "space", "more", "number", "escape", "newline"],
)
def test_an_envelope_has_one_spelling(spelling: Callable[[bytes], bytes], tmp_path: Path):
    history = seal(on("a"))
    history[0].envelope = spelling(history[0].envelope)

    assert found(verify(Bundle(sealed=history).write(tmp_path / "bundle")))[:2] == ("envelope-malformed", 1)
