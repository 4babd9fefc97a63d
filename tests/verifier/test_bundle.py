"""An honest bundle verifies; what was changed in one is refused, and named."""

import base64
import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import hypothesis.strategies as st
import msgspec
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import HealthCheck, given, settings

from ledger.verifier.bundle import Asked, verify_bundle
from ledger.verifier.checkpoint import parse_checkpoint
from ledger.verifier.manifest import Tier
from ledger.verifier.policy import parse_policy
from ledger.verifier.report import Report
from ledger.verifier.verdict import Verdict
from tests.support.bundles import (
    ANN,
    BOB,
    SEEN_AT,
    SUBJECT_KEY,
    THE_LOG,
    WITNESSES,
    Bundle,
    Happened,
    Sealed,
    add_up,
    changed,
    checkpoint,
    hashes_of,
    key_id_of,
    ndjson,
    on,
    person,
    policy,
    registered,
    seal,
    sealed_token,
    tile_files,
)
from tests.support.noting import Signatory

STREAMS = "abcabbcadeab"
HISTORY = seal(on(*STREAMS))
LONG = seal(on(*(STREAMS * 55)))  # 660 events: two whole tiles and a partial one


def verify(
    folder: Path,
    *,
    text: str | None = None,
    since: bytes | None = None,
    tier: Tier = Tier.ENVELOPE,
    max_age: int | None = None,
    now: int = SEEN_AT,
) -> Report:
    asked = Asked(
        policy=parse_policy((text or policy()).encode()),
        now=now,
        since=None if since is None else parse_checkpoint(since),
        tier=tier,
        max_age=max_age,
    )
    return verify_bundle(folder, asked)


def found(report: Report) -> tuple[str, object, object]:
    """The first finding: its code, position and stream."""
    first = report.found[0]
    return first.code, first.facts.get("position"), first.facts.get("stream")


@pytest.fixture
def written(tmp_path: Path) -> Path:
    return Bundle(sealed=list(HISTORY)).write(tmp_path / "bundle")


@pytest.mark.parametrize("size", [0, 1, 2, 255, 256, 257, 512, 513, 660])
@pytest.mark.parametrize("tier", ["envelope", "payload", "disclosed"])
def test_an_honest_bundle_verifies(size: int, tier: str, tmp_path: Path):
    report = verify(Bundle(sealed=LONG[:size], tier=tier).write(tmp_path / "bundle"), tier=Tier(tier))

    assert (report.verdict, report.found, report.missing) == (Verdict.VERIFIED, [], [])
    assert (report.last, report.payloads) == (size, 0 if tier == "envelope" else size)


@given(streams=st.lists(st.sampled_from("abcdef"), min_size=1, max_size=40), data=st.data())
@settings(max_examples=30, deadline=None)
def test_any_history_verifies_from_its_beginning_and_in_part(
    streams: list[str], data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
):
    sealed = seal(on(*streams))
    first = data.draw(st.integers(1, len(sealed)))
    last = data.draw(st.integers(first, len(sealed)))
    folder = tmp_path_factory.mktemp("bundles") / "bundle"
    report = verify(Bundle(sealed=sealed, first=first, last=last).write(folder))

    is_whole = (first, last) == (1, len(sealed))
    assert report.verdict is (Verdict.VERIFIED if is_whole else Verdict.INCOMPLETE)
    assert report.payloads == last - first + 1


def test_a_range_says_which_streams_began_before_it(tmp_path: Path):
    report = verify(Bundle(sealed=LONG, first=300, last=400).write(tmp_path / "bundle"))

    assert report.verdict is Verdict.INCOMPLETE
    assert report.missing == ["events 1 to 660: the bundle holds 300 to 400; 5 streams began before it"]
    assert (report.first, report.last, report.streams_joined) == (257, 512, 5)


def test_a_bundle_without_the_tier_that_was_asked_for_is_incomplete(tmp_path: Path):
    report = verify(
        Bundle(sealed=list(HISTORY), tier="envelope").write(tmp_path / "bundle"), tier=Tier.PAYLOAD
    )

    assert report.verdict is Verdict.INCOMPLETE
    assert report.missing == ["tier payload: the bundle was exported with tier envelope"]


