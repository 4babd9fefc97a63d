"""Whatever is handed to the verifier, it answers; it never ends in an error that nobody foresaw."""

import json
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import given

from ledger.cli.audit.command import verify as command
from ledger.verifier.checkpoint import parse_checkpoint
from ledger.verifier.entries import split_entries
from ledger.verifier.envelope import parse_envelope
from ledger.verifier.manifest import parse_manifest
from ledger.verifier.notes import parse_key
from ledger.verifier.policy import parse_policy
from ledger.verifier.proofs import parse_proof
from ledger.verifier.verdict import Unverified, Verdict
from tests.support.bundles import Bundle, add_up, checkpoint, hashes_of, ndjson, policy, seal
from tests.support.proofs import proof_text
from tests.verifier.asking import HISTORY, found, on, verify

HONEST = (
    b"",
    checkpoint(hashes_of(HISTORY)),
    policy().encode(),
    proof_text(4, hashes_of(HISTORY)),
    HISTORY[0].envelope,
    Bundle(sealed=list(HISTORY)).files()["manifest.json"],
)


@st.composite
def spoiled(draw: st.DrawFn) -> bytes:
    """Something honest with a piece taken out and another put in."""
    raw, piece = draw(st.sampled_from(HONEST)), draw(st.binary(max_size=40))
    first, second = sorted((draw(st.integers(0, len(raw))), draw(st.integers(0, len(raw)))))
    return raw[:first] + piece + raw[second:]


@pytest.mark.parametrize(
    "parse",
    [
        parse_checkpoint,
        parse_policy,
        parse_proof,
        parse_manifest,
        parse_envelope,
        lambda raw: parse_key(raw.decode(errors="surrogateescape")),
        lambda raw: split_entries(raw, first=1, width=3),
    ],
    ids=["checkpoint", "policy", "proof", "manifest", "envelope", "key", "entries"],
)
@given(raw=st.one_of(spoiled(), st.binary(max_size=300)))
def test_what_cannot_be_read_is_refused_by_name(parse: Callable[[bytes], object], raw: bytes):
    with suppress(Unverified):
        parse(raw)


def test_json_as_deep_as_a_well_is_refused(tmp_path: Path):
    deep = '{"type":' * 100_000
    folder = Bundle(sealed=list(HISTORY)).write(tmp_path / "bundle")
    (folder / "manifest.json").write_text(deep)
    add_up(folder)
    assert found(verify(folder))[0] == "manifest-wrong"

    events = on("a")
    events[0].payload = deep
    assert found(verify(Bundle(sealed=seal(events)).write(folder)))[0] == "type-differs"

    Bundle(sealed=list(HISTORY)).write(folder)
    (folder / "payloads/000000000001.ndjson.gz").write_bytes(
        ndjson([]) + ndjson([json.loads("[" * 900 + "]" * 900)])
    )
    add_up(folder)
    assert found(verify(folder))[0] == "lines-malformed"


def test_a_name_that_is_no_text_is_told_all_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    folder = Bundle(sealed=list(HISTORY)).write(tmp_path / "bundle")
    (tmp_path / "policy").write_text(policy())
    (folder / os.fsdecode(b"no\xfftext\x1b[31m")).write_bytes(b"")

    assert command(folder, policy=tmp_path / "policy") == Verdict.TAMPERED
    assert command(folder, policy=tmp_path / "policy", json=True) == Verdict.TAMPERED
    assert "\x1b" not in capsys.readouterr().out


def test_what_is_no_file_is_not_waited_for(tmp_path: Path):
    folder = Bundle(sealed=list(HISTORY)).write(tmp_path / "bundle")
    (folder / "manifest.json").unlink()
    os.mkfifo(folder / "manifest.json")

    assert verify(folder).verdict is Verdict.TAMPERED
