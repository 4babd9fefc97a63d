"""Waiting for an answer: it comes when somebody has decided, on whichever instance, and costs nobody else a place."""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from typing import TypeVar

import httpx
import pytest

from ledger.delivery.waiting import Waiters
from ledger.domain.ids import DecisionId
from tests.api.answers import assert_refused, decide, submit, wrong_fields
from tests.support.databases import Database
from tests.support.http import Api, cheap_passwords, serving
from tests.support.listening import HANG_GUARD, Reached, reachable

T = TypeVar("T")


@pytest.fixture
async def reached(database: Database) -> AsyncIterator[Reached]:
    async with reachable(database) as found:
        yield found


async def soon(work: Awaitable[T]) -> T:
    async with asyncio.timeout(HANG_GUARD):
        return await work


async def until_waiting(api: Api, count: int) -> None:
    async with asyncio.timeout(HANG_GUARD):
        while api.services.live.waiters.waiting() != count:
            await asyncio.sleep(0.005)


def waiting(
    api: Api, by: dict[str, str], analysis_id: str, seconds: int = 55
) -> asyncio.Task[httpx.Response]:
    path = f"/api/decisions/{analysis_id}/response"
    return asyncio.create_task(api.client.get(path, headers=by, params={"wait": seconds}))


async def test_a_verdict_ends_the_wait_with_the_response(api: Api) -> None:
    admin = await api.login()
    await submit(api, admin, "CASE-1")
    answer = waiting(api, admin, "CASE-1")
    await until_waiting(api, 1)

    await decide(api, admin, "CASE-1")
    waited = await soon(answer)

    plain = await api.client.get("/api/decisions/CASE-1/response", headers=admin)
    assert waited.status_code == 200
    assert waited.json() == plain.json()
    assert waited.headers["etag"] == plain.headers["etag"]
    await until_waiting(api, 0)


async def test_a_verdict_on_another_instance_ends_the_wait(api: Api, second: Api) -> None:
    admin = await api.login()
    await submit(api, admin, "CASE-1")
    answer = waiting(second, admin, "CASE-1")
    await until_waiting(second, 1)

    await decide(api, admin, "CASE-1", "rejected")

    assert (await soon(answer)).json()["status"] == "rejected"


async def test_an_escalation_is_an_answer(api: Api) -> None:
    admin = await api.login()
    await submit(api, admin, "CASE-1")
    answer = waiting(api, admin, "CASE-1")
    await until_waiting(api, 1)

    await decide(api, admin, "CASE-1", "escalated", escalation_reason="Beyond me.")

    assert (await soon(answer)).json()["escalation_reason"] == "Beyond me."


async def test_what_is_decided_already_is_answered_at_once(api: Api) -> None:
    admin = await api.login()
    await submit(api, admin, "CASE-1")
    await decide(api, admin, "CASE-1")

    assert (await soon(waiting(api, admin, "CASE-1"))).status_code == 200


async def test_a_wait_in_vain_ends_in_time_and_says_when_to_come_again(api: Api) -> None:
    admin = await api.login()
    await submit(api, admin, "CASE-1")

    answer = await soon(waiting(api, admin, "CASE-1", seconds=1))

    assert_refused(answer, 404, "Response not found")
    assert answer.json()["code"] == "decision-pending"
    assert int(answer.headers["retry-after"]) > 0


async def test_of_many_who_wait_each_gets_the_answer_to_their_own(api: Api) -> None:
    admin = await api.login()
    names = [f"CASE-{number}" for number in range(6)]
    for name in names:
        await submit(api, admin, name)
    answers = [waiting(api, admin, name) for name in names for _ in range(2)]
    await until_waiting(api, 12)

    for name in names:
        await decide(api, admin, name, notes=f"About {name}.")
    told = [(await soon(answer)).json() for answer in answers]

    assert [one["notes"] for one in told] == [f"About {name}." for name in names for _ in range(2)]