def test_every_flipped_byte_of_the_checkpoint_and_of_the_list_of_sums_is_refused(written: Path):
    for name in ("checkpoint", "SHA256SUMS"):
        honest = (written / name).read_bytes()
        for at in range(len(honest)):
            (written / name).write_bytes(flipped(honest, at, 1 << at % 8))
            assert verify(written).verdict in {Verdict.TAMPERED, Verdict.POLICY_NOT_MET}, (name, at)
        (written / name).write_bytes(honest)


def test_every_flipped_byte_of_the_checkpoint_is_refused_with_new_sums_too(written: Path):
    """By the signature alone: whoever changes a bundle can write its sums anew."""
    honest = (written / "checkpoint").read_bytes()
    for at in range(len(honest)):
        (written / "checkpoint").write_bytes(flipped(honest, at, 1 << at % 8))
        add_up(written)
        assert verify(written).verdict in {Verdict.TAMPERED, Verdict.POLICY_NOT_MET}, at


@given(st.data())
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_flipped_bit_of_any_file_is_refused(written: Path, data: st.DataObject):
    names = sorted(path.relative_to(written).as_posix() for path in written.rglob("*") if path.is_file())
    name = data.draw(st.sampled_from(names))
    honest = (written / name).read_bytes()
    at, bit = data.draw(st.integers(0, len(honest) - 1)), data.draw(st.integers(0, 7))
    (written / name).write_bytes(flipped(honest, at, 1 << bit))
    try:
        assert verify(written).verdict in {Verdict.TAMPERED, Verdict.POLICY_NOT_MET}
    finally:
        (written / name).write_bytes(honest)


@given(st.data())
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_flipped_bit_of_entries_and_tiles_is_refused_with_new_sums_too(
    written: Path, data: st.DataObject
):
    name = data.draw(st.sampled_from(["tile/0/000.p/12", "tile/entries/000.p/12"]))
    honest = (written / name).read_bytes()
    at, bit = data.draw(st.integers(0, len(honest) - 1)), data.draw(st.integers(0, 7))
    (written / name).write_bytes(flipped(honest, at, 1 << bit))
    add_up(written)
    try:
        assert verify(written).verdict is Verdict.TAMPERED
    finally:
        (written / name).write_bytes(honest)


@pytest.mark.parametrize(
    "name", ["manifest.json", "tile/0/000.p/12", "VERIFY.md", "payloads/000000000001.ndjson.gz"]
)
def test_a_missing_file_is_refused(written: Path, name: str):
    (written / name).unlink()

    report = verify(written)

    assert report.verdict is Verdict.TAMPERED
    assert report.found[0].facts == {"missing": [name]}


@pytest.mark.parametrize(
    "name",
    ["notes.txt", "tile/0/001.p/1", "tile/1/000.p/1", "disclosed/people.ndjson.gz", "timestamps/99.tsr"],
)
def test_a_file_too_many_is_refused_listed_or_not(written: Path, name: str):
    path = written / name
    path.parent.mkdir(exist_ok=True, parents=True)
    path.write_bytes(b"x" * 32)

    assert (verify(written).verdict, verify(written).found[0].facts) == (
        Verdict.TAMPERED,
        {"unlisted": [name]},
    )
    add_up(written)
    assert found(verify(written))[0] == "file-unexpected"
    assert verify(written).found[0].facts == {"file": name}


def test_a_link_out_of_the_bundle_is_no_file_of_it(written: Path, tmp_path: Path):
    elsewhere = tmp_path / "elsewhere"
    shutil.move(written / "tile/0/000.p/12", elsewhere)
    (written / "tile/0/000.p/12").symlink_to(elsewhere)

    assert verify(written).verdict is Verdict.TAMPERED
    add_up(written)
    assert verify(written).verdict is Verdict.TAMPERED


