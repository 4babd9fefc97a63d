"""Logging in: a form with a name and a password for a pair of tokens."""

from datetime import datetime

import pytest

from tests.api.answers import assert_refused, log_in, together, wrong_fields
from tests.support.http import ADMIN, PASSWORD, Api, bearer


@together
async def test_a_right_password_answers_with_a_pair_of_tokens(shared: Api) -> None:
    answer = await log_in(shared, ADMIN, PASSWORD)

    assert answer.status_code == 200
    body = answer.json()
    assert set(body) == {"access_token", "refresh_token", "token_type", "requires_2fa"}
    assert body["token_type"] == "bearer"
    assert body["requires_2fa"] is False
    assert body["access_token"].count(".") == 2
    assert body["refresh_token"]


@together
async def test_a_name_is_found_however_it_is_capitalised(shared: Api) -> None:
    assert (await log_in(shared, "ADMIN", PASSWORD)).status_code == 200


@together
async def test_an_unknown_name_and_a_wrong_password_are_told_the_same(shared: Api) -> None:
    unknown = await log_in(shared, "nobody", PASSWORD)
    wrong = await log_in(shared, ADMIN, "not the password")

    assert_refused(unknown, 401, "Incorrect username or password")
    assert_refused(wrong, 401, "Incorrect username or password")
    told = [{**answer.json(), "request_id": ""} for answer in (unknown, wrong)]
    assert told[0] == told[1]


async def test_the_right_password_of_a_deactivated_account_is_told_so(api: Api) -> None:
    await api.newcomer("morgan")
    await api.client.post(
        "/api/auth/users/morgan/deactivate", headers=await api.login(), json={"reason": "left"}
    )

    assert_refused(await log_in(api, "morgan", PASSWORD), 400, "Inactive user")


async def test_a_wrong_password_does_not_learn_that_an_account_is_deactivated(api: Api) -> None:
    await api.newcomer("morgan")
    await api.client.post(
        "/api/auth/users/morgan/deactivate", headers=await api.login(), json={"reason": "left"}
    )

    answer = await log_in(api, "morgan", "not the password")

    assert_refused(answer, 401, "Incorrect username or password")


@together
@pytest.mark.parametrize(
    ("form", "missing"),
    [
        ({}, {"username", "password"}),
        ({"username": ADMIN}, {"password"}),
        ({"password": PASSWORD}, {"username"}),
    ],
)
async def test_a_missing_field_is_named(shared: Api, form: dict[str, str], missing: set[str]) -> None:
    answer = await shared.client.post("/api/auth/login", data=form)

    assert wrong_fields(answer) == missing


@together
async def test_a_login_form_may_be_multipart(shared: Api) -> None:
    form = {"username": (None, ADMIN), "password": (None, PASSWORD)}

    assert (await shared.client.post("/api/auth/login", files=form)).status_code == 200


@together
async def test_fields_that_oauth_clients_add_are_ignored(shared: Api) -> None:
    form = {"grant_type": "password", "scope": "", "username": ADMIN, "password": PASSWORD}

    assert (await shared.client.post("/api/auth/login", data=form)).status_code == 200


@together
async def test_json_is_not_a_login_form(shared: Api) -> None:
    answer = await shared.client.post("/api/auth/login", json={"username": ADMIN, "password": PASSWORD})

    assert_refused(answer, 415)


@together
async def test_sql_in_the_user_name_finds_nobody(shared: Api) -> None:
    answer = await log_in(shared, "admin' or '1'='1", PASSWORD)

    assert_refused(answer, 401, "Incorrect username or password")


async def test_me_tells_who_is_logged_in(api: Api) -> None:
    headers = await api.newcomer("morgan")

    answer = await api.client.get("/api/auth/me", headers=headers)

    assert answer.status_code == 200
    body = answer.json()
    last_login = body.pop("last_login")
    assert body == {
        "username": "morgan",
        "email": "morgan@example.org",
        "full_name": "morgan of the night shift",
        "role": "analyst",
        "is_2fa_enabled": False,
        "groups": [],
        "is_lead": False,
    }
    assert last_login.endswith("Z")


@together
async def test_last_login_is_this_one(shared: Api) -> None:
    first = await shared.client.get("/api/auth/me", headers=await shared.login())
    second = await shared.client.get("/api/auth/me", headers=await shared.login())

    one, other = (datetime.fromisoformat(answer.json()["last_login"]) for answer in (first, second))
    assert other > one


@together
async def test_me_needs_a_token(shared: Api) -> None:
    answer = await shared.client.get("/api/auth/me")

    assert_refused(answer, 401, "Not authenticated")
    assert answer.headers["www-authenticate"] == "Bearer"


@together
@pytest.mark.parametrize(
    "header",
    [
        "Bearer",
        "Bearer ",
        "Basic YWRtaW46YWRtaW4=",
        "Bearer not-a-token",
        "Bearer a.b.c",
        "Bearer " + "a" * 3000,
        "Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZG1pbiJ9.",
    ],
)
async def test_what_is_not_a_token_of_ours_is_refused(shared: Api, header: str) -> None:
    answer = await shared.client.get("/api/auth/me", headers={"Authorization": header})

    assert_refused(answer, 401)
    assert answer.headers["www-authenticate"] == "Bearer"


@together
async def test_a_token_with_one_character_changed_is_refused(shared: Api) -> None:
    token = (await log_in(shared, ADMIN, PASSWORD)).json()["access_token"]
    head, claims, signature = token.split(".")
    changed = ("A" if signature[0] != "A" else "B") + signature[1:]

    answer = await shared.client.get("/api/auth/me", headers=bearer(f"{head}.{claims}.{changed}"))

    assert_refused(answer, 401, "Could not validate credentials")


@together
async def test_a_refresh_token_is_not_an_access_token(shared: Api) -> None:
    token = (await log_in(shared, ADMIN, PASSWORD)).json()["refresh_token"]

    answer = await shared.client.get("/api/auth/me", headers=bearer(token))

    assert_refused(answer, 401)
