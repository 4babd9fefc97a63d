"""Many at once: every answer is checked, one of many wins, nobody waits for ever. Times are measured elsewhere."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Sequence
from typing import TypeVar

from httpx import Response

from ledger.store.local_postgres.process import until
from tests.api.answers import assert_refused, decide, log_in, pending, submit
from tests.support.databases import Database
from tests.support.http import ADMIN, PASSWORD, Api, bearer, serving, submission

T = TypeVar("T")

HANG = 60.0
"""Seconds: five times what the slowest of these should take on two cores."""


async def _at_once(calls: Sequence[Awaitable[T]]) -> list[T]:
    async with asyncio.timeout(HANG):
        return list(await asyncio.gather(*calls))


def _one_won(answers: list[Response], phrase: str) -> Response:
    """The one answer that is a 200; every other one is a 400 that says why."""
    won = [answer for answer in answers if answer.status_code == 200]
    for answer in answers:
        if answer not in won:
            assert_refused(answer, 400, phrase)
    assert len(won) == 1
    return won[0]


async def test_of_twenty_who_submit_one_id_one_succeeds(api: Api, second: Api) -> None:
    admin = await api.login()

    answers = await _at_once(
        [
            (api, second)[number % 2].client.post(
                "/api/decisions/submit", headers=admin, json=submission("beacon-17", confidence=number)
            )
            for number in range(20)
        ]
    )

    _one_won(answers, "already exists")
    kept = (await api.client.get("/api/decisions/beacon-17", headers=admin)).json()["confidence"]
    assert answers[int(kept)].status_code == 200


async def test_of_twenty_who_decide_one_item_one_succeeds(api: Api, second: Api) -> None:
    people = [await api.newcomer(f"analyst-{number}") for number in range(4)]
    await submit(api, people[0], "beacon-17")

    answers = await _at_once(
        [
            decide(
                (api, second)[number % 2],
                people[number % 4],
                "beacon-17",
                ("approved", "rejected")[number % 2],
                notes=f"verdict {number}",
            )
            for number in range(20)
        ]
    )

    won = _one_won(answers, "already made")
    response = await second.client.get("/api/decisions/beacon-17/response", headers=people[0])
    assert response.json() == won.json()


async def test_fifty_submissions_at_once_all_arrive(api: Api) -> None:
    admin = await api.login()

    answers = await _at_once([submit(api, admin, f"item-{number}") for number in range(50)])

    positions = {int(answer.headers["ledger-position"]) for answer in answers}
    assert len(positions) == 50
    # A command waits a second for its views; on a busy machine fifty at once may take them longer.
    progress = api.services.progress
    assert await until(lambda: progress.position("queue") >= max(positions), 60)
    assert await until(lambda: progress.position("statistics") >= max(positions), 60)
    assert set(await pending(api, admin, limit=100)) == {f"item-{number}" for number in range(50)}
    summary = (await api.client.get("/api/decisions/stats/summary", headers=admin)).json()
    assert (summary["total_pending"], summary["decisions_last_24h"]) == (50, 50)


async def test_a_hundred_reads_at_once_all_answer_alike(api: Api) -> None:
    admin = await api.login()
    for number in range(5):
        await submit(api, admin, f"item-{number}")
    paths = (
        "/api/decisions/pending",
        "/api/decisions/item-3",
        "/api/decisions/stats/summary",
        "/api/auth/me",
    )
    alone = [await api.client.get(path, headers=admin) for path in paths]

    answers = await _at_once([api.client.get(paths[number % 4], headers=admin) for number in range(100)])

    for number, answer in enumerate(answers):
        assert answer.status_code == 200
        assert answer.content == alone[number % 4].content


async def test_sixty_mixed_operations_at_once_do_not_disturb_each_other(api: Api) -> None:
    admin = await api.login()
    for number in range(20):
        await submit(api, admin, f"old-{number}")

    submitted, decided, read = await _at_once(
        [
            _at_once([submit(api, admin, f"new-{number}") for number in range(20)]),
            _at_once([decide(api, admin, f"old-{number}") for number in range(20)]),
            _at_once([api.client.get(f"/api/decisions/old-{number}", headers=admin) for number in range(20)]),
        ]
    )

    assert len(submitted) == 20
    assert [answer.status_code for answer in decided] == [200] * 20
    assert [answer.json()["decision_id"] for answer in decided] == [f"old-{number}" for number in range(20)]
    assert {answer.json()["status"] for answer in read} <= {"pending", "approved"}
    summary = (await api.client.get("/api/decisions/stats/summary", headers=admin)).json()
    assert (summary["total_pending"], summary["total_completed"]) == (20, 20)


async def test_a_hundred_logins_of_one_account_at_once_all_get_a_session_of_their_own(
    database: Database,
) -> None:
    async with serving(database) as api:  # with what a password really costs
        answers = await _at_once([log_in(api, ADMIN, PASSWORD) for _ in range(100)])

        assert [answer.status_code for answer in answers] == [200] * 100
        tokens = [answer.json()["access_token"] for answer in answers]
        sessions = {
            api.services.identity.tokens.read_access(token, api.services.clock()).sid for token in tokens
        }
        assert len(sessions) == 100
        seen = await _at_once([api.client.get("/api/auth/me", headers=bearer(token)) for token in tokens])
        assert [answer.status_code for answer in seen] == [200] * 100


async def test_a_session_that_ends_while_it_works_answers_every_call(api: Api) -> None:
    admin, other = await api.login(), await api.login()

    *answers, ended = await _at_once(
        [
            *(
                api.client.post("/api/decisions/submit", headers=admin, json=submission(f"item-{number}"))
                for number in range(20)
            ),
            api.client.post("/api/auth/logout", headers=admin),
        ]
    )

    assert ended.status_code == 200
    assert {answer.status_code for answer in answers} <= {200, 401}
    done = Counter(answer.status_code for answer in answers)[200]
    assert len(await pending(api, other, limit=100)) == done