def test_sha256sum_agrees(written: Path):
    subprocess.run(["sha256sum", "--check", "--quiet", "--strict", "SHA256SUMS"], cwd=written, check=True)


def test_openssl_agrees_with_the_signature(written: Path, tmp_path: Path):
    """By hand, as a suspicious auditor would: the text above the empty line, the key of the policy."""
    raw = (written / "checkpoint").read_bytes()
    text, _, line = raw.rpartition(b"\n\n")
    for name, content in (
        ("text", text + b"\n"),
        ("signature", base64.b64decode(line.split()[-1])[4:]),
        (
            "key.pem",
            THE_LOG.private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        ),
    ):
        (tmp_path / name).write_bytes(content)
    command = ["openssl", "pkeyutl", "-verify", "-pubin", "-rawin", "-inkey", tmp_path / "key.pem"]
    done = subprocess.run(
        [*command, "-in", tmp_path / "text", "-sigfile", tmp_path / "signature"],
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, done.stdout.strip()) == (0, "Signature Verified Successfully")


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


# Payloads, names and keys.


def test_a_changed_payload_is_named(tmp_path: Path):
    history = seal(on(*STREAMS))
    history[8].payload = history[8].payload.replace("ü", "u")

    assert found(verify(Bundle(sealed=history).write(tmp_path / "bundle"))) == (
        "payload-differs",
        9,
        on("d")[0].stream,
    )


def test_a_payload_written_anew_with_the_same_meaning_is_another_payload(tmp_path: Path):
    """What is sealed is bytes: JSON that was read and written again, as jsonb does, is not it."""
    history = seal(on("a"))
    history[0].payload = json.dumps(json.loads(history[0].payload))

    assert found(verify(Bundle(sealed=history).write(tmp_path / "bundle")))[0] == "payload-differs"


def lines_of(history: list[Sealed]) -> list[dict[str, object]]:
    return [
        {"position": at, "salt": one.salt.hex(), "payload": one.payload} for at, one in enumerate(history, 1)
    ]


def test_payloads_that_were_taken_out_are_missing_not_wrong(written: Path):
    lines = lines_of(HISTORY)
    (written / "payloads/000000000001.ndjson.gz").write_bytes(ndjson([*lines[:3], *lines[5:]]))
    add_up(written)

    report = verify(written)

    assert report.verdict is Verdict.INCOMPLETE
    assert report.missing == ["payloads of 2 events, of positions 4, 5 first"]


def test_payloads_in_another_order_or_too_many_are_refused(written: Path):
    lines = lines_of(HISTORY)
    for wrong in (
        [lines[1], lines[0], *lines[2:]],
        [*lines, lines[-1]],
        [*lines, lines[0] | {"position": 99}],
    ):
        (written / "payloads/000000000001.ndjson.gz").write_bytes(ndjson(wrong))
        add_up(written)

        assert found(verify(written))[0] == "payloads-misplaced"


@pytest.mark.parametrize("content", [b"", b"no gzip", ndjson([])[:-6], ndjson([{"position": 1}]), ndjson([])])
def test_a_file_of_payloads_that_cannot_be_read_is_refused(written: Path, content: bytes):
    (written / "payloads/000000000001.ndjson.gz").write_bytes(content)
    add_up(written)

    assert found(verify(written))[0] == "lines-malformed"


ANNS, BOBS = person(ANN, "ann"), person(BOB, "bob")


def disclosed(
    people: list[dict[str, str]], events: list[Happened] | None = None, keys: list[bytes] | None = None
) -> Bundle:
    return Bundle(
        sealed=seal([registered(ANNS), registered(BOBS), *(events or [])]),
        tier="disclosed",
        people=people,
        keys=keys or [],
    )


def test_names_are_those_that_the_log_commits_to(tmp_path: Path):
    report = verify(disclosed([ANNS, BOBS]).write(tmp_path / "bundle"))

    assert report.verdict is Verdict.VERIFIED
    assert report.disclosed is not None
    assert (report.disclosed.names, report.disclosed.names_erased) == (2, 0)


