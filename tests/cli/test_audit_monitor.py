"""``ledger audit monitor``: it remembers, and a log that tells another story is found out."""

import json
import shutil
import threading
import time
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from ledger.cli.audit.monitor import monitor
from tests.support.bundles import WITNESSES, Bundle, Sealed, changed, checkpoint, hashes_of, on, policy, seal
from tests.support.noting import Signatory

HISTORY = seal(on(*("abcabbcadeab" * 55)))
OTHER = on(*("abcabbcadeab" * 55))
OTHER[7].recorded_at = "2025-03-01T08:30:00.000000Z"
FORKED = seal(OTHER)


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing."""


class Log:
    """A log served from a folder: checkpoint and tiles, as the surface of the service has them."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder, self.url = folder, url

    def tells(self, history: list[Sealed], **more: object) -> None:
        Bundle(sealed=history, **more).write(self.folder / "tlog")


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Log]:
    folder = tmp_path / "served"
    folder.mkdir()
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield Log(folder, f"http://127.0.0.1:{server.server_address[1]}")
        server.shutdown()
        thread.join()


@pytest.fixture
def believed(tmp_path: Path) -> Path:
    path = tmp_path / "policy.txt"
    path.write_text(policy())
    return path


@pytest.mark.parametrize("sizes", [(1, 2, 3), (12, 12), (200, 256, 257), (255, 660), (512, 660), (0, 5)])
def test_a_log_that_goes_on_is_followed(sizes: tuple[int, ...], log: Log, believed: Path, tmp_path: Path):
    for size in sizes:
        log.tells(HISTORY[:size])
        assert monitor(log.url, state=tmp_path / "state", policy=believed, once=True) == 0

    assert (tmp_path / "state/checkpoint").read_bytes() == (log.folder / "tlog/checkpoint").read_bytes()


@pytest.mark.parametrize("size", [12, 300, 600, 660])
def test_another_story_is_a_fork_and_both_are_kept(size: int, log: Log, believed: Path, tmp_path: Path):
    state = tmp_path / "state"
    log.tells(HISTORY[:300])
    assert monitor(log.url, state=state, policy=believed, once=True) == 0
    older = (log.folder / "tlog/checkpoint").read_bytes()

    log.tells(FORKED[:size])
    assert monitor(log.url, state=state, policy=believed, once=True) == 3

    (evidence,) = state.glob("evidence-*")
    assert (evidence / "older.checkpoint").read_bytes() == older
    assert (evidence / "newer.checkpoint").read_bytes() == (log.folder / "tlog/checkpoint").read_bytes()
    assert (state / "checkpoint").read_bytes() == older, "what was seen first stays the measure"


def test_a_fork_ends_the_watch_that_would_go_on_for_good(log: Log, believed: Path, tmp_path: Path):
    log.tells(HISTORY[:300])
    assert monitor(log.url, state=tmp_path / "state", policy=believed, once=True) == 0
    log.tells(HISTORY[:200])

    assert monitor(log.url, state=tmp_path / "state", policy=believed) == 3


def test_tiles_that_are_not_those_of_the_checkpoint_are_found_out(log: Log, believed: Path, tmp_path: Path):
    log.tells(HISTORY[:200])
    assert monitor(log.url, state=tmp_path / "state", policy=believed, once=True) == 0
    log.tells(HISTORY[:600])
    changed(log.folder / "tlog/tile/0/000", lambda hashes: b"\0" * 32 + hashes[32:])

    assert monitor(log.url, state=tmp_path / "state", policy=believed, once=True) == 2


def test_tiles_of_the_old_story_do_not_hide_a_checkpoint_of_another(log: Log, believed: Path, tmp_path: Path):
    log.tells(HISTORY[:200])
    assert monitor(log.url, state=tmp_path / "state", policy=believed, once=True) == 0
    log.tells(HISTORY[:600])
    (log.folder / "tlog/checkpoint").write_bytes(checkpoint(hashes_of(FORKED[:600])))

    assert monitor(log.url, state=tmp_path / "state", policy=believed, once=True) == 2


def test_another_log_in_the_place_of_the_first_is_a_fork(log: Log, tmp_path: Path):
    other = Signatory(name="ledger.example/other")
    (tmp_path / "policy").write_text(f"log {other.vkey}\n{policy()}")
    log.tells(HISTORY[:3])
    assert monitor(log.url, state=tmp_path / "state", policy=tmp_path / "policy", once=True) == 0
    (log.folder / "tlog/checkpoint").write_bytes(checkpoint(hashes_of(HISTORY[:3]), by=other))

    assert monitor(log.url, state=tmp_path / "state", policy=tmp_path / "policy", once=True) == 3


def test_a_log_of_another_key_is_not_accepted(log: Log, believed: Path, tmp_path: Path):
    log.tells(HISTORY[:3])
    changed(log.folder / "tlog/checkpoint", lambda raw: raw.replace(b"ledger.example", b"ledger.exbmple"))

    assert monitor(log.url, state=tmp_path / "state", policy=believed, once=True) == 4
    assert not (tmp_path / "state").exists()


