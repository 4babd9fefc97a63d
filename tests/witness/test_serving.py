"""``ledger witness serve`` as a partner runs it: a process, a folder, HTTP."""

import itertools
import signal
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from tests.support.small_log import SmallLog
from tests.support.witnesses import ServedWitness, served_witness

pytestmark = [pytest.mark.processes, pytest.mark.long]


@pytest.fixture(scope="module")
def log() -> SmallLog:
    return SmallLog(leaves=400)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, log: SmallLog) -> Iterator[ServedWitness]:
    """One witness of the log and of as many others as tests that need one to themselves."""
    others = [SmallLog(f"other.example/{number}").vkey for number in range(4)]
    with served_witness(tmp_path_factory.mktemp("witness"), log.vkey, *others) as witness:
        yield witness


def test_it_cosigns_over_http_and_says_how_far(served: ServedWitness):
    log = SmallLog("other.example/0")
    answer = served.add(log.request(0, 5))
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/plain; charset=utf-8")
    assert answer.text.startswith("— witness.example/w1 ")
    assert "log other.example/0 5\n" in served.introduction()


def test_it_says_who_it_is(served: ServedWitness):
    assert served.introduction().startswith(f"witness witness.example/w1\nvkey {served.vkey}\n")


def test_a_conflict_names_the_size_in_a_media_type_of_its_own(served: ServedWitness):
    log = SmallLog("other.example/1")
    served.add(log.request(0, 5))
    answer = served.add(log.request(2, 9))
    assert (answer.status_code, answer.headers["content-type"], answer.text) == (
        409,
        "text/x.tlog.size",
        "5\n",
    )


def test_a_caller_who_hangs_up_in_the_middle_does_no_harm(served: ServedWitness):
    port = int(served.url.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port)) as half:
        half.sendall(b"POST /add-checkpoint HTTP/1.1\r\nHost: w\r\nContent-Length: 100\r\n\r\nold 0\n")
    assert served.add(b"nothing").status_code == 400


def test_many_at_once_get_no_cosignatures_that_contradict(served: ServedWitness):
    log = SmallLog("other.example/2")
    answers: list[httpx2.Response] = []

    def ask(size: int) -> None:
        answers.append(served.add(log.request(0, size)))

    threads = [threading.Thread(target=ask, args=(size,)) for size in range(1, 17)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answer.status_code for answer in answers) == [200, *[409] * 15]


def test_a_kill_loses_no_cosignature(tmp_path: Path, log: SmallLog):
    given = 0
    for kill_after in (1, 4):
        with served_witness(tmp_path, log.vkey) as witness:
            for _ in range(kill_after):
                assert witness.add(log.request(given, given + 10)).status_code == 200
                given += 10
            racing = threading.Thread(target=_ask_until_it_dies, args=(witness, log, given))
            racing.start()
            witness.stop(signal.SIGKILL)
            racing.join()
        with served_witness(tmp_path, log.vkey) as witness:
            told = witness.add(log.request(0, 1))
            assert told.status_code == 409
            assert int(told.text) >= given
            given = int(told.text)


def _ask_until_it_dies(witness: ServedWitness, log: SmallLog, size: int) -> None:
    try:
        for old, new in itertools.pairwise(range(size, size + 20)):
            witness.add(log.request(old, new))
    except httpx2.TransportError:
        return


def test_ctrl_c_ends_it_cleanly_and_it_comes_back_as_the_same(tmp_path: Path, log: SmallLog):
    with served_witness(tmp_path, log.vkey) as witness:
        assert witness.stop(signal.SIGINT) == 0
        assert "Traceback" not in witness.output.rest()
    with served_witness(tmp_path, log.vkey) as again:
        assert again.vkey == witness.vkey
        assert again.stop(signal.SIGTERM) == 0
