"""Administrators keep people out, let them in again and change what they may; sessions end with it."""

import asyncio

import pytest
from httpx import Response

from tests.api.answers import assert_refused, log_in, together, wrong_fields
from tests.support.http import ADMIN, PASSWORD, Api

NEW: str = "a new and longer password"
ORDERS = [
    ("deactivate", {"reason": "left the team"}),
    ("reactivate", {"reason": "came back"}),
    ("role", {"role": "viewer", "reason": "another job"}),
]


@pytest.mark.parametrize(
    ("order", "body", "message"),
    [
        (*ORDERS[0], "User deactivated"),
        (*ORDERS[1], "User reactivated"),
        (*ORDERS[2], "Role changed"),
        ("password", {"new_password": NEW, "reason": "forgotten"}, "Password changed"),
    ],
)
async def test_an_administrator_changes_an_account(
    api: Api, order: str, body: dict[str, str], message: str
) -> None:
    await api.newcomer("morgan")

    answer = await _order(api, await api.login(), "morgan", order, body)

    assert answer.status_code == 200
    assert answer.json() == {"message": message}


@pytest.mark.parametrize(("order", "body"), [ORDERS[0], ORDERS[2], ("password", {"new_password": NEW})])
async def test_a_changed_account_has_no_session_left_on_any_instance(
    api: Api, second: Api, order: str, body: dict[str, str]
) -> None:
    headers = await api.newcomer("morgan")
    assert (await second.client.get("/api/auth/me", headers=headers)).status_code == 200

    await _order(api, await api.login(), "morgan", order, body)

    for instance in (api, second):
        answer = await instance.client.get("/api/auth/me", headers=headers)
        assert_refused(answer, 401, "session has ended")


async def test_a_reactivated_account_logs_in_again(api: Api) -> None:
    await api.newcomer("morgan")
    admin = await api.login()
    await _order(api, admin, "morgan", *ORDERS[0])

    await _order(api, admin, "morgan", *ORDERS[1])

    assert (await log_in(api, "morgan", PASSWORD)).status_code == 200


async def test_another_role_counts_from_the_next_login(api: Api) -> None:
    await api.newcomer("morgan")
    await _order(api, await api.login(), "morgan", *ORDERS[2])

    me = await api.client.get("/api/auth/me", headers=await api.login("morgan"))

    assert me.json()["role"] == "viewer"


@together
@pytest.mark.parametrize(("order", "body"), ORDERS)
async def test_only_administrators_change_accounts(
    shared: Api, analyst: dict[str, str], order: str, body: dict[str, str]
) -> None:
    answer = await _order(shared, analyst, ADMIN, order, body)

    assert_refused(answer, 403, "Admin access required")


@together
@pytest.mark.parametrize(("order", "body"), [*ORDERS, ("password", {"new_password": NEW})])
async def test_changing_an_account_needs_a_token(shared: Api, order: str, body: dict[str, str]) -> None:
    assert_refused(await _order(shared, {}, ADMIN, order, body), 401, "Not authenticated")


@together
@pytest.mark.parametrize("username", ["nobody", "%00", "x%00y", "%F0%9F%A6%89", "' or 1=1 --"])
@pytest.mark.parametrize(("order", "body"), [*ORDERS, ("password", {"new_password": NEW})])
async def test_a_name_that_is_nobodys_is_not_found(
    shared: Api, admin: dict[str, str], username: str, order: str, body: dict[str, str]
) -> None:
    answer = await _order(shared, admin, username, order, body)

    if "%00" in username:
        assert wrong_fields(answer) == {"username"}
    else:
        assert_refused(answer, 404, "not found")


@together
@pytest.mark.parametrize(
    ("order", "body", "wrong"),
    [
        ("deactivate", {}, {"reason"}),
        ("deactivate", {"reason": ""}, {"reason"}),
        ("reactivate", {"reason": None}, {"reason"}),
        ("role", {}, {"role", "reason"}),
        ("role", {"role": "king", "reason": 3}, {"role", "reason"}),
        ("password", {"new_password": "short"}, {"new_password"}),
        ("password", {}, {"new_password"}),
    ],
)
async def test_wrong_fields_are_named(
    shared: Api, admin: dict[str, str], order: str, body: dict[str, object], wrong: set[str]
) -> None:
    assert wrong_fields(await _order(shared, admin, ADMIN, order, body)) == wrong


@together
@pytest.mark.parametrize(("order", "body"), [*ORDERS, ("password", {"new_password": NEW})])
async def test_fields_that_our_calls_do_not_know_are_refused(
    shared: Api, admin: dict[str, str], order: str, body: dict[str, str]
) -> None:
    answer = await _order(shared, admin, ADMIN, order, {**body, "because": "of a typing error"})

    assert answer.status_code == 422


@together
@pytest.mark.parametrize(("order", "body"), [ORDERS[0], ORDERS[2]])
async def test_the_last_active_administrator_stays(
    shared: Api, admin: dict[str, str], order: str, body: dict[str, str]
) -> None:
    answer = await _order(shared, admin, ADMIN, order, body)

    assert_refused(answer, 400, "last active administrator")
    assert answer.json()["code"] == "last-admin"


async def test_an_administrator_may_go_when_another_one_stays(api: Api) -> None:
    other = await api.newcomer("robin", "admin")

    assert (await _order(api, other, ADMIN, *ORDERS[0])).status_code == 200

    assert_refused(await _order(api, other, "robin", *ORDERS[0]), 400, "last active administrator")


async def test_of_two_administrators_who_deactivate_each_other_one_stays(api: Api, second: Api) -> None:
    admin, robin = await api.login(), await api.newcomer("robin", "admin")

    answers = await asyncio.gather(
        _order(api, admin, "robin", *ORDERS[0]), _order(second, robin, ADMIN, *ORDERS[0])
    )

    statuses = sorted(answer.status_code for answer in answers)
    assert statuses[0] == 200
    assert statuses[1] in (400, 401)
    logins = [(await log_in(api, name, PASSWORD)).status_code for name in (ADMIN, "robin")]
    assert sorted(logins) == [200, 400]


async def test_people_change_their_own_password_by_the_current_one(api: Api) -> None:
    headers = await api.newcomer("morgan", "viewer")

    answer = await _order(
        api, headers, "morgan", "password", {"new_password": NEW, "current_password": PASSWORD}
    )

    assert answer.status_code == 200
    assert (await log_in(api, "morgan", NEW)).status_code == 200
    assert_refused(await log_in(api, "morgan", PASSWORD), 401, "Incorrect username or password")


@pytest.mark.parametrize("current", [None, "not the password"])
async def test_ones_own_password_needs_the_current_one(api: Api, current: str | None) -> None:
    headers = await api.newcomer("morgan")

    answer = await _order(
        api, headers, "morgan", "password", {"new_password": NEW, "current_password": current}
    )

    assert_refused(answer, 403, "current password")
    assert (await log_in(api, "morgan", PASSWORD)).status_code == 200


@together
@pytest.mark.parametrize("username", [ADMIN, "nobody"])
async def test_others_passwords_are_for_administrators(
    shared: Api, analyst: dict[str, str], username: str
) -> None:
    answer = await _order(shared, analyst, username, "password", {"new_password": NEW})

    assert_refused(answer, 403, "Admin access required")


async def _order(
    api: Api, headers: dict[str, str], username: str, order: str, body: dict[str, object]
) -> Response:
    return await api.client.post(f"/api/auth/users/{username}/{order}", headers=headers, json=body)
