"""A witness over HTTP, without a server: paths, methods, sizes, and requests that never come to an end."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from ledger.witness import app as serving
from ledger.witness.app import WitnessApp
from ledger.witness.memory import Memory
from ledger.witness.witness import Witness
from tests.support.small_log import SmallLog


@pytest.fixture
def broken() -> list[OSError]:
    """What kept a checkpoint from being written."""
    return []


@pytest.fixture
def app(witness: Witness, broken: list[OSError]) -> WitnessApp:
    return WitnessApp(witness, broken=broken.append)


@pytest.fixture
async def client(app: WitnessApp) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://witness") as found:
        yield found


async def test_a_checkpoint_is_cosigned(client: httpx.AsyncClient, log: SmallLog):
    answer = await client.post("/add-checkpoint", content=log.request(0, 5))
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/plain; charset=utf-8")
    assert answer.text.startswith("— witness.example/w1 ")
    assert answer.headers["cache-control"] == "no-store"


async def test_a_conflict_has_a_media_type_of_its_own(client: httpx.AsyncClient, log: SmallLog):
    await client.post("/add-checkpoint", content=log.request(0, 5))
    answer = await client.post("/add-checkpoint", content=log.request(2, 9))
    assert (answer.status_code, answer.headers["content-type"], answer.text) == (
        409,
        "text/x.tlog.size",
        "5\n",
    )


async def test_it_says_who_it_is_and_how_far(client: httpx.AsyncClient, log: SmallLog, witness: Witness):
    await client.post("/add-checkpoint", content=log.request(0, 5))
    told = (await client.get("/")).text
    assert told == f"witness witness.example/w1\nvkey {witness.cosigner.vkey}\nlog {log.origin} 5\n"


@pytest.mark.parametrize(
    ("method", "path", "status", "allow"),
    [
        ("GET", "/add-checkpoint", 405, "POST"),
        ("POST", "/", 405, "GET, HEAD"),
        ("GET", "/elsewhere", 404, None),
        ("HEAD", "/", 200, None),
    ],
)
async def test_it_answers_nothing_else(
    client: httpx.AsyncClient, method: str, path: str, status: int, allow: str | None
):
    answer = await client.request(method, path)
    assert (answer.status_code, answer.headers.get("allow")) == (status, allow)
    assert (answer.content == b"") is (method == "HEAD")


async def test_a_body_that_is_too_long_is_refused(client: httpx.AsyncClient, log: SmallLog):
    answer = await client.post("/add-checkpoint", content=log.request(0, 5) + b"x" * 300_000)
    assert answer.status_code == 413


async def test_what_cannot_be_written_is_not_cosigned(
    client: httpx.AsyncClient, log: SmallLog, memory: Memory, broken: list[OSError]
):
    await client.post("/add-checkpoint", content=log.request(0, 5))
    (kept,) = memory.folder.glob("*.checkpoint")
    (memory.folder / f".{kept.name}.new").mkdir()

    answer = await client.post("/add-checkpoint", content=log.request(5, 9))

    assert (answer.status_code, "— " in answer.text) == (503, False)
    assert [type(one) for one in broken] == [IsADirectoryError]


async def asked(app: WitnessApp, receive) -> list[dict]:
    sent: list[dict] = []

    async def send(message) -> None:
        sent.append(message)

    await app({"type": "http", "method": "POST", "path": "/add-checkpoint"}, receive, send)
    return sent


async def test_a_body_that_does_not_come_is_not_waited_for_for_ever(
    app: WitnessApp, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(serving, "BODY_SECONDS", 0.01)
    sent = await asked(app, asyncio.Event().wait)
    assert sent[0]["status"] == 408


async def test_who_hangs_up_is_not_answered(app: WitnessApp):
    async def gone() -> dict:
        return {"type": "http.disconnect"}

    assert await asked(app, gone) == []


async def test_nothing_but_http_is_spoken(app: WitnessApp, tmp_path: Path):
    await app({"type": "lifespan"}, asyncio.Event().wait, None)
