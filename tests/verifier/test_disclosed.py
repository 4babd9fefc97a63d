"""Payloads, names and sealed values fit what the log commits to; what was erased is counted and wrongs nothing."""

import base64
import gzip
import json
from pathlib import Path

import pytest

from ledger.verifier.verdict import Verdict
from tests.support.bundles import (
    ANN,
    BOB,
    SUBJECT_KEY,
    Bundle,
    Happened,
    Sealed,
    add_up,
    key_id_of,
    ndjson,
    on,
    person,
    registered,
    seal,
    sealed_token,
)
from tests.verifier.asking import HISTORY, STREAMS, found, verify

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


@pytest.mark.parametrize(
    "content",
    [b"", b"no gzip", ndjson([])[:-6], ndjson([{"position": 1}]), ndjson([])],
    ids=["nothing", "no gzip", "cut short", "a line that lacks what it needs", "no line"],
)
def test_a_file_of_payloads_that_cannot_be_read_is_refused(written: Path, content: bytes):
    (written / "payloads/000000000001.ndjson.gz").write_bytes(content)
    add_up(written)

    assert found(verify(written))[0] == "lines-malformed"


def test_a_line_that_says_one_thing_twice_is_refused(written: Path):
    """One program reads the first, another the last; only one of them is what was hashed."""
    path = written / "payloads/000000000001.ndjson.gz"
    lines = gzip.decompress(path.read_bytes())
    path.write_bytes(
        gzip.compress(lines.replace(b'"payload": ', b'"payload": "nobody did it", "payload": ', 1))
    )
    add_up(written)

    assert found(verify(written))[0] == "lines-malformed"


def test_half_a_character_is_no_payload(written: Path):
    path = written / "payloads/000000000001.ndjson.gz"
    lines = gzip.decompress(path.read_bytes())
    path.write_bytes(gzip.compress(lines.replace(b'"payload": "', b'"payload": "\\ud800', 1)))
    add_up(written)

    assert verify(written).verdict is Verdict.TAMPERED


def test_a_file_of_payloads_is_named_by_its_first_position(written: Path):
    (written / "payloads/000000000001.ndjson.gz").rename(written / "payloads/000000000002.ndjson.gz")
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


def erased(subject: str, *, keys: int = 0) -> Happened:
    payload = {
        "type": "subject-erased",
        "kind": "person",
        "subject": subject,
        "removed": {"names": 1, "keys": keys},
    }
    return Happened(stream=f"subject-{subject}", type="subject-erased", payload=json.dumps(payload))


def test_an_erased_name_is_counted_and_nothing_is_tampered_with(tmp_path: Path):
    report = verify(disclosed([BOBS], [erased(ANN)]).write(tmp_path / "bundle"))

    assert report.verdict is Verdict.VERIFIED
    assert report.disclosed is not None
    assert (report.disclosed.names, report.disclosed.names_erased) == (1, 1)


def test_a_name_that_is_missing_without_an_erasure_in_the_log_is_withheld(tmp_path: Path):
    report = verify(disclosed([BOBS]).write(tmp_path / "bundle"))

    assert report.verdict is Verdict.INCOMPLETE
    assert report.missing == ["names of 1 people: nothing in the log says that they were erased"]


def test_a_changed_name_is_named_by_its_registration(tmp_path: Path):
    report = verify(disclosed([ANNS | {"full_name": "Ann Other"}, BOBS]).write(tmp_path / "bundle"))

    assert found(report) == ("person-differs", 1, f"account-{ANN}")


def test_nobody_is_disclosed_twice(tmp_path: Path):
    report = verify(disclosed([ANNS, BOBS, ANNS | {"full_name": "Ann Other"}]).write(tmp_path / "bundle"))

    assert found(report)[0] == "lines-malformed"


def test_a_registration_that_names_nobody_is_named(tmp_path: Path):
    event = registered(ANNS)
    event.payload = '{"type":"account-registered"}'
    folder = Bundle(sealed=seal([event]), tier="disclosed").write(tmp_path / "bundle")

    assert found(verify(folder))[:2] == ("telling-malformed", 1)


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
    assert (report.disclosed.opened, report.disclosed.unopened) == (1, 0)


def test_a_sealed_value_without_its_key_is_erased_not_tampered_with(tmp_path: Path):
    said = [*saying(sealed_token("it hurts", event_id=EVENT)), erased(BOB, keys=1)]

    report = verify(disclosed([ANNS, BOBS], said).write(tmp_path / "bundle"))

    assert report.verdict is Verdict.VERIFIED
    assert report.disclosed is not None
    assert (report.disclosed.opened, report.disclosed.unopened) == (0, 1)


def test_a_key_that_is_missing_without_an_erasure_in_the_log_is_withheld(tmp_path: Path):
    said = saying(sealed_token("it hurts", event_id=EVENT))

    report = verify(disclosed([ANNS, BOBS], said).write(tmp_path / "bundle"))

    assert report.verdict is Verdict.INCOMPLETE
    assert report.missing == ["1 keys of sealed values: nothing in the log says that they were erased"]


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


@pytest.mark.parametrize("gap", ["before the range", "before the entries", "withheld"])
def test_a_value_that_came_with_what_is_not_in_the_bundle_may_be_carried_on(tmp_path: Path, gap: str):
    token = sealed_token("it hurts", event_id=EVENT)
    between = on(*(["b"] * (300 if gap == "before the entries" else 1)))
    later = saying(token, event_id="01890000-0000-7000-8000-000000000009")
    bundle = disclosed([ANNS, BOBS], [*saying(token), *between, *later], [SUBJECT_KEY])
    bundle.first = 1 if gap == "withheld" else len(bundle.sealed)
    folder = bundle.write(tmp_path / "bundle")
    if gap == "withheld":
        lines = [line for line in lines_of(bundle.sealed) if line["position"] != 3]
        (folder / "payloads/000000000001.ndjson.gz").write_bytes(ndjson(lines))
        add_up(folder)

    report = verify(folder)

    assert report.verdict is Verdict.INCOMPLETE
    assert report.disclosed is not None
    assert report.disclosed.opened == 1


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
