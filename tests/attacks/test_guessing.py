"""Guessing names and passwords, and getting round the limits."""

import asyncio
from pathlib import Path

import asyncpg
import httpx2
import pytest

from tests.attacks.site import SECRET_KEY, Person, Site, uncounted
from tests.support.databases import Database
from tests.support.service import HANG_GUARD, PASSWORD, on_database, service


def test_a_name_that_exists_and_one_that_does_not_are_answered_alike(site: Site, admin: Person) -> None:
    known, unknown = uncounted("known"), uncounted("unknown")
    site.newcomer(known, "analyst", by=admin)

    first, second = site.try_login(known, "wrong"), site.try_login(unknown, "wrong")

    assert (first.status_code, second.status_code) == (401, 401)
    same = [
        {name: value for name, value in answer.json().items() if name != "request_id"}
        for answer in (first, second)
    ]
    assert same[0] == same[1]
    assert first.headers.keys() == second.headers.keys()
    assert len(first.content) == len(second.content)


def test_both_cost_the_same_number_of_hashes(site: Site, admin: Person) -> None:
    known = uncounted("known")
    site.newcomer(known, "analyst", by=admin)
    spent = []
    for username in (known, uncounted("unknown")):
        before = site.counted("ledger_password_hashes")
        for _ in range(3):
            site.try_login(username, "wrong")
        spent.append(site.counted("ledger_password_hashes") - before)

    assert spent == [3, 3]


def test_both_are_closed_after_the_same_number_of_failures_and_told_alike(site: Site, admin: Person) -> None:
    known = uncounted("known")
    site.newcomer(known, "analyst", by=admin)
    statuses = {}
    for username in (known, uncounted("unknown")):
        statuses[username] = [site.try_login(username, "wrong").status_code for _ in range(12)]

    assert list(statuses.values()) == [[*[401] * 10, 429, 429]] * 2


def test_who_is_turned_away_costs_no_hash(site: Site) -> None:
    username = uncounted("unknown")
    for _ in range(10):
        site.try_login(username, "wrong")
    before = site.counted("ledger_password_hashes")

    answers = [site.try_login(username, "wrong") for _ in range(20)]

    assert {answer.status_code for answer in answers} == {429}
    assert site.counted("ledger_password_hashes") == before


FORGED = ("X-Forwarded-For", "X-Real-IP", "Forwarded", "X-Client-IP", "True-Client-IP", "CF-Connecting-IP")


def test_neither_another_spelling_nor_a_forged_address_opens_a_closed_name(site: Site, admin: Person) -> None:
    username = uncounted("kelvin")
    site.newcomer(username, "analyst", by=admin)
    for _ in range(10):
        site.try_login(username, "wrong")

    spelt = [username.upper(), username.title(), username.replace("k", "\u212a", 1)]
    answers = [site.try_login(spelling, PASSWORD) for spelling in spelt]
    answers += [site.try_login(username, PASSWORD, **{header: "203.0.113.99"}) for header in FORGED]

    assert {answer.status_code for answer in answers} == {429}


async def test_of_fifty_guesses_at_once_ten_are_answered(site: Site, admin: Person) -> None:
    username = uncounted("flooded")
    site.newcomer(username, "analyst", by=admin)
    form = {"username": username, "password": "wrong"}

    async def guess(client: httpx2.AsyncClient) -> int:
        return (await client.post("/api/auth/login", data=form)).status_code

    async with (
        httpx2.AsyncClient(base_url=site.services[0].url, timeout=HANG_GUARD, trust_env=False) as first,
        httpx2.AsyncClient(base_url=site.services[-1].url, timeout=HANG_GUARD, trust_env=False) as last,
    ):
        statuses = await asyncio.gather(*(guess((first, last)[turn % 2]) for turn in range(50)))

    assert sorted(statuses) == [*[401] * 10, *[429] * 40]


async def test_failures_and_the_lock_out_are_on_the_record(site: Site, admin: Person) -> None:
    username = uncounted("guessed")
    site.newcomer(username, "analyst", by=admin)
    for _ in range(11):
        site.try_login(username, "wrong")

    conn = await asyncpg.connect(site.database.owner_url)
    try:
        async with asyncio.timeout(HANG_GUARD):
            while {"login-failed", "login-locked-out"} - (told := await _told_of(conn, username)):
                await asyncio.sleep(0.1)
    finally:
        await conn.close()

    assert told == {"login-failed", "login-locked-out"}


async def _told_of(conn: asyncpg.Connection, username: str) -> set[str]:
    person = await conn.fetchval("select person_id from work.people where username = $1", username)
    rows = await conn.fetch("select type from ledger.events where stream = $1", f"login-{person}")
    return {row["type"] for row in rows}


FEW = {
    "LEDGER_SECRET_KEY": SECRET_KEY,
    "LEDGER_FAILED_LOGINS_PER_ADDRESS": "5",
    "LEDGER_REQUESTS_PER_MINUTE": "40",
}


@pytest.mark.parametrize(
    ("proxies", "opens"),
    [("", False), pytest.param("10.0.0.0/8", False, marks=pytest.mark.long), ("127.0.0.1", True)],
    ids=["none", "other", "ours"],
)
def test_only_a_proxy_of_ours_says_where_a_request_comes_from(
    database: Database, tmp_path: Path, proxies: str, *, opens: bool
) -> None:
    settings = {**on_database(database, tmp_path / "data"), **FEW, "LEDGER_TRUSTED_PROXIES": proxies}
    with service(settings=settings) as running, running.client() as client:

        def log_in(username: str, password: str, address: str) -> int:
            form, headers = {"username": username, "password": password}, {"X-Forwarded-For": address}
            return client.post("/api/auth/login", data=form, headers=headers).status_code

        guesses = [log_in(f"name-{number}", "wrong", f"203.0.113.{number}") for number in range(8)]
        forged = log_in("admin", PASSWORD, "198.51.100.1, 203.0.113.1")
        calls = [
            client.get("/health", headers={"X-Forwarded-For": f"203.0.113.{number}"}).status_code
            for number in range(45)
        ]

    assert guesses == ([401] * 8 if opens else [*[401] * 5, *[429] * 3])
    assert forged == (200 if opens else 429)
    assert (429 in calls) is not opens