def test_without_a_policy_it_is_consistent_and_no_more_and_says_so_at_once(
    log: Log, believed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    log.tells(HISTORY[:3])

    assert monitor(log.url, state=tmp_path / "state", once=True) == 5
    assert "nobody looks whose signatures the checkpoints bear" in capsys.readouterr().out.splitlines()[0]

    assert monitor(log.url, state=tmp_path / "state", policy=believed, once=True) == 0
    assert "nobody looks" not in capsys.readouterr().out


def test_a_log_that_no_witness_saw_lately_is_complained_about(log: Log, tmp_path: Path):
    (tmp_path / "policy").write_text(policy(quorum="A", witnesses=WITNESSES))
    log.tells(HISTORY[:3], witnesses=WITNESSES[:1])

    asked = {"state": tmp_path / "state", "policy": tmp_path / "policy", "once": True}
    assert monitor(log.url, max_age="1s", **asked) == 4
    assert monitor(log.url, max_age="9999d", **asked) == 0


def test_a_fork_is_found_out_though_too_few_witnesses_have_seen_it(log: Log, tmp_path: Path):
    """The newest checkpoint of a busy log is seldom cosigned yet when it is fetched."""
    (tmp_path / "policy").write_text(policy(quorum="A", witnesses=WITNESSES))
    asked = {"state": tmp_path / "state", "policy": tmp_path / "policy", "once": True}
    log.tells(HISTORY[:300])
    assert monitor(log.url, **asked) == 4
    log.tells(HISTORY[:400], witnesses=WITNESSES[:1])
    assert monitor(log.url, **asked) == 0

    log.tells(FORKED[:600])
    assert monitor(log.url, **asked) == 3


def lists(log: Log, *notes: bytes) -> None:
    told = {"checkpoints": [{"size": 0, "note": note.decode()} for note in notes], "next": None}
    (log.folder / "tlog/checkpoints").write_text(json.dumps(told))


@pytest.mark.parametrize(
    ("age", "max_age", "code"), [(5, None, 0), (5, "1h", 0), (900, None, 4), (900, "1h", 0), (30, "1s", 4)]
)
def test_the_newest_checkpoint_may_wait_for_witnesses_where_one_before_it_has_them(
    age: int, max_age: str | None, code: int, log: Log, tmp_path: Path
):
    (tmp_path / "policy").write_text(policy(quorum="A", witnesses=WITNESSES))
    log.tells(HISTORY[:600])
    seen_at = int(time.time()) - age
    sealed = (hashes_of(HISTORY[:size]) for size in (200, 300))
    before = [checkpoint(leaves, witnesses=WITNESSES[:1], at=seen_at) for leaves in sealed]
    lists(log, *before, checkpoint(hashes_of(HISTORY[:500])))

    asked = {"state": tmp_path / "state", "policy": tmp_path / "policy", "once": True}
    assert monitor(log.url, max_age=max_age, **asked) == code


def test_where_no_checkpoint_has_its_witnesses_the_policy_is_not_met(
    log: Log, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    (tmp_path / "policy").write_text(policy(quorum="A", witnesses=WITNESSES))
    log.tells(HISTORY[:600])
    asked = {"state": tmp_path / "state", "policy": tmp_path / "policy", "once": True}

    lists(log, checkpoint(hashes_of(HISTORY[:500]), witnesses=WITNESSES[1:], at=int(time.time())))
    assert monitor(log.url, **asked) == 4
    (log.folder / "tlog/checkpoints").write_text("[]")
    assert monitor(log.url, **asked) == 4

    assert capsys.readouterr().out.count("[no-quorum]") == 2


def test_what_witnesses_saw_before_must_be_what_the_newest_goes_on_from(log: Log, tmp_path: Path):
    (tmp_path / "policy").write_text(policy(quorum="A", witnesses=WITNESSES))
    log.tells(HISTORY[:600])
    other = checkpoint(hashes_of(FORKED[:300]), witnesses=WITNESSES[:1], at=int(time.time()))
    lists(log, other)

    asked = {"state": tmp_path / "state", "policy": tmp_path / "policy", "once": True}
    assert monitor(log.url, **asked) == 3

    (evidence,) = (tmp_path / "state").glob("evidence-*")
    assert (evidence / "older.checkpoint").read_bytes() == other


def test_a_log_that_does_not_answer_is_not_reachable(
    log: Log, believed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    assert monitor(log.url, state=tmp_path / "state", policy=believed, once=True) == 1
    assert monitor("http://127.0.0.1:1", state=tmp_path / "state", policy=believed, once=True) == 1
    said = capsys.readouterr().out
    assert said.count("[log-unreachable]") == 2
    assert f"url={log.url}/tlog/checkpoint" in said
    assert "url=http://127.0.0.1:1/tlog/checkpoint" in said


@pytest.mark.parametrize("address", ["ledger.example", "ftp://ledger.example", "https://"])
def test_what_is_no_address_is_not_looked_for_again_and_again(
    address: str, believed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    assert monitor(address, state=tmp_path / "state", policy=believed) == 1
    assert "[no-address]" in capsys.readouterr().out


def test_a_tile_that_is_missing_is_looked_for_again(log: Log, believed: Path, tmp_path: Path):
    log.tells(HISTORY[:200])
    assert monitor(log.url, state=tmp_path / "state", policy=believed, once=True) == 0
    log.tells(HISTORY[:600])
    shutil.rmtree(log.folder / "tlog/tile/0")

    assert monitor(log.url, state=tmp_path / "state", policy=believed, once=True) == 1