def test_an_erased_name_is_counted_and_nothing_is_tampered_with(tmp_path: Path):
    report = verify(disclosed([BOBS]).write(tmp_path / "bundle"))

    assert report.verdict is Verdict.VERIFIED
    assert report.disclosed is not None
    assert (report.disclosed.names, report.disclosed.names_erased) == (1, 1)


def test_a_changed_name_is_named_by_its_registration(tmp_path: Path):
    report = verify(disclosed([ANNS | {"full_name": "Ann Other"}, BOBS]).write(tmp_path / "bundle"))

    assert found(report) == ("person-differs", 1, f"account-{ANN}")


def test_names_that_nothing_commits_to_are_not_vouched_for(tmp_path: Path):
    stranger = person("6f1c1c52-6a0e-4a0c-9d3e-0a4f4e7b1d11", "stranger")

    report = verify(disclosed([ANNS, BOBS, stranger]).write(tmp_path / "bundle"))

    assert report.verdict is Verdict.INCOMPLETE
    assert report.missing == ["registrations of 1 people: nothing in the log commits to their names"]


EVENT = "01890000-0000-7000-8000-000000000007"


def saying(token: str, *, event_id: str = EVENT) -> list[Happened]:
    event = on("a")[0]
    event.event_id = event_id
    event.payload = json.dumps({"type": event.type, "text": f"He said {token}."}, ensure_ascii=False)
    return [event]


def test_sealed_values_open_with_the_keys_that_were_disclosed(tmp_path: Path):
    said = saying(sealed_token("it hurts", event_id=EVENT))

    report = verify(disclosed([ANNS, BOBS], said, [SUBJECT_KEY]).write(tmp_path / "bundle"))

    assert report.verdict is Verdict.VERIFIED
    assert report.disclosed is not None
    assert (report.disclosed.opened, report.disclosed.erased) == (1, 0)


def test_a_sealed_value_without_its_key_is_erased_not_tampered_with(tmp_path: Path):
    said = saying(sealed_token("it hurts", event_id=EVENT))

    report = verify(disclosed([ANNS, BOBS], said).write(tmp_path / "bundle"))

    assert report.verdict is Verdict.VERIFIED
    assert report.disclosed is not None
    assert (report.disclosed.opened, report.disclosed.erased) == (0, 1)


def test_a_value_that_was_sealed_for_another_event_is_named(tmp_path: Path):
    said = saying(sealed_token("it hurts", event_id="01890000-0000-7000-8000-000000000008"))

    report = verify(disclosed([ANNS, BOBS], said, [SUBJECT_KEY]).write(tmp_path / "bundle"))

    assert found(report) == ("sealed-wrong", 3, on("a")[0].stream)


def test_a_value_may_be_carried_on_by_later_events(tmp_path: Path):
    token = sealed_token("it hurts", event_id=EVENT)
    said = [*saying(token), *saying(token, event_id="01890000-0000-7000-8000-000000000009")]

    report = verify(disclosed([ANNS, BOBS], said, [SUBJECT_KEY]).write(tmp_path / "bundle"))

    assert report.verdict is Verdict.VERIFIED
    assert report.disclosed is not None
    assert report.disclosed.opened == 2


def test_a_value_that_does_not_open_with_its_key_is_named(tmp_path: Path):
    token = sealed_token("it hurts", event_id=EVENT)
    said = saying(token.replace(":reason:", ":notes:"))

    report = verify(disclosed([ANNS, BOBS], said, [SUBJECT_KEY]).write(tmp_path / "bundle"))

    assert found(report) == ("sealed-wrong", 3, on("a")[0].stream)


def test_a_key_that_its_id_does_not_commit_to_is_refused(tmp_path: Path):
    folder = disclosed([ANNS, BOBS], keys=[SUBJECT_KEY]).write(tmp_path / "bundle")
    other = {"subject": ANN, "key_id": key_id_of(SUBJECT_KEY), "key": base64.b64encode(b"k" * 32).decode()}
    (folder / "disclosed/keys.ndjson.gz").write_bytes(ndjson([other]))
    add_up(folder)

    assert found(verify(folder))[0] == "key-differs"


