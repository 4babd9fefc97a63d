"""``ledger audit check --evidence``: an honest folder is accepted, and every change of what it shows is found."""

import hashlib
import re
import shutil
import subprocess
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import msgspec
import pytest
import pytest_asyncio

from ledger.cli.audit.command import check
from ledger.sealing.notes import Signer
from ledger.verifier.evidence import verify_evidence
from ledger.verifier.policy import Policy, parse_policy
from ledger.verifier.verdict import Verdict
from tests.cli.test_audit_evidence import desk, folder_of, home
from tests.support.desk import Desk
from tests.support.sealed_log import ORIGIN, SIGNER

together = pytest.mark.asyncio(loop_scope="module")
__all__ = ["desk", "home"]


def policy_of(signer: Signer) -> Policy:
    return parse_policy(f"log {signer.vkey}\nquorum none\n".encode())


BELIEVED = policy_of(SIGNER)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def honest(desk: Desk, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Path]:
    yield await folder_of(desk, "CASE-1", tmp_path_factory.mktemp("honest") / "case")


def summed_up(folder: Path) -> None:
    """List the files anew, as whoever changes one would."""
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    names.remove("SHA256SUMS")
    lines = [f"{hashlib.sha256((folder / name).read_bytes()).hexdigest()}  {name}\n" for name in names]
    (folder / "SHA256SUMS").write_text("".join(lines), encoding="utf-8")


def replaced(file: Path, old: bytes, new: bytes) -> None:
    content = file.read_bytes()
    assert old in content
    file.write_bytes(content.replace(old, new))


def copied_as_told(folder: Path) -> None:
    (copy,) = re.findall(r"(?m)^cp .*", (folder / "index.html").read_text("utf-8"))
    subprocess.run(["sh", "-c", copy], cwd=folder, check=True)


def without_line(file: Path, number: int) -> None:
    lines = file.read_bytes().splitlines(keepends=True)
    del lines[number]
    file.write_bytes(b"".join(lines))


def another_proof(folder: Path) -> None:
    first, second = sorted((folder / "proofs").iterdir())[:2]
    shutil.copy(first, second)


def another_actor(file: Path) -> None:
    line = msgspec.json.decode(file.read_bytes().splitlines()[0])
    replaced(file, f'"actor":"{line["actor"]}"'.encode(), b'"actor":"somebody"')


def another_name(folder: Path) -> None:
    """Of somebody whose line has no user name that it could be compared with."""
    people = msgspec.json.decode((folder / "people.json").read_bytes())
    people[0] = {"person": people[0]["person"], "full_name": "Eve"}
    (folder / "people.json").write_bytes(msgspec.json.encode(people))


CHANGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "words": (lambda it: replaced(it / "events.ndjson", b"Quiet Heron", b"Loud Heron"), "payload-differs"),
    "vote": (lambda it: replaced(it / "events.ndjson", b'approve\\"', b'reject\\"'), "payload-differs"),
    "salt": (lambda it: replaced(it / "events.ndjson", b'"salt":"', b'"salt":"00'), "payload-differs"),
    "entry": (lambda it: next((it / "entries").iterdir()).write_bytes(b"{}"), "decision-not-whole"),
    "middle": (lambda it: without_line(it / "events.ndjson", 2), "decision-not-whole"),
    "first": (lambda it: without_line(it / "events.ndjson", 0), "decision-not-whole"),
    "all": (lambda it: (it / "events.ndjson").write_bytes(b""), "decision-not-whole"),
    "proof": (another_proof, "proof-malformed"),
    "file": (lambda it: next((it / "files").iterdir()).write_bytes(b"sewn"), "attached-differs"),
    "name": (lambda it: replaced(it / "people.json", b"ben of", b"Ben of"), "name-differs"),
    "person": (lambda it: replaced(it / "people.json", b'"person": "', b'"person": "0'), "name-differs"),
    "name without a user name": (another_name, "name-differs"),
    "actor": (lambda it: another_actor(it / "events.ndjson"), "line-differs"),
    "moment": (
        lambda it: replaced(it / "events.ndjson", b'"recorded_at":"20', b'"recorded_at":"19'),
        "line-differs",
    ),
    "leaf hash": (
        lambda it: replaced(it / "events.ndjson", b'"leaf_hash":"', b'"leaf_hash":"0'),
        "line-differs",
    ),
    "more in a line": (
        lambda it: replaced(it / "events.ndjson", b'"salt":', b'"signed_by":"Eve","salt":'),
        "lines-malformed",
    ),
    "twice in a line": (
        lambda it: replaced(it / "events.ndjson", b'"salt":', b'"actor":"Eve","salt":'),
        "lines-malformed",
    ),
    "a file more": (lambda it: (it / "files/001-zz.pdf").write_bytes(b"forged"), "file-unexpected"),
    "no JSON": (lambda it: (it / "people.json").write_bytes(b"{"), "lines-malformed"),
    "checkpoint": (
        lambda it: replaced(it / "checkpoint", ORIGIN.encode(), b"another.example/log"),
        "no-log-signature",
    ),
}


@together
async def test_an_honest_folder_is_verified(honest: Path):
    report = verify_evidence(honest, BELIEVED)
    assert (report.verdict, report.found, report.missing) == (Verdict.VERIFIED, [], [])
    events = [msgspec.json.decode(line) for line in (honest / "events.ndjson").read_bytes().splitlines()]
    assert (report.first, report.last) == (events[0]["position"], events[-1]["position"])


