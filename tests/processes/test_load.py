"""The load cases of the service that this one replaces: many calls at once over a real one, and every answer is right."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path

import httpx2
import pytest

from tests.support.http import verdict
from tests.support.items import item
from tests.support.postgres_folders import copied_folder
from tests.support.service import ADMIN, HANG_GUARD, PASSWORD, Service, service

pytestmark = [pytest.mark.processes, pytest.mark.long]

SUBMISSIONS, READS, MIXED, LOGINS = 50, 100, 60, 100


@pytest.fixture(scope="module")
def running(served_before: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = copied_folder(served_before, tmp_path_factory.mktemp("load") / "ledger")
    with service(settings={"LEDGER_DATA_DIR": str(folder)}) as found:
        yield found
        assert found.stop() == 0
        assert "Traceback" not in found.output.rest()


@pytest.fixture
async def client(running: Service) -> AsyncIterator[httpx2.AsyncClient]:
    headers = {"Authorization": f"Bearer {await asyncio.to_thread(running.login)}"}
    # No line is used twice: the service hangs up on one that was silent for long, as when passwords are checked.
    limits = httpx2.Limits(max_connections=LOGINS, max_keepalive_connections=0)
    async with httpx2.AsyncClient(
        base_url=running.url, headers=headers, limits=limits, timeout=HANG_GUARD, trust_env=False
    ) as found:
        yield found


async def submit(client: httpx2.AsyncClient, names: Sequence[str]) -> None:
    answers = await asyncio.gather(*(client.post("/api/decisions/submit", json=item(name)) for name in names))
    assert {answer.status_code for answer in answers} == {200}
    assert [answer.json()["analysis_id"] for answer in answers] == list(names)


async def read(client: httpx2.AsyncClient, names: Sequence[str]) -> list[dict[str, object]]:
    answers = await asyncio.gather(*(client.get(f"/api/decisions/{name}") for name in names))
    assert {answer.status_code for answer in answers} == {200}
    return [answer.json() for answer in answers]


async def decide(client: httpx2.AsyncClient, name: str, status: str) -> dict[str, object]:
    answer = await client.post(f"/api/decisions/{name}/decide", json=verdict(name, status))
    assert answer.status_code == 200, answer.text
    return answer.json()


def names(case: str, count: int) -> list[str]:
    return [f"{case}-{number}" for number in range(count)]


async def test_submissions_at_once_are_all_there_as_they_were_sent(client: httpx2.AsyncClient) -> None:
    wanted = names("SUBMITTED", SUBMISSIONS)
    before = (await client.get("/api/decisions/stats/summary")).json()

    await submit(client, wanted)

    after = (await client.get("/api/decisions/stats/summary")).json()
    assert after["total_pending"] - before["total_pending"] == SUBMISSIONS
    for shown, sent in zip(await read(client, wanted), map(item, wanted), strict=True):
        assert {name: shown[name] for name in sent} == sent
        assert shown["status"] == "pending"


async def test_reads_at_once_each_get_what_they_asked_for(client: httpx2.AsyncClient) -> None:
    wanted = names("READ", 10)
    await submit(client, wanted)

    found = await read(client, wanted * (READS // len(wanted)))

    assert [shown["analysis_id"] for shown in found] == wanted * (READS // len(wanted))


async def test_submissions_verdicts_and_reads_at_once_do_not_get_mixed_up(client: httpx2.AsyncClient) -> None:
    third = MIXED // 3
    new, decided, waiting = names("NEW", third), names("DECIDED", third), names("WAITING", third)
    await submit(client, [*decided, *waiting])
    status = {name: ("approved", "rejected")[number % 2] for number, name in enumerate(decided)}

    _, verdicts, shown = await asyncio.gather(
        submit(client, new),
        asyncio.gather(*(decide(client, name, status[name]) for name in decided)),
        read(client, waiting),
    )

    assert {one["decision_id"]: one["status"] for one in verdicts} == status
    assert {one["status"] for one in shown} == {"pending"}
    assert {one["status"] for one in await read(client, new)} == {"pending"}
    for name in decided:
        response = (await client.get(f"/api/decisions/{name}/response")).json()
        assert (response["status"], response["decided_by"]) == (status[name], ADMIN)


async def test_logins_at_once_each_get_a_session_of_their_own(client: httpx2.AsyncClient) -> None:
    form = {"username": ADMIN, "password": PASSWORD}

    pairs = await asyncio.gather(*(client.post("/api/auth/login", data=form) for _ in range(LOGINS)))

    tokens = [answer.json()["access_token"] for answer in pairs]
    headers = [{"Authorization": f"Bearer {token}"} for token in tokens]
    found = await asyncio.gather(*(client.get("/api/auth/me", headers=one) for one in headers))
    assert {answer.status_code for answer in (*pairs, *found)} == {200}
    assert len(set(tokens)) == LOGINS
    assert {answer.json()["username"] for answer in found} == {ADMIN}