# Policies, earlier checkpoints, age.


def test_a_checkpoint_by_a_log_that_the_policy_does_not_know_is_not_accepted(written: Path):
    stranger = Signatory(name="ledger.example/other")

    report = verify(written, text=policy().replace(THE_LOG.vkey, stranger.vkey))

    assert (report.verdict, found(report)[0]) == (Verdict.POLICY_NOT_MET, "no-log-signature")


QUORUM = "group all-three 2 A B C\nquorum all-three"


@pytest.mark.parametrize(("count", "verdict"), [(1, Verdict.POLICY_NOT_MET), (2, Verdict.VERIFIED)])
def test_a_quorum_of_witnesses_is_asked_for(count: int, verdict: Verdict, tmp_path: Path):
    folder = Bundle(sealed=list(HISTORY), witnesses=WITNESSES[:count]).write(tmp_path / "bundle")

    report = verify(folder, text=policy(quorum=QUORUM, witnesses=WITNESSES))

    assert report.verdict is verdict


@pytest.mark.parametrize("size", [1, 255, 256, 300, 512, 659, 660])
def test_a_bundle_goes_on_from_an_earlier_checkpoint(size: int, tmp_path: Path):
    folder = Bundle(sealed=LONG).write(tmp_path / "bundle")

    report = verify(folder, since=checkpoint(hashes_of(LONG[:size])))

    assert (report.verdict, report.since) == (Verdict.VERIFIED, size)


def test_another_history_at_an_earlier_checkpoint_is_a_fork(tmp_path: Path):
    other = on(*(STREAMS * 55))
    other[100].actor = BOB
    folder = Bundle(sealed=LONG).write(tmp_path / "bundle")

    report = verify(folder, since=checkpoint(hashes_of(seal(other)[:300])))

    assert (report.verdict, found(report)[0]) == (Verdict.FORK, "history-differs")


def test_a_log_that_was_larger_before_is_a_fork(written: Path):
    report = verify(written, since=checkpoint(hashes_of(seal(on(*STREAMS, "a")))))

    assert (report.verdict, found(report)[0]) == (Verdict.FORK, "log-shrunk")


def test_an_earlier_checkpoint_that_the_log_did_not_sign_says_nothing(written: Path):
    by = Signatory(name="ledger.example/other")

    report = verify(written, since=checkpoint(hashes_of(HISTORY[:3]), by=by))

    assert report.verdict is Verdict.POLICY_NOT_MET


@pytest.mark.parametrize(
    ("age", "verdict"),
    [
        (3600, Verdict.VERIFIED),
        (3601, Verdict.POLICY_NOT_MET),
        (-300, Verdict.VERIFIED),
        (-301, Verdict.POLICY_NOT_MET),
    ],
)
def test_how_recent_it_is_is_what_the_newest_witness_says(age: int, verdict: Verdict, tmp_path: Path):
    folder = Bundle(sealed=list(HISTORY), witnesses=WITNESSES[:1]).write(tmp_path / "bundle")

    report = verify(folder, text=policy(quorum="A", witnesses=WITNESSES), max_age=3600, now=SEEN_AT + age)

    assert report.verdict is verdict


def test_without_a_witness_nobody_says_how_recent_it_is(written: Path):
    assert verify(written, max_age=10**9).verdict is Verdict.POLICY_NOT_MET


def test_a_folder_that_is_no_bundle_is_not_usable(tmp_path: Path):
    assert verify(tmp_path / "nowhere").verdict is Verdict.UNUSABLE


def test_a_bundle_of_another_format_is_not_usable(written: Path):
    changed(written / "manifest.json", lambda raw: raw.replace(b'"format": 1', b'"format": 2'))
    add_up(written)

    assert verify(written).verdict is Verdict.UNUSABLE


def flipped(raw: bytes, at: int, bits: int) -> bytes:
    return raw[:at] + bytes([raw[at] ^ bits]) + raw[at + 1 :]
