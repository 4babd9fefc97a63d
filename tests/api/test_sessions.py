"""Who is logged in where, breaks, and sending a session away."""

import pytest

from tests.api.answers import assert_refused, decide, submit, together, wrong_fields
from tests.support.http import ADMIN, Api

MINE = "/api/sessions"


async def current(api: Api, headers: dict[str, str]) -> dict[str, object]:
    answer = await api.client.get(f"{MINE}/current", headers=headers)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_a_person_sees_where_they_are_logged_in(api: Api) -> None:
    first = await api.newcomer("sam")
    second = await api.login("sam")

    sessions = (await api.client.get(MINE, headers=second)).json()

    assert len(sessions) == 2
    mine = await current(api, second)
    assert [one["session_id"] for one in sessions if one["is_current"]] == [mine["session_id"]]
    assert mine["username"] == "sam"
    assert mine["factors"] == ["password"]
    assert (mine["is_paused"], mine["stepped_up_at"]) == (False, None)
    assert mine["user_agent"].startswith("python-httpx")
    assert (await current(api, first))["session_id"] != mine["session_id"]


async def test_only_administrators_see_somebody_elses(api: Api) -> None:
    sam = await api.newcomer("sam")
    admin = await api.login()

    theirs = (await api.client.get(MINE, headers=admin, params={"username": "SAM"})).json()
    assert [one["session_id"] for one in theirs] == [(await current(api, sam))["session_id"]]
    assert (await api.client.get(MINE, headers=sam, params={"username": "sam"})).status_code == 200
    for name in (ADMIN, "nobody"):
        refused = await api.client.get(MINE, headers=sam, params={"username": name})
        assert_refused(refused, 403, "Admin access required")
    assert_refused(await api.client.get(MINE, headers=admin, params={"username": "nobody"}), 404)


@pytest.mark.parametrize("body", [None, {}, {"reason": "a lost laptop"}])
async def test_a_person_logs_another_session_of_theirs_out(
    api: Api, second: Api, body: dict[str, str] | None
) -> None:
    lost = await api.newcomer("sam")
    here = await api.login("sam")
    assert (await second.client.get("/api/auth/me", headers=lost)).status_code == 200
    its_id = (await current(api, lost))["session_id"]

    answer = await api.client.post(f"{MINE}/{its_id}/revoke", headers=here, json=body)

    assert answer.status_code == 200, answer.text
    for instance in (second, api):
        assert_refused(await instance.client.get("/api/auth/me", headers=lost), 401, "session has ended")
    assert (await second.client.get("/api/auth/me", headers=here)).status_code == 200
    assert len((await api.client.get(MINE, headers=here)).json()) == 1


async def test_an_administrator_sends_anybody_away_and_nobody_else_does(api: Api) -> None:
    sam, ben, admin = await api.newcomer("sam"), await api.newcomer("ben"), await api.login()
    its_id = (await current(api, sam))["session_id"]

    assert_refused(await api.client.post(f"{MINE}/{its_id}/revoke", headers=ben), 403, "Admin access")
    assert (await api.client.get("/api/auth/me", headers=sam)).status_code == 200

    answer = await api.client.post(f"{MINE}/{its_id}/revoke", headers=admin, json={"reason": "left"})
    assert answer.status_code == 200
    assert int(answer.headers["ledger-position"]) > 0
    assert_refused(await api.client.get("/api/auth/me", headers=sam), 401, "session has ended")


@pytest.mark.parametrize("session", ["nonsense", "00000000-0000-0000-0000-000000000001"])
@together
async def test_a_session_that_never_was_is_not_found(
    shared: Api, admin: dict[str, str], session: str
) -> None:
    assert_refused(await shared.client.post(f"{MINE}/{session}/revoke", headers=admin), 404, "not found")


@together
async def test_an_unknown_field_is_named(shared: Api, admin: dict[str, str]) -> None:
    answer = await shared.client.post(f"{MINE}/nonsense/revoke", headers=admin, json={"why": "x"})

    assert_refused(answer, 422)


async def test_a_paused_session_reads_and_decides_nothing(api: Api, second: Api) -> None:
    admin, sam = await api.login(), await api.newcomer("sam")
    await submit(api, admin, "A-1")
    paused = await api.client.post(f"{MINE}/current/pause", headers=sam)
    assert paused.json() == {"message": "Session paused"}

    for instance in (api, second):
        assert_refused(await decide(instance, sam, "A-1"), 409, "session is paused")
        assert (await instance.client.get("/api/decisions/A-1", headers=sam)).status_code == 200
    assert (await current(api, sam))["is_paused"] is True

    await api.client.post(f"{MINE}/current/resume", headers=sam)
    assert (await decide(second, sam, "A-1")).status_code == 200


async def test_a_key_makes_a_revocation_repeatable(api: Api) -> None:
    lost, here = await api.newcomer("sam"), await api.login("sam")
    its_id = (await current(api, lost))["session_id"]
    headers = {**here, "Idempotency-Key": "lost-laptop"}

    answers = [await api.client.post(f"{MINE}/{its_id}/revoke", headers=headers) for _ in range(2)]

    assert answers[0].json() == answers[1].json()
    assert answers[0].headers["ledger-position"] == answers[1].headers["ledger-position"]


@pytest.mark.parametrize(
    "path", ["/api/auth/users/sam/deactivate", "/api/auth/register", f"{MINE}/current/pause"]
)
@together
async def test_a_precondition_that_nothing_can_meet_is_refused(
    shared: Api, admin: dict[str, str], analyst: dict[str, str], path: str
) -> None:
    body = {
        "reason": "x",
        "username": "newcomer",
        "email": "n@example.org",
        "full_name": "N",
        "password": "correct horse",
    }
    if "register" not in path:
        body = {"reason": "x"}

    answer = await shared.client.post(path, headers={**admin, "If-Match": '"3"'}, json=body)

    assert wrong_fields(answer) == {"If-Match"}
