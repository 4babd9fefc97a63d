"""``ledger witness serve``, in this process: what it refuses to start with, and a run from start to Ctrl-C."""

import asyncio
import os
import signal
from pathlib import Path

import httpx2
import pytest

from ledger.cli import witness
from ledger.verifier.notes import parse_key
from ledger.witness.connection import Connection
from ledger.witness.cosigner import Cosigner, keep_key
from ledger.witness.memory import Memory
from ledger.witness.witness import Witness
from tests.support.small_log import SmallLog

LOG = SmallLog()
HANG = 60.0


def refused(folder: Path, capsys: pytest.CaptureFixture[str], **change: object) -> str:
    """What it says when it does not start."""
    files = {"key": folder / "key", "state": folder / "state"}
    chosen = {**files, "log": [LOG.vkey], "listen": "127.0.0.1:0", "name": "w.example/1", **change}
    assert witness.serve(**chosen) == 1
    return capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"log": ["no key"]}, "no verifier key"),
        ({"log": [Cosigner("w", bytes(32)).vkey]}, "no verifier key"),
        ({"listen": "8020"}, "no place to listen"),
        ({"listen": ":8020"}, "no place to listen"),
        ({"listen": "127.0.0.1:99999"}, "no place to listen"),
        ({"listen": "192.0.2.1:8020"}, "cannot listen"),
        ({"name": None}, "give the new key a --name"),
        ({"name": "two words"}, "without spaces"),
    ],
)
def test_what_it_cannot_start_with_is_said_in_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], change: dict[str, object], said: str
):
    assert said in refused(tmp_path, capsys, **change)


def test_two_never_share_a_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    with Memory(tmp_path / "state"):
        assert "Another witness is at work" in refused(tmp_path, capsys)


def test_a_key_without_its_memory_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    keep_key(tmp_path / "key", Cosigner.made("w.example/1"))
    assert "begin anew with a new key" in refused(tmp_path, capsys)


def test_a_new_key_does_not_take_the_memory_of_another(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """As when the file of the key is misspelt: the right one would find its memory taken."""
    with Memory(tmp_path / "state") as memory:
        first = of(tmp_path, memory)
        assert first.add_checkpoint(LOG.request(0, 5)).status == 200

    assert "the memory of another key" in refused(tmp_path, capsys, key=tmp_path / "misspelt")

    assert not (tmp_path / "misspelt").exists()
    with Memory(tmp_path / "state") as memory:
        assert of(tmp_path, memory).cosigner.vkey == first.cosigner.vkey


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    (tmp_path / "state").write_text("a file")
    assert "does not say what the witness has cosigned" in refused(tmp_path, capsys)


def of(folder: Path, memory: Memory) -> Witness:
    cosigner = witness._cosigner(folder / "key", "w.example/1", memory)
    return Witness(cosigner, memory, [parse_key(LOG.vkey)], clock=lambda: 1)


async def test_it_serves_until_ctrl_c_and_comes_back_as_the_same(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    vkeys = []
    for number in (signal.SIGINT, signal.SIGTERM):
        with Memory(tmp_path / "state") as memory, witness._listening("127.0.0.1:0") as taken:
            served = of(tmp_path, memory)
            running = asyncio.create_task(witness._serve(served, taken))
            async with httpx2.AsyncClient(trust_env=False) as client:
                told = await client.get(f"http://127.0.0.1:{taken.getsockname()[1]}/")
            assert told.text.startswith("witness w.example/1\n")
            os.kill(os.getpid(), number)
            await asyncio.wait_for(running, HANG)
            vkeys.append(served.cosigner.vkey)
    assert vkeys[0] == vkeys[1]
    assert f"Public key     {vkeys[0]}" in capsys.readouterr().out


@pytest.mark.parametrize(
    "begun",
    [b"", b"POST /add-check", b"POST /add-checkpoint HTTP/1.1\r\nHost: w\r\nContent-Length: 9\r\n\r\nold"],
    ids=["nothing", "half a head", "half a body"],
)
async def test_a_request_that_never_arrives_is_hung_up_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, begun: bytes
):
    monkeypatch.setattr(Connection, "request_seconds", 0.05)
    with Memory(tmp_path / "state") as memory, witness._listening("127.0.0.1:0") as taken:
        running = asyncio.create_task(witness._serve(of(tmp_path, memory), taken))
        reader, writer = await asyncio.open_connection(*taken.getsockname())
        writer.write(begun)
        assert await asyncio.wait_for(reader.read(), HANG) == b""
        writer.close()
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.wait_for(running, HANG)
