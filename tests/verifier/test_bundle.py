"""An honest bundle verifies, whole or in part; one of which any file was changed is refused."""

import base64
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import hypothesis.strategies as st
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import HealthCheck, given, settings

from ledger.verifier.manifest import Tier
from ledger.verifier.verdict import Verdict
from tests.support.bundles import (
    ORIGIN,
    THE_LOG,
    Bundle,
    add_up,
    changed,
    on,
    seal,
)
from tests.support.examples import thorough
from tests.support.noting import checkpoint_text, note
from tests.verifier.asking import HISTORY, LONG, found, verify


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


ALONG = "of these it has the entries alone, which come in files of 256 and were verified"


def test_a_range_says_which_streams_began_before_it(tmp_path: Path):
    report = verify(Bundle(sealed=LONG, first=300, last=400).write(tmp_path / "bundle"))

    assert report.verdict is Verdict.INCOMPLETE
    assert report.missing == [
        f"what events 257 to 299 and 401 to 512 say: the bundle was exported for 300 to 400; {ALONG}",
        "events 1 to 256 and 513 to 660: the bundle was exported for 300 to 400; 5 streams began before it",
    ]
    assert (report.first, report.last, report.streams_joined) == (257, 512, 5)


def test_a_range_within_one_file_of_entries_lacks_no_entry(tmp_path: Path):
    report = verify(Bundle(sealed=list(HISTORY), first=2, last=11).write(tmp_path / "bundle"))

    assert (report.verdict, report.first, report.last) == (Verdict.INCOMPLETE, 1, 12)
    assert report.missing == [f"what events 1 and 12 say: the bundle was exported for 2 to 11; {ALONG}"]


def test_a_range_of_whole_files_lacks_what_lies_behind_it(tmp_path: Path):
    report = verify(Bundle(sealed=LONG, first=1, last=512).write(tmp_path / "bundle"))

    assert report.missing == ["events 513 to 660: the bundle was exported for 1 to 512"]


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
@thorough(150, suppress=(HealthCheck.function_scoped_fixture,))
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
@thorough(100, suppress=(HealthCheck.function_scoped_fixture,))
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


@pytest.mark.parametrize(
    "manifest",
    [b'{"format":1,"more":' + b"[" * 100_000 + b"]" * 100_000 + b"}", b'{"format":1,"tier":"disclosed",'],
)
def test_a_manifest_that_no_two_programs_read_alike_is_refused(written: Path, manifest: bytes):
    whole = (written / "manifest.json").read_bytes()
    (written / "manifest.json").write_bytes(manifest if manifest.endswith(b"}") else manifest + whole[1:])
    add_up(written)

    assert found(verify(written))[0] == "manifest-wrong"


def test_a_size_that_nothing_in_the_folder_bears_out_costs_no_time(written: Path):
    """Whatever the log signed."""
    text = checkpoint_text(ORIGIN, 10**18, b"\1" * 32)
    (written / "checkpoint").write_bytes(note(text, THE_LOG.line(text)))
    changed(written / "manifest.json", lambda raw: raw.replace(b'"size": 12', b'"size": 1000000000000000000'))
    add_up(written)

    assert found(verify(written))[0] == "file-missing"


def test_a_link_out_of_the_bundle_is_no_file_of_it(written: Path, tmp_path: Path):
    elsewhere = tmp_path / "elsewhere"
    shutil.move(written / "tile/0/000.p/12", elsewhere)
    (written / "tile/0/000.p/12").symlink_to(elsewhere)

    add_up(written)
    report = verify(written)

    assert [one.code for one in report.found] == ["files-differ", "file-missing", "file-missing"]


@pytest.mark.parametrize(
    "change",
    [
        lambda raw: raw[:-1],
        lambda raw: raw + raw.splitlines(keepends=True)[-1],
        lambda raw: b"".join(reversed(raw.splitlines(keepends=True))),
        lambda raw: raw.replace(b"  ", b" *"),
        lambda raw: raw.upper(),
    ],
    ids=["cut", "twice", "order", "binary", "capitals"],
)
def test_the_list_of_sums_has_one_form(change: Callable[[bytes], bytes], written: Path):
    changed(written / "SHA256SUMS", change)

    assert verify(written).found[0].code == "sums-malformed"


@pytest.mark.parametrize(
    ("said", "instead"),
    [
        (b'"from": 1', b'"from": 0'),
        (b'"from": 1', b'"from": 13'),
        (b'"to": 12', b'"to": 13'),
        (b'"to": 12', b'"to": 0'),
        (b'"size": 12', b'"size": 13'),
        (b"ledger.example/tests", b"ledger.example/other"),
        (b'"payload"', b'"everything"'),
        (b'"format": 1', b'"more": 1, "format": 1'),
    ],
)
def test_a_manifest_says_what_the_checkpoint_says(said: bytes, instead: bytes, written: Path):
    changed(written / "manifest.json", lambda raw: raw.replace(said, instead))
    add_up(written)

    assert found(verify(written))[0] == "manifest-wrong"


@pytest.mark.parametrize(
    "change", [lambda raw: raw + b"\0", lambda raw: raw[:-1], lambda raw: raw + raw[:400]]
)
def test_a_file_of_entries_holds_as_many_as_it_says(change: Callable[[bytes], bytes], written: Path):
    changed(written / "tile/entries/000.p/12", change)
    add_up(written)

    assert found(verify(written))[0] == "entries-malformed"


@pytest.mark.parametrize("change", [lambda raw: raw + bytes(32), lambda raw: raw[:-32], lambda raw: raw[:-1]])
def test_a_tile_holds_as_many_hashes_as_it_says(change: Callable[[bytes], bytes], written: Path):
    changed(written / "tile/0/000.p/12", change)
    add_up(written)

    assert found(verify(written))[0] == "tile-broken"


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


def flipped(raw: bytes, at: int, bits: int) -> bytes:
    return raw[:at] + bytes([raw[at] ^ bits]) + raw[at + 1 :]
