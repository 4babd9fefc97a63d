"""A witness does not forget: not when it is killed, not when its folder is lost, and not to a second one."""

import subprocess
import sys
from pathlib import Path

import pytest

from ledger.verifier.notes import parse_key
from ledger.witness.cosigner import Cosigner
from ledger.witness.memory import Memory, MemoryInUse, MemoryUnusable
from ledger.witness.witness import Witness
from tests.support.small_log import SmallLog

STEPS = 5
"""The disk is asked before and after each of two flushes, and to rename in between."""


def _witness(memory: Memory, log: SmallLog) -> Witness:
    return Witness(Cosigner("witness.example/w1", bytes(32)), memory, [parse_key(log.vkey)], clock=lambda: 1)


def _killed(folder: Path, log: SmallLog, step: int) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        (sys.executable, "-m", "tests.support.dying_witness", str(folder), log.vkey, str(step)),
        input=log.request(5, 9),
        capture_output=True,
        check=False,
        timeout=60,
    )


def test_what_was_cosigned_is_known_after_a_restart(tmp_path: Path, log: SmallLog):
    with Memory(tmp_path) as memory:
        _witness(memory, log).add_checkpoint(log.request(0, 5))
    with Memory(tmp_path) as memory:
        witness = _witness(memory, log)
        assert witness.add_checkpoint(log.request(0, 3)).body == "5\n"
        assert witness.add_checkpoint(log.request(5, 9)).status == 200


@pytest.mark.parametrize("step", range(1, STEPS + 1))
def test_a_witness_killed_while_it_writes_cosigns_no_rollback_afterwards(
    tmp_path: Path, log: SmallLog, step: int
):
    with Memory(tmp_path) as memory:
        _witness(memory, log).add_checkpoint(log.request(0, 5))

    died = _killed(tmp_path, log, step)

    assert (died.returncode, died.stdout) == (-9, b"")
    with Memory(tmp_path) as memory:
        witness = _witness(memory, log)
        assert witness.standings()[0].size in {5, 9}
        assert witness.add_checkpoint(log.request(0, 3)).status == 409
        assert witness.add_checkpoint(log.fork(at=2).request(witness.standings()[0].size, 20)).status == 422


def test_a_cosignature_is_given_out_after_the_last_step_alone(tmp_path: Path, log: SmallLog):
    with Memory(tmp_path) as memory:
        _witness(memory, log).add_checkpoint(log.request(0, 5))

    lived = _killed(tmp_path, log, STEPS + 1)

    assert (lived.returncode, lived.stdout.splitlines()[0]) == (0, b"200")
    with Memory(tmp_path) as memory:
        assert _witness(memory, log).standings()[0].size == 9


def test_what_cannot_be_written_is_not_cosigned(tmp_path: Path, log: SmallLog):
    with Memory(tmp_path) as memory:
        witness = _witness(memory, log)
        witness.add_checkpoint(log.request(0, 5))
        draft = next(tmp_path.glob("*.checkpoint"))
        (tmp_path / f".{draft.name}.new").mkdir()

        with pytest.raises(IsADirectoryError):
            witness.add_checkpoint(log.request(5, 9))
        assert witness.standings()[0].size == 5


def test_a_second_witness_does_not_get_the_folder(tmp_path: Path):
    with Memory(tmp_path), pytest.raises(MemoryInUse):
        Memory(tmp_path).__enter__()


def test_the_folder_is_free_when_the_first_has_gone(tmp_path: Path):
    with Memory(tmp_path):
        pass
    with Memory(tmp_path):
        pass


@pytest.mark.parametrize("content", ["", "half a not", "other\n1\n" + "A" * 43 + "=\n\n— a AAAAAAA=\n"])
def test_a_file_that_cannot_be_read_keeps_the_witness_from_starting(
    tmp_path: Path, log: SmallLog, content: str
):
    with Memory(tmp_path) as memory:
        _witness(memory, log).add_checkpoint(log.request(0, 5))
        next(tmp_path.glob("*.checkpoint")).write_text(content)
    with Memory(tmp_path) as memory, pytest.raises(MemoryUnusable):
        _witness(memory, log)


def test_a_folder_that_does_not_know_the_key_is_refused(tmp_path: Path):
    key, other = Cosigner.made("witness.example/w1"), Cosigner.made("witness.example/w1")
    with Memory(tmp_path) as memory:
        with pytest.raises(MemoryUnusable):
            memory.check_owner(key.vkey)
        memory.belong_to(key.vkey)
        memory.check_owner(key.vkey)
        with pytest.raises(MemoryUnusable):
            memory.check_owner(other.vkey)


def test_only_the_owner_reads_what_is_remembered(tmp_path: Path, log: SmallLog):
    with Memory(tmp_path / "state") as memory:
        _witness(memory, log).add_checkpoint(log.request(0, 5))
    assert [path.stat().st_mode & 0o077 for path in (tmp_path / "state").rglob("*")] == [0, 0]
    assert (tmp_path / "state").stat().st_mode & 0o077 == 0
