"""Erasing a person: no table names them afterwards, the log never did, and it goes on to say what they did."""

import asyncio
from collections.abc import AsyncIterator

import msgspec
import pyotp
import pytest_asyncio

from ledger.delivery.notices import read_notices
from ledger.domain.authority import Role
from ledger.domain.ids import START, PersonId
from ledger.erasing import persons
from ledger.operations.rebuilder import Rebuilder
from ledger.projections.catalog import ALL
from ledger.reactions import releases, sessions, webhook_following
from ledger.webhooks.naming import named_still
from tests.api.answers import assert_refused, decide, submit, together
from tests.projections.given import until
from tests.support.databases import Cluster, Database
from tests.support.http import PASSWORD, Api, cheap_passwords, registration, serving
from tests.support.scanning import places_of
from tests.webhooks.house import registered

NAME = "zebulon"
WORDS = (NAME, "quagga", "zq@example.org")
BROWSER = {"User-Agent": "the browser of Zebulon Quagga"}
BASIS = {"basis": "consent_withdrawn", "reason": "ticket 17"}


class Story(msgspec.Struct, kw_only=True):
    """Somebody left traces wherever people leave them, and was erased; what was seen before and after."""

    database: Database
    api: Api
    admin: dict[str, str]
    person: PersonId
    places_before: set[str]
    log_before: list[tuple]
    removed: dict[str, int]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def story(postgres: Cluster) -> AsyncIterator[Story]:
    async with postgres.fresh() as database, serving(database, passwords=cheap_passwords()) as api:
        admin, boss = await api.login(), await api.newcomer("boss", Role.ADMIN)
        await registered(api.services.webhooks, "https://hooks.example.org/in")
        person = await worked(api, admin)
        await webhook_following.follow(api.services.webhooks)
        await until(api.services.runner.is_ready)
        before, log = await places_of(database.owner_url, WORDS), await events(api)
        removed = await erased(api, admin, boss, person)
        yield Story(
            database=database,
            api=api,
            admin=admin,
            person=person,
            places_before=before,
            log_before=log,
            removed=removed,
        )


