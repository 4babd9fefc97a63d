"""``ledger audit check --leaf-hash``: a submitter checks a receipt, who may not read the entry itself."""

import json
from pathlib import Path

import pytest

from ledger.cli.audit.command import check
from tests.support.bundles import hashes_of, on, policy, seal
from tests.support.proofs import proof_text

HISTORY = seal(on(*"abcabbcadeab"))
LEAVES = hashes_of(HISTORY)


@pytest.fixture
def receipt(tmp_path: Path) -> Path:
    path = tmp_path / "receipt.tlog-proof"
    path.write_bytes(proof_text(4, LEAVES))
    return path


@pytest.fixture
def believed(tmp_path: Path) -> Path:
    path = tmp_path / "policy.txt"
    path.write_text(policy())
    return path


def test_a_receipt_holds_for_the_leaf_hash_of_its_answer(
    receipt: Path, believed: Path, capsys: pytest.CaptureFixture[str]
):
    assert check(receipt, leaf_hash=LEAVES[4].hex(), policy=believed) == 0

    shown = capsys.readouterr().out
    assert f"The event at position 5 has the leaf hash {LEAVES[4].hex()}." in shown
    assert "The hash was verified, and not the content" in shown
    assert "bytes are the event" not in shown


def test_it_holds_for_no_other_hash(receipt: Path, believed: Path, capsys: pytest.CaptureFixture[str]):
    for other in (LEAVES[3].hex(), "0" * 64):
        assert check(receipt, leaf_hash=other, policy=believed, json=True) == 2
        assert json.loads(capsys.readouterr().out)["found"][0]["code"] == "proof-wrong"


@pytest.mark.parametrize(
    "text",
    ["", "5", "g" * 64, "0" * 63, "0" * 65, "\u0660" * 64],
    ids=["nothing", "a digit", "letters", "short", "long", "other digits"],
)
def test_what_is_no_hash_is_a_slip(
    text: str, receipt: Path, believed: Path, capsys: pytest.CaptureFixture[str]
):
    assert check(receipt, leaf_hash=text, policy=believed) == 1
    assert "[not-a-leaf-hash]" in capsys.readouterr().out


def test_capitals_and_spaces_of_a_header_are_let_be(receipt: Path, believed: Path):
    assert check(receipt, leaf_hash=f" {LEAVES[4].hex().upper()}\r\n", policy=believed) == 0


def test_exactly_one_of_entry_and_leaf_hash_is_given(
    receipt: Path, believed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    (tmp_path / "e.json").write_bytes(HISTORY[4].envelope)

    for given in (
        {"proof": receipt},
        {"proof": receipt, "entry": tmp_path / "e.json", "leaf_hash": LEAVES[4].hex()},
        {"leaf_hash": LEAVES[4].hex()},
        {"evidence": tmp_path, "leaf_hash": LEAVES[4].hex()},
    ):
        assert check(policy=believed, **given) == 1
        assert "[proof-or-evidence]" in capsys.readouterr().out
