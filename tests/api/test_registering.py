"""Administrators let people in, each name once."""

import pytest

from tests.api.answers import assert_refused, log_in, together, wrong_fields
from tests.support.http import PASSWORD, Api, registration


async def test_an_administrator_registers_somebody(api: Api) -> None:
    answer = await api.client.post(
        "/api/auth/register", headers=await api.login(), json=registration("morgan")
    )

    assert answer.status_code == 200
    assert answer.json() == {"message": "User registered successfully", "username": "morgan"}


async def test_whoever_is_registered_can_log_in_at_once(api: Api) -> None:
    await api.client.post("/api/auth/register", headers=await api.login(), json=registration("morgan"))

    assert (await log_in(api, "morgan", PASSWORD)).status_code == 200


async def test_without_a_role_somebody_is_an_analyst(api: Api) -> None:
    body = registration("morgan")
    del body["role"]
    await api.client.post("/api/auth/register", headers=await api.login(), json=body)

    me = await api.client.get("/api/auth/me", headers=await api.login("morgan"))

    assert me.json()["role"] == "analyst"


@pytest.mark.parametrize("again", ["morgan", "MORGAN", "\uff2dorgan"])
async def test_a_name_is_registered_once_however_it_is_written(api: Api, again: str) -> None:
    admin = await api.login()
    await api.client.post("/api/auth/register", headers=admin, json=registration("morgan"))

    answer = await api.client.post(
        "/api/auth/register", headers=admin, json=registration(again, email="other@example.org")
    )

    assert_refused(answer, 400, "already registered")


@together
@pytest.mark.parametrize(
    "email",
    ["nobody", "@example.org", "nobody@", "no body@example.org", "nobody@example", "a@b@c.org", ""],
)
async def test_a_bad_address_is_refused(shared: Api, admin: dict[str, str], email: str) -> None:
    answer = await shared.client.post(
        "/api/auth/register", headers=admin, json=registration("morgan", email=email)
    )

    assert wrong_fields(answer) == {"email"}


@together
@pytest.mark.parametrize("role", ["superuser", "Admin", "", "lead"])
async def test_an_unknown_role_is_refused(shared: Api, admin: dict[str, str], role: str) -> None:
    answer = await shared.client.post(
        "/api/auth/register", headers=admin, json=registration("morgan", role=role)
    )

    assert wrong_fields(answer) == {"role"}


@together
@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("username", "mo"),
        ("username", "m" * 51),
        ("username", " morgan"),
        ("username", "mor/gan"),
        ("username", "mor\tgan"),
        ("email", "m" * 244 + "@example.org"),
        ("password", "1234567"),
        ("password", "p" * 1001),
        ("full_name", "n" * 201),
    ],
)
async def test_what_is_too_short_too_long_or_unprintable_is_refused(
    shared: Api, admin: dict[str, str], field: str, value: str
) -> None:
    body = {**registration("morgan"), field: value}

    answer = await shared.client.post("/api/auth/register", headers=admin, json=body)

    assert wrong_fields(answer) == {field}


@together
@pytest.mark.parametrize(
    ("username", "password"), [("abc", "zu 8 hoch"), ("m" * 50, "pqvx " * 200), ("Zoë 🦉 'Ω", "pässwörd")]
)
async def test_lengths_at_their_limits_are_taken(
    shared: Api, admin: dict[str, str], username: str, password: str
) -> None:
    body = registration(username, email="owl@example.org", password=password)

    answer = await shared.client.post("/api/auth/register", headers=admin, json=body)

    assert answer.json()["username"] == username
    assert (await log_in(shared, username, password)).status_code == 200


@together
async def test_every_missing_field_is_named(shared: Api, admin: dict[str, str]) -> None:
    answer = await shared.client.post("/api/auth/register", headers=admin, json={})

    assert wrong_fields(answer) == {"username", "email", "password", "full_name"}


@together
async def test_every_field_that_breaks_a_rule_is_named_whichever_kind_of_rule(
    shared: Api, admin: dict[str, str]
) -> None:
    body = {
        **registration("mor/gan"),
        "email": "nobody",
        "password": "password1",
        "full_name": 7,
        "role": "chief",
    }

    answer = await shared.client.post("/api/auth/register", headers=admin, json=body)

    assert wrong_fields(answer) == {"username", "email", "password", "full_name", "role"}


@together
async def test_nobody_registers_without_a_token(shared: Api) -> None:
    answer = await shared.client.post("/api/auth/register", json=registration("morgan"))

    assert_refused(answer, 401, "Not authenticated")


@together
@pytest.mark.parametrize("role", ["analyst", "viewer", "auditor", "service"])
async def test_only_administrators_register(shared: Api, role: str) -> None:
    headers = await shared.newcomer(f"sam-{role}", role)

    answer = await shared.client.post("/api/auth/register", headers=headers, json=registration("morgan"))

    assert_refused(answer, 403, "Admin access required")


async def test_sql_in_a_user_name_is_only_a_name(api: Api) -> None:
    name = "x'; drop table work.people; --"

    answer = await api.client.post(
        "/api/auth/register",
        headers=await api.login(),
        json=registration(name, email="bobby@example.org"),
    )

    assert answer.status_code == 200
    me = await api.client.get("/api/auth/me", headers=await api.login(name))
    assert me.json()["username"] == name


async def test_a_refused_registration_leaves_no_event(api: Api) -> None:
    admin = await api.login()
    before = await api.ledger.head()

    await api.client.post("/api/auth/register", headers=admin, json=registration("admin"))
    await api.client.post("/api/auth/register", headers=admin, json=registration("morgan", role="king"))

    assert await api.ledger.head() == before


@pytest.mark.parametrize("password", ["12345678", "Password1!", "qwertyui", "newcomer7", "aaaaaaaab"])
@together
async def test_what_anybody_would_try_first_is_no_password(
    shared: Api, admin: dict[str, str], password: str
) -> None:
    body = registration("newcomer", password=password)
    answer = await shared.client.post("/api/auth/register", headers=admin, json=body)
    assert wrong_fields(answer) == {"password"}

    change = {"new_password": password if "newcomer" not in password else "admin-77", "reason": "x"}
    answer = await shared.client.post("/api/auth/users/admin/password", headers=admin, json=change)
    assert wrong_fields(answer) == {"new_password"}


@pytest.mark.parametrize(
    "unseen", ["\u200b", "\u202e", "\u2066", "\u00ad", "\u2028", "\u2029", "\u0085", "\ufeff"]
)
@pytest.mark.parametrize("field", ["username", "full_name"])
@together
async def test_no_name_holds_what_nobody_sees(
    shared: Api, admin: dict[str, str], field: str, unseen: str
) -> None:
    body = registration("newcomer") | {field: f"new{unseen}comer"}

    answer = await shared.client.post("/api/auth/register", headers=admin, json=body)

    assert wrong_fields(answer) == {field}
