"""``ledger audit``: what auditors run, where nothing of the service is."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from ledger.cli.audit.command import check, verify
from ledger.cli.audit.report import moment, print_report
from ledger.verifier.report import Attested, Report
from tests.support.bundles import (
    ANN,
    SEEN_AT,
    WITNESSES,
    Bundle,
    add_up,
    changed,
    checkpoint,
    hashes_of,
    on,
    policy,
    seal,
)
from tests.support.databases import Database
from tests.support.noting import Signatory
from tests.support.proofs import proof_text

HISTORY = seal(on(*"abcabbcadeab"))
LEAVES = hashes_of(HISTORY)
ASKED_FOR_NOTHING = """
import sys
from pathlib import Path
from ledger.cli.audit.command import verify
code = verify(Path(sys.argv[1]), policy=Path(sys.argv[2]))
loaded = [name for name in ("ledger.settings", "ledger.store", "ledger.sealing", "pydantic", "asyncpg", "litestar")
          if name in sys.modules]
print(loaded, file=sys.stderr)
sys.exit(code)
"""


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return Bundle(sealed=list(HISTORY)).write(tmp_path / "bundle")


@pytest.fixture
def believed(tmp_path: Path) -> Path:
    path = tmp_path / "policy.txt"
    path.write_text(policy())
    return path


def test_a_bundle_verifies_and_the_report_says_what_that_means_and_what_not(
    bundle: Path, believed: Path, capsys: pytest.CaptureFixture[str]
):
    assert verify(bundle, policy=believed) == 0

    shown = capsys.readouterr().out
    assert shown.startswith("Verified.\n  ledger.example/tests with 12 events, root ")
    assert "none of the events 1 to 12 was changed, removed, put in or moved" in shown
    assert "It does not mean that what was logged is true" in shown


def test_what_is_wrong_is_named_for_people_and_programs(
    bundle: Path, believed: Path, capsys: pytest.CaptureFixture[str]
):
    changed(bundle / "tile/entries/000.p/12", lambda raw: raw.replace(b"comment-added", b"comment-adder", 1))
    add_up(bundle)

    assert verify(bundle, policy=believed) == 2
    shown = capsys.readouterr().out
    assert verify(bundle, policy=believed, json=True) == 2
    told = json.loads(capsys.readouterr().out)

    assert shown.startswith("TAMPERED")
    assert f"position: 1\n    stream: {on('a')[0].stream}\n" in shown
    assert (told["verdict"], told["found"][0]["code"], told["found"][0]["facts"]["position"]) == (
        2,
        "entry-differs",
        1,
    )


def test_it_reads_no_settings_and_loads_nothing_of_the_service(bundle: Path, believed: Path):
    environ = {"PATH": "/usr/bin:/bin", "LEDGER_ENVIRONMENT": "nonsense", "LEDGER_DATABASE_URL": "no url"}
    command = [sys.executable, "-c", ASKED_FOR_NOTHING, bundle, believed]

    done = subprocess.run(command, capture_output=True, text=True, env=environ, check=False)

    assert (done.returncode, done.stderr.strip().splitlines()[-1]) == (0, "[]")


def test_an_earlier_checkpoint_of_another_history_is_a_fork(bundle: Path, believed: Path, tmp_path: Path):
    (tmp_path / "since").write_bytes(checkpoint(list(reversed(LEAVES))[:5]))

    assert verify(bundle, policy=believed, since=tmp_path / "since") == 3


def test_a_policy_that_is_not_met_has_its_own_exit_code(bundle: Path, tmp_path: Path):
    (tmp_path / "strict").write_text(policy(quorum="A", witnesses=WITNESSES[:1]))

    assert verify(bundle, policy=tmp_path / "strict") == 4


def test_a_part_of_the_log_is_verified_and_incomplete(
    believed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    part = Bundle(sealed=list(HISTORY), first=3, last=5).write(tmp_path / "part")

    assert verify(part, policy=believed) == 5
    assert (
        "missing: what events 1 to 2 and 6 to 12 say: the bundle was exported for 3 to 5"
        in capsys.readouterr().out
    )


def test_what_cannot_be_used_says_why(
    bundle: Path, believed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    (tmp_path / "wrong").write_text("log nobody\nquorum none\n")

    assert [
        verify(),
        verify(bundle),
        verify(bundle, policy=tmp_path / "nowhere"),
        verify(bundle, policy=tmp_path / "wrong"),
        verify(bundle, policy=believed, max_age="soon"),
        verify(bundle, policy=believed, tier="all"),
        verify(tmp_path / "nowhere", policy=believed),
    ] == [1] * 7
    codes = [line.rpartition("[")[2] for line in capsys.readouterr().out.splitlines() if line.endswith("]")]
    assert codes == [
        "one-or-the-other]",
        "no-policy]",
        "file-unreadable]",
        "key-malformed]",
        "not-a-duration]",
        "tier-unknown]",
        "no-bundle]",
    ]


# Proofs of one entry.


@pytest.fixture
def proof(tmp_path: Path) -> Path:
    path = tmp_path / "e.tlog-proof"
    path.write_bytes(proof_text(4, LEAVES))
    return path


def entry(tmp_path: Path, content: bytes) -> Path:
    path = tmp_path / "e.json"
    path.write_bytes(content)
    return path


def test_a_proof_holds_for_its_entry(
    proof: Path, believed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    assert check(proof, entry=entry(tmp_path, HISTORY[4].envelope), policy=believed) == 0

    assert (
        f"comment-added of {on('b')[0].stream}, version 2, recorded at 2026-03-01" in capsys.readouterr().out
    )


def test_programs_are_told_of_the_event_what_people_are(
    proof: Path, believed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    assert check(proof, entry=entry(tmp_path, HISTORY[4].envelope), policy=believed, json=True) == 0

    told = json.loads(capsys.readouterr().out)["checked"]
    assert (told["leaf_hash"], told["size"]) == (LEAVES[4].hex(), len(HISTORY[4].envelope))
    assert told["event"] == {
        "type": "comment-added",
        "stream": on("b")[0].stream,
        "version": 2,
        "recorded_at": "2026-03-01T08:30:00.000000Z",
        "actor": ANN,
    }


def test_a_proof_holds_for_no_other_bytes(proof: Path, believed: Path, tmp_path: Path):
    honest = HISTORY[4].envelope
    for at in range(len(honest)):
        other = honest[:at] + bytes([honest[at] ^ 1]) + honest[at + 1 :]
        assert check(proof, entry=entry(tmp_path, other), policy=believed) == 2


def test_a_newline_that_an_editor_added_is_told_apart_from_tampering(
    proof: Path, believed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    assert check(proof, entry=entry(tmp_path, HISTORY[4].envelope + b"\n"), policy=believed) == 1
    assert "[newline-added]" in capsys.readouterr().out

    assert check(proof, entry=entry(tmp_path, b"something else\n"), policy=believed) == 2


def test_every_flipped_bit_of_a_proof_is_refused(proof: Path, believed: Path, tmp_path: Path):
    """But for the extra line, which says nothing that is authenticated."""
    event, honest = entry(tmp_path, HISTORY[4].envelope), proof.read_bytes()
    for at in range(len(honest)):
        proof.write_bytes(honest[:at] + bytes([honest[at] ^ 1 << at % 8]) + honest[at + 1 :])
        assert check(proof, entry=event, policy=believed) in {2, 4}, at


def test_an_extra_line_is_let_be(believed: Path, tmp_path: Path):
    (tmp_path / "p").write_bytes(proof_text(4, LEAVES, extra=b"whatever"))

    assert check(tmp_path / "p", entry=entry(tmp_path, HISTORY[4].envelope), policy=believed) == 0


def test_a_proof_by_another_log_is_not_accepted(proof: Path, tmp_path: Path):
    (tmp_path / "policy").write_text(
        policy().replace(policy().split()[1], Signatory(name="ledger.example/other").vkey)
    )

    assert check(proof, entry=entry(tmp_path, HISTORY[4].envelope), policy=tmp_path / "policy") == 4


def test_moments_are_written_for_people():
    assert moment(SEEN_AT) == "2026-09-21 14:13:20 UTC"
    assert moment(2**62) == f"second {2**62}"


def test_rows_are_verified_beside_the_service_and_what_nobody_sealed_is_said(
    installed: Database, capsys: pytest.CaptureFixture[str]
):
    assert verify(database=True) == 5

    assert "missing: a checkpoint: nothing was sealed yet" in capsys.readouterr().out


def test_what_nobody_looked_for_is_not_said_to_be_signed(capsys: pytest.CaptureFixture[str]):
    print_report(Report(first=1, last=5), as_json=False)

    told = capsys.readouterr().out
    assert "Nobody looked whose signature" in told
    assert "since the log signed this" not in told


def test_what_is_not_sealed_yet_is_not_said_to_be_signed(capsys: pytest.CaptureFixture[str]):
    by = Attested(origin="o", size=3, root="", log_key="", quorum="none", cosigned={})

    print_report(Report(first=1, last=5, unsealed_from=4, attested=by), as_json=False)

    assert "none of the events 1 to 3 was changed" in capsys.readouterr().out


def test_what_is_asked_of_bundles_is_not_passed_over_for_a_database(
    believed: Path, capsys: pytest.CaptureFixture[str]
):
    for asked in ({"max_age": "1h"}, {"tsa": believed}, {"tier": "payload"}):
        assert verify(database=True, **asked) == 1
        assert "[about-bundles]" in capsys.readouterr().out


def test_rows_that_do_not_go_on_from_an_earlier_checkpoint_are_a_fork(
    installed: Database, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    (tmp_path / "last.checkpoint").write_bytes(checkpoint(LEAVES))

    assert verify(database=True, since=tmp_path / "last.checkpoint") == 3

    assert "[log-shrunk]" in capsys.readouterr().out
