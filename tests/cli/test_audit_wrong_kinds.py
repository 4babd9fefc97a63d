"""``ledger audit`` with the wrong file or folder in the hand: that is a slip, and no tampering."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from ledger.cli.audit.command import check, verify
from tests.support.bundles import Bundle, add_up, changed, checkpoint, hashes_of, on, policy, seal
from tests.support.proofs import proof_text

HISTORY = seal(on(*"abcabbcadeab"))
LEAVES = hashes_of(HISTORY)
FILES = {
    "proof": proof_text(4, LEAVES),
    "entry": HISTORY[4].envelope,
    "checkpoint": checkpoint(LEAVES[:5]),
    "policy": policy().encode(),
    "page": b"# A page\n\nAbout something, with\nindex of words, 12.\n\nAnd more.\n",
    "bytes": bytes(range(256)) * 40,
    "empty": b"",
}


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """A folder with a bundle and one file of every kind."""
    Bundle(sealed=list(HISTORY)).write(tmp_path / "bundle")
    for name, content in FILES.items():
        (tmp_path / name).write_bytes(content)
    return tmp_path


def told(capsys: pytest.CaptureFixture[str]) -> tuple[str, dict[str, str]]:
    found = json.loads(capsys.readouterr().out)["found"][0]
    return found["code"], found["facts"]


@pytest.mark.parametrize("name", ["proof", "entry", "policy", "page", "bytes", "empty"])
def test_an_earlier_checkpoint_that_is_none_is_a_slip(
    name: str, here: Path, capsys: pytest.CaptureFixture[str]
):
    assert verify(here / "bundle", policy=here / "policy", since=here / name, json=True) == 1

    code, facts = told(capsys)
    assert (code, facts["file"], facts["wanted"]) == ("wrong-kind", str(here / name), "a signed checkpoint")


@pytest.mark.parametrize("name", ["entry", "checkpoint", "policy", "page", "bytes", "empty"])
def test_a_proof_that_is_none_is_a_slip(name: str, here: Path, capsys: pytest.CaptureFixture[str]):
    assert check(here / name, entry=here / "entry", policy=here / "policy", json=True) == 1

    assert told(capsys)[0] == "wrong-kind"


def test_a_proof_and_an_entry_that_were_swapped_are_named(here: Path, capsys: pytest.CaptureFixture[str]):
    assert check(here / "entry", entry=here / "proof", policy=here / "policy", json=True) == 1
    _, facts = told(capsys)

    assert (facts["given"], facts["wanted"]) == (
        "an entry of the log (e.json)",
        "the proof of an entry (e.tlog-proof)",
    )


@pytest.mark.parametrize("name", ["proof", "checkpoint"])
def test_a_proof_is_no_entry(name: str, here: Path, capsys: pytest.CaptureFixture[str]):
    assert check(here / "proof", entry=here / name, policy=here / "policy", json=True) == 1

    assert told(capsys)[0] == "wrong-kind"


@pytest.mark.parametrize("most", [26, 40, 300])
def test_a_proof_that_was_cut_is_tampered(most: int, here: Path):
    changed(here / "proof", lambda raw: raw[:most])

    assert check(here / "proof", entry=here / "entry", policy=here / "policy") == 2


@pytest.mark.parametrize("most", [24, 60, 120])
def test_an_earlier_checkpoint_that_was_cut_is_tampered(most: int, here: Path):
    changed(here / "checkpoint", lambda raw: raw[:most])

    assert verify(here / "bundle", policy=here / "policy", since=here / "checkpoint") == 2


def test_no_flipped_bit_makes_a_checkpoint_a_slip(here: Path):
    honest = FILES["checkpoint"]
    for at in range(len(honest)):
        (here / "since").write_bytes(honest[:at] + bytes([honest[at] ^ 1 << at % 8]) + honest[at + 1 :])
        assert verify(here / "bundle", policy=here / "policy", since=here / "since") in {2, 4}, at


def test_a_folder_that_is_no_bundle_is_a_slip(here: Path, capsys: pytest.CaptureFixture[str]):
    (here / "nothing").mkdir()
    evidence = here / "evidence"
    (evidence / "entries").mkdir(parents=True)
    for name in ("checkpoint", "events.ndjson", "entries/5.json"):
        (evidence / name).write_bytes(b"")
    add_up(evidence)

    assert verify(here / "nothing", policy=here / "policy", json=True) == 1
    assert told(capsys) == (
        "wrong-kind",
        {"folder": str(here / "nothing"), "given": "an empty folder", "wanted": "a bundle"},
    )
    assert verify(evidence, policy=here / "policy", json=True) == 1
    assert told(capsys)[1]["try"] == f"ledger audit check --evidence {evidence}"
    assert verify(here, policy=here / "policy", json=True) == 1, "the folder around a bundle is none"
    assert told(capsys)[0] == "wrong-kind"


def test_a_folder_that_is_no_evidence_is_a_slip(here: Path, capsys: pytest.CaptureFixture[str]):
    assert check(evidence=here / "bundle", policy=here / "policy", json=True) == 1

    assert told(capsys)[1] == {
        "folder": str(here / "bundle"),
        "given": "a bundle",
        "wanted": "a folder of evidence",
        "try": f"ledger audit verify {here / 'bundle'}",
    }


def test_a_bundle_of_which_little_is_left_is_tampered(here: Path):
    for path in (here / "bundle").rglob("*"):
        if path.is_file() and path.name not in {"checkpoint", "SHA256SUMS"}:
            path.unlink()

    assert verify(here / "bundle", policy=here / "policy") == 2


def test_an_older_bundle_with_a_newer_checkpoint_is_a_fork_that_may_be_a_slip(
    here: Path, capsys: pytest.CaptureFixture[str]
):
    (here / "newer").write_bytes(checkpoint([*LEAVES, *LEAVES]))

    assert verify(here / "bundle", policy=here / "policy", since=here / "newer", json=True) == 3

    code, facts = told(capsys)
    assert code == "log-shrunk"
    assert "--since names the older one" in facts["hint"]


@pytest.mark.parametrize(
    "change", [lambda raw: raw.replace(b"\n", b"\r\n"), lambda raw: b"\xef\xbb\xbf" + raw]
)
def test_what_a_mail_program_made_of_a_proof_is_no_tampering(
    change: Callable[[bytes], bytes], here: Path, capsys: pytest.CaptureFixture[str]
):
    (here / "proof").write_bytes(change(FILES["proof"]))

    assert check(here / "proof", entry=here / "entry", policy=here / "policy", json=True) == 1
    assert told(capsys) == ("line-ends-changed", {"file": str(here / "proof")})


def test_a_policy_of_another_system_says_what_is_odd(here: Path, capsys: pytest.CaptureFixture[str]):
    (here / "policy").write_bytes(FILES["policy"].replace(b"\n", b"\r\n"))

    assert check(here / "proof", entry=here / "entry", policy=here / "policy", json=True) == 1
    assert told(capsys)[1] == {"reason": "control characters: lines end with CR LF, not with LF alone"}