async def test_nobody_waits_for_what_does_not_exist(api: Api) -> None:
    admin = await api.login()

    assert_refused(await soon(waiting(api, admin, "NOTHING")), 404, "not found")


async def test_a_service_does_not_wait_for_what_others_submitted(api: Api) -> None:
    admin, engine = await api.login(), await api.newcomer("engine", "service")
    await submit(api, admin, "CASE-1")

    assert (await soon(waiting(api, engine, "CASE-1"))).json()["code"] == "decision-not-found"


@pytest.mark.parametrize("seconds", [-1, 56, 10**30])
async def test_a_wait_has_bounds(api: Api, seconds: int) -> None:
    admin = await api.login()

    assert wrong_fields(await soon(waiting(api, admin, "CASE-1", seconds=seconds))) == {"wait"}


async def test_whoever_lost_their_session_meanwhile_is_not_answered(api: Api) -> None:
    admin, sam = await api.login(), await api.newcomer("sam")
    await submit(api, admin, "CASE-1")
    answer = waiting(api, sam, "CASE-1")
    await until_waiting(api, 1)

    await api.client.post("/api/auth/logout", headers=sam)
    await decide(api, admin, "CASE-1")

    assert_refused(await soon(answer), 401)


async def test_those_who_wait_take_no_place_from_other_requests(database: Database) -> None:
    choices = {"max_in_flight": 2}
    async with serving(database, passwords=cheap_passwords(), settings=choices) as api:
        admin = await api.login()
        await submit(api, admin, "CASE-1")
        answers = []
        for number in range(1, 6):
            answers.append(waiting(api, admin, "CASE-1"))
            await until_waiting(api, number)

        assert (await decide(api, admin, "CASE-1")).status_code == 200
        assert {(await soon(answer)).status_code for answer in answers} == {200}


async def test_beyond_the_bound_whoever_wants_to_wait_is_told_to_come_again(api: Api) -> None:
    admin = await api.login()
    await submit(api, admin, "CASE-1")
    api.services.live.waiters._max_waiters = 1
    first = waiting(api, admin, "CASE-1")
    await until_waiting(api, 1)

    refused = await soon(waiting(api, admin, "CASE-1"))

    assert_refused(refused, 503, "wait")
    assert refused.json()["code"] == "too-many-waiters"
    assert "retry-after" in refused.headers
    await decide(api, admin, "CASE-1")
    assert (await soon(first)).status_code == 200


async def test_a_stop_sends_those_who_wait_away_at_once(api: Api) -> None:
    admin = await api.login()
    await submit(api, admin, "CASE-1")
    answer = waiting(api, admin, "CASE-1")
    await until_waiting(api, 1)

    api.services.live.close()

    assert (await soon(answer)).json()["code"] == "decision-pending"
    assert (await soon(waiting(api, admin, "CASE-1"))).json()["code"] == "decision-pending"


async def test_whoever_hangs_up_waits_no_longer(reached: Reached) -> None:
    admin = await reached.api.login()
    await submit(reached.api, admin, "CASE-1")
    _, writer = await asyncio.open_connection("127.0.0.1", reached.port)
    head = "".join(f"{name}: {value}\r\n" for name, value in admin.items())
    writer.write(f"GET /api/decisions/CASE-1/response?wait=55 HTTP/1.1\r\nHost: here\r\n{head}\r\n".encode())
    await until_waiting(reached.api, 1)

    writer.transport.abort()

    await until_waiting(reached.api, 0)


async def test_what_was_decided_before_the_following_began_is_found(api: Api) -> None:
    """The news begin at the log's end: whoever waited before that has missed what came in between."""
    admin = await api.login()
    await submit(api, admin, "CASE-1")
    late = Waiters(api.ledger)
    with late.place(api.ledger.decision_stream(DecisionId("CASE-1"))) as place:
        await decide(api, admin, "CASE-1")
        task = asyncio.create_task(late.run_forever())

        late.hear(())
        answered = await soon(place.wait(HANG_GUARD))

        task.cancel()
    assert answered is not None
    assert answered.decided_by == "admin"