async def called(api: Api, by: dict[str, str], path: str, body: object = None) -> dict:
    answer = await api.client.post(f"/api/{path}", headers=by, json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def logged_in(api: Api) -> dict[str, str]:
    form = {"username": NAME, "password": PASSWORD}
    answer = await api.client.post("/api/auth/login", data=form, headers=BROWSER)
    assert answer.status_code == 200, answer.text
    return {"Authorization": f"Bearer {answer.json()['access_token']}"}


async def let_in(api: Api, admin: dict[str, str], **overrides: str) -> PersonId:
    body = registration(NAME, email="zq@example.org", full_name="Zebulon Q. Quagga", **overrides)
    await called(api, admin, "auth/register", body)
    return await api.ledger.pool.fetchval("select person_id from work.people where username = $1", NAME)


async def worked(api: Api, admin: dict[str, str]) -> PersonId:
    person = await let_in(api, admin)
    await called(api, await logged_in(api), "auth/logout")
    headers = await logged_in(api)
    made = await called(api, headers, "auth/2fa/setup")
    await called(api, headers, "auth/2fa/verify", {"code": pyotp.TOTP(made["secret"]).now()})
    wrong = {"username": NAME, "password": "wrong and long enough"}
    await api.client.post("/api/auth/login", data=wrong, headers=BROWSER)
    await submit(api, admin, "CASE-1")
    await submit(api, headers, "CASE-2")
    await called(api, headers, "decisions/CASE-1/claim")
    await called(api, headers, "decisions/CASE-1/comment", {"text": "I looked at it."})
    assert (await decide(api, headers, "CASE-1")).status_code == 200
    await called(api, headers, "decisions/CASE-2/claim")
    return person


async def erased(api: Api, admin: dict[str, str], boss: dict[str, str], person: PersonId) -> dict[str, int]:
    await called(api, admin, f"auth/users/{NAME}/deactivate", {"reason": "left"})
    await called(api, admin, f"subjects/person/{NAME}/erasure", BASIS)
    await called(api, boss, f"subjects/person/{NAME}/erasure/approve")
    told = await api.client.get(f"/api/subjects/person/{person}", headers=admin)
    return told.json()["erasure"]["removed"]


async def events(api: Api) -> list[tuple]:
    rows = await api.ledger.pool.fetch("select envelope, payload from ledger.events order by position")
    return [tuple(row) for row in rows]


@together
async def test_names_were_where_they_are_known_to_be_and_nowhere_in_the_log(story: Story):
    assert story.places_before == {
        "work.people.username",
        "work.people.username_folded",
        "work.people.email",
        "work.people.full_name",
        "work.sessions.user_agent",
        "work.webhook_messages.body",
    }


@together
async def test_no_table_names_whoever_is_erased(story: Story):
    assert await places_of(story.database.owner_url, WORDS) == set()
    assert story.removed == {"names": 1, "credentials": 12, "sessions": 2, "messages": 6}


@together
async def test_the_log_goes_on_and_is_what_it_was(story: Story):
    assert (await events(story.api))[: len(story.log_before)] == story.log_before
    actors = await story.api.ledger.pool.fetch("select distinct actor from ledger.events")
    assert str(story.person) in {row["actor"] for row in actors}


@together
async def test_the_history_shows_them_by_an_id_that_leads_to_nobody(story: Story):
    found = await story.api.client.get(
        "/api/audit/events", headers=story.admin, params={"actor": str(story.person), "limit": 100}
    )

    assert found.status_code == 200, found.text
    assert str(story.person) in found.text
    assert NAME not in found.text.lower()


@together
async def test_what_they_did_is_told_without_their_name(story: Story):
    answer = await story.api.client.get("/api/decisions/CASE-1/response", headers=story.admin)
    talk = await story.api.client.get("/api/decisions/CASE-1/comments", headers=story.admin)

    assert (answer.json()["status"], answer.json()["decided_by"]) == ("approved", "erased")
    assert [one["by"] for one in talk.json()] == ["erased"]


@together
async def test_sessions_and_claims_are_over(story: Story):
    await sessions.sweep(story.api.services.identity)
    await releases.release_on(story.api.ledger, story.api.services.clock, START)
    await until(story.api.services.runner.is_ready)
    open_sessions = "select count(*) from views.sessions_v1 where person_id = $1 and state = 'open'"

    assert await story.api.ledger.pool.fetchval(open_sessions, story.person) == 0
    told = await story.api.client.get("/api/decisions/CASE-2", headers=story.admin)
    assert (told.json()["status"], "lease" in told.json()) == ("pending", False)
    rows = await story.api.ledger.pool.fetch("select * from work.sessions where person_id = $1", story.person)
    assert {(row["address"], row["user_agent"], row["salt"]) for row in rows} <= {("", "", b"")}


@together
async def test_a_rebuild_of_every_read_model_changes_nothing(story: Story):
    for feed in ALL:
        asked = await story.api.client.post(
            f"/admin/projections/{feed.name}/rebuild", headers=story.admin, json={"reason": "to be sure"}
        )
        assert asked.status_code == 200, asked.text
        assert await Rebuilder(story.api.ledger).work_once()
        done = await story.api.client.get(f"/admin/projections/{feed.name}/rebuild", headers=story.admin)
        assert (done.json()["status"], done.json()["diff"]["is_equal"]) == ("switched", True)

    assert await places_of(story.database.owner_url, WORDS) == set()


@together
async def test_another_instance_and_a_restart_know_no_name_either(story: Story):
    async with serving(story.database, passwords=cheap_passwords()) as another:
        users = await another.client.get("/api/auth/users", headers=story.admin)
        answer = await another.client.get("/api/decisions/CASE-1/response", headers=story.admin)

    assert NAME not in users.text
    assert answer.json()["decided_by"] == "erased"


async def test_what_another_instance_had_just_told_it_tells_no_more(api: Api, second: Api):
    admin, boss = await api.login(), await api.newcomer("boss", Role.ADMIN)
    person = await worked(api, admin)
    path = "/api/decisions/CASE-1/response"
    assert (await second.client.get(path, headers=admin)).json()["decided_by"] == NAME

    await erased(api, admin, boss, person)

    assert (await second.client.get(path, headers=admin)).json()["decided_by"] == "erased"


async def test_a_message_that_is_being_written_names_nobody_who_is_erased_meanwhile(api: Api):
    admin, boss = await api.login(), await api.newcomer("boss", Role.ADMIN)
    person = await worked(api, admin)
    page = await read_notices(api.ledger, after=START)
    assert NAME in {notice.told.by for notice in page.notices}

    ledger_id = api.ledger.ledger_id
    async with api.ledger.pool.acquire() as writer:
        async with writer.transaction():
            kept = await named_still(writer, ledger_id, page.notices)
            erasing = asyncio.create_task(erased(api, admin, boss, person))
            done, _ = await asyncio.wait([erasing], timeout=0.5)
        await erasing
        gone = await named_still(writer, ledger_id, page.notices)

    assert kept == page.notices
    assert not done
    assert {notice.told.by for notice in gone} & {NAME, "erased"} == {"erased"}


async def test_who_is_just_being_erased_is_not_let_in_again(api: Api):
    admin = await api.login()
    person = await let_in(api, admin)
    await called(api, admin, f"auth/users/{NAME}/deactivate", {"reason": "left"})
    async with api.ledger.pool.acquire() as conn:
        async with conn.transaction():
            await persons.erase(conn, api.ledger.ledger_id, person)
            letting_in = asyncio.create_task(
                api.client.post(f"/api/auth/users/{NAME}/reactivate", headers=admin, json={"reason": "back"})
            )
            done, _ = await asyncio.wait([letting_in], timeout=0.5)
        answer = await letting_in

    assert not done
    assert_refused(answer, 404)
    types = await api.ledger.pool.fetch("select type from ledger.events")
    assert "account-reactivated" not in {row["type"] for row in types}


async def test_what_is_refused_under_the_lock_deletes_nothing(api: Api, database: Database):
    admin = await api.login()
    person = await let_in(api, admin)
    async with api.ledger.pool.acquire() as conn:
        transaction = conn.transaction()
        await transaction.start()
        removed = await persons.erase(conn, api.ledger.ledger_id, person)
        await transaction.rollback()

    assert (removed.names, removed.credentials) == (1, 1)
    assert await api.login(NAME)
