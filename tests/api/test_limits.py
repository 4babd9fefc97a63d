"""How often somebody may ask over HTTP, and how they are told."""

import re

from httpx import ASGITransport, AsyncClient, Response

from ledger.api.app import create_app
from ledger.limiting.rates import Rates
from tests.api.answers import assert_refused, log_in
from tests.support.databases import Database
from tests.support.http import ADMIN, PASSWORD, Api, cheap_passwords, registration, serving

FEW = {"rates": Rates(requests_per_minute=5, registrations_per_minute=2)}
POLICY = re.compile(r'"requests";q=5;w=60')
LEFT = re.compile(r'"requests";r=(\d+);t=(\d+)')


def left(answer: Response) -> int:
    assert POLICY.fullmatch(answer.headers["ratelimit-policy"])
    match = LEFT.fullmatch(answer.headers["ratelimit"])
    assert match
    assert 0 < int(match[2]) <= 60
    return int(match[1])


async def test_every_answer_tells_how_many_are_left_and_then_when_to_come_again(database: Database) -> None:
    async with serving(database, passwords=cheap_passwords(), settings=FEW) as api:
        admin = await api.login()
        answers = [await api.client.get("/api/auth/me", headers=admin) for _ in range(6)]

    assert [answer.status_code for answer in answers] == [200, 200, 200, 200, 200, 429]
    assert [left(answer) for answer in answers] == [4, 3, 2, 1, 0, 0]
    assert_refused(answers[5], 429, "too many requests")
    assert 0 < int(answers[5].headers["retry-after"]) <= 60


async def test_one_persons_requests_are_nobody_elses(database: Database) -> None:
    async with serving(database, passwords=cheap_passwords(), settings=FEW) as api:
        admin = await api.login()
        sam = await api.newcomer("sam")
        for _ in range(6):
            await api.client.get("/api/auth/me", headers=sam)

        assert (await api.client.get("/api/auth/me", headers=sam)).status_code == 429
        assert (await api.client.get("/api/auth/me", headers=admin)).status_code == 200


async def test_who_is_not_logged_in_is_counted_by_address_whatever_they_call(database: Database) -> None:
    async with serving(database, passwords=cheap_passwords(), settings=FEW) as api:
        calls = ["/health", "/api/auth/me", "/api/docs", "/openapi.json", "/api/status", "/health"]
        statuses = [(await api.client.get(path)).status_code for path in calls]
        login = await log_in(api, ADMIN, PASSWORD)
        watched = [(await api.client.get(path)).status_code for path in ("/health/live", "/metrics")]

    assert statuses == [200, 401, 200, 200, 401, 429]
    assert_refused(login, 429, "too many requests")
    assert watched == [200, 200]


async def test_the_addresses_of_one_ipv6_network_are_one(database: Database) -> None:
    statuses = []
    async with serving(database, passwords=cheap_passwords(), settings=FEW) as api:
        app = create_app(api.services)
        for number in range(6):
            transport = ASGITransport(app=app, client=(f"2001:db8::{number}", 1))
            async with AsyncClient(transport=transport, base_url="http://ledger.test") as away:
                statuses.append((await away.get("/health")).status_code)

    assert statuses == [200, 200, 200, 200, 200, 429]


async def test_registrations_are_counted_whoever_asks_for_them(database: Database) -> None:
    async with serving(database, passwords=cheap_passwords(), settings=FEW) as api:
        admin = await api.login()
        answers = [
            await api.client.post("/api/auth/register", headers=admin, json=registration(f"sam-{number}"))
            for number in range(3)
        ]

    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert 0 < int(answers[2].headers["retry-after"]) <= 60


async def test_the_eleventh_wrong_password_is_told_when_to_come_again(api: Api) -> None:
    answers = [await log_in(api, ADMIN, "wrong") for _ in range(11)]
    right = await log_in(api, ADMIN, PASSWORD)

    assert [answer.status_code for answer in answers] == [*[401] * 10, 429]
    for answer in (answers[10], right):
        assert_refused(answer, 429, "too many failed attempts")
        assert 0 < int(answer.headers["retry-after"]) <= 15 * 60


async def test_a_full_queue_of_passwords_is_told_as_overload(database: Database) -> None:
    async with serving(database, passwords=cheap_passwords()) as api:
        api.services.identity.passwords._max_queue = 0
        answer = await log_in(api, ADMIN, PASSWORD)

    assert_refused(answer, 503)
    assert answer.headers["retry-after"] == "2"