@together
@pytest.mark.parametrize("change", CHANGES)
async def test_what_was_changed_is_found_whatever_the_list_of_files_says(
    honest: Path, tmp_path: Path, change: str
):
    act, code = CHANGES[change]
    shutil.copytree(honest, tmp_path / "changed")
    act(tmp_path / "changed")
    assert verify_evidence(tmp_path / "changed", BELIEVED).found[0].code == "files-differ"
    summed_up(tmp_path / "changed")
    report = verify_evidence(tmp_path / "changed", BELIEVED)
    assert report.verdict in {Verdict.TAMPERED, Verdict.POLICY_NOT_MET}
    assert report.found[0].code == code


@together
async def test_a_log_that_nobody_believes_is_not_accepted(honest: Path):
    report = verify_evidence(honest, policy_of(Signer(ORIGIN, bytes(32))))
    assert (report.verdict, report.found[0].code) == (Verdict.POLICY_NOT_MET, "no-log-signature")


@together
async def test_what_is_not_there_is_told(desk: Desk, honest: Path, tmp_path: Path):
    report = verify_evidence(await folder_of(desk, "OPEN", tmp_path / "open"), BELIEVED)
    assert report.verdict is Verdict.INCOMPLETE
    (told,) = report.missing
    assert told.startswith(
        f"a proof of position {report.last}: the checkpoint here is of {report.last - 1} events;"
    )
    assert report.unproven == 1
    shutil.copytree(honest, tmp_path / "changed")
    shutil.rmtree(tmp_path / "changed/files")
    summed_up(tmp_path / "changed")
    report = verify_evidence(tmp_path / "changed", BELIEVED)
    assert (report.verdict, len(report.missing)) == (Verdict.INCOMPLETE, 1)


@together
async def test_a_proof_that_was_taken_out_is_missed(honest: Path, tmp_path: Path):
    """Without it whatever is written over the last event would read as not sealed yet."""
    shutil.copytree(honest, tmp_path / "case")
    last = max((tmp_path / "case/proofs").iterdir(), key=lambda path: int(path.stem))
    last.unlink()
    summed_up(tmp_path / "case")

    report = verify_evidence(tmp_path / "case", BELIEVED)

    assert (report.verdict, report.found[0].code) == (Verdict.TAMPERED, "proof-missing")
    assert report.found[0].facts["position"] == int(last.stem)


@together
async def test_whatever_is_written_on_the_page_the_decision_is_named_by_its_submission(
    honest: Path, tmp_path: Path
):
    shutil.copytree(honest, tmp_path / "case")
    replaced(tmp_path / "case/index.html", b"CASE-1", b"CASE-2")
    summed_up(tmp_path / "case")

    assert verify_evidence(tmp_path / "case", BELIEVED).decision == "CASE-1"


@together
async def test_a_folder_that_no_log_stands_for_is_not_accepted(
    honest: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    shutil.copytree(honest, tmp_path / "case")
    shutil.rmtree(tmp_path / "case/proofs")
    (tmp_path / "case/checkpoint").unlink()
    summed_up(tmp_path / "case")
    policy = tmp_path / "policy.txt"
    policy.write_text(f"log {SIGNER.vkey}\nquorum none\n", encoding="utf-8")

    assert check(evidence=tmp_path / "case", policy=policy) == Verdict.POLICY_NOT_MET
    assert "[nothing-signed]" in capsys.readouterr().out


@together
async def test_what_nobody_has_signed_is_not_told_as_sealed(
    desk: Desk, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    folder = await folder_of(desk, "OPEN", tmp_path / "open")
    policy = tmp_path / "policy.txt"
    policy.write_text(f"log {SIGNER.vkey}\nquorum none\n", encoding="utf-8")

    assert check(evidence=folder, policy=policy) == Verdict.INCOMPLETE
    assert "but for those without a proof" in capsys.readouterr().out


@together
async def test_who_follows_the_page_finds_an_honest_folder_verified(honest: Path, tmp_path: Path):
    shutil.copytree(honest, tmp_path / "case")
    copied_as_told(tmp_path / "case")
    (used,) = set(re.findall(r"--policy (\S+)", (honest / "index.html").read_text("utf-8")))
    policy = (tmp_path / "case" / used).resolve()
    replaced(policy, f"# log {ORIGIN}+…".encode(), f"log {SIGNER.vkey}".encode())
    assert check(evidence=tmp_path / "case", policy=policy) == Verdict.VERIFIED


@together
async def test_a_folder_of_before_whose_template_had_another_name_is_verified(honest: Path, tmp_path: Path):
    shutil.copytree(honest, tmp_path / "case")
    (tmp_path / "case/policy-template.txt").rename(tmp_path / "case/policy.txt")
    summed_up(tmp_path / "case")
    assert verify_evidence(tmp_path / "case", BELIEVED).verdict is Verdict.VERIFIED


@together
async def test_the_command_says_what_it_means(
    honest: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    policy = tmp_path / "policy.txt"
    policy.write_text(f"log {SIGNER.vkey}\nquorum none\n", encoding="utf-8")
    assert check(evidence=honest, policy=policy) == Verdict.VERIFIED
    told = capsys.readouterr().out
    assert told.startswith("Verified.\n  decision CASE-1, from position ")
    assert "in the words of whoever made the folder" in told
    assert check(evidence=honest, policy=policy, json=True) == Verdict.VERIFIED
    assert msgspec.json.decode(capsys.readouterr().out)["verdict"] == 0


def test_a_proof_or_a_folder_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    for arguments in (
        {},
        {"proof": tmp_path},
        {"entry": tmp_path},
        {"evidence": tmp_path, "entry": tmp_path},
    ):
        assert check(**arguments) == Verdict.UNUSABLE
        assert "[proof-or-evidence]" in capsys.readouterr().out
    policy = tmp_path / "policy.txt"
    policy.write_text(f"log {SIGNER.vkey}\nquorum none\n", encoding="utf-8")
    assert check(evidence=tmp_path / "none", policy=policy) == Verdict.UNUSABLE
