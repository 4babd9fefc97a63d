"""API keys over HTTP: machines that submit without logging in, and see only what is theirs."""

import pytest

from tests.api.answers import assert_refused, decide, submit, together, wrong_fields
from tests.identity.house import MovingClock
from tests.support.http import Api, bearer, registration, submission

KEYS = "/api/keys"


async def machine(api: Api, username: str, headers: dict[str, str]) -> None:
    body = registration(username, role="service")
    answer = await api.client.post("/api/auth/register", headers=headers, json=body)
    assert answer.status_code == 200, answer.text


async def key_of(api: Api, username: str, headers: dict[str, str], **more: object) -> dict[str, object]:
    answer = await api.client.post(KEYS, headers=headers, json={"username": username, **more})
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_a_machine_submits_with_a_key_and_reads_the_answer(api: Api, second: Api) -> None:
    admin = await api.login()
    await machine(api, "engine", admin)
    made = await key_of(api, "engine", admin, name="the engine in the basement")
    engine = bearer(str(made["key"]))

    await submit(second, engine, "A-1")
    assert (await decide(api, admin, "A-1")).status_code == 200
    answer = await api.client.get("/api/decisions/A-1/response", headers=engine)

    assert answer.json()["status"] == "approved"
    assert str(made["key"]).startswith(str(made["prefix"]))
    (listed,) = (await api.client.get(KEYS, headers=admin)).json()
    assert (listed["username"], listed["name"]) == ("engine", "the engine in the basement")
    assert listed["last_used_at"] is not None
    assert "key" not in listed


async def test_a_key_does_what_its_scopes_say_and_nothing_else(api: Api) -> None:
    admin = await api.login()
    await machine(api, "engine", admin)
    writes = bearer(str((await key_of(api, "engine", admin, scopes=["decisions:submit"]))["key"]))
    reads = bearer(str((await key_of(api, "engine", admin, scopes=["decisions:read"]))["key"]))

    await submit(api, writes, "A-1")
    refused = await api.client.post("/api/decisions/submit", headers=reads, json=submission("A-2"))
    assert_refused(refused, 403, "not good for this call")
    assert refused.headers["www-authenticate"] == 'Bearer error="insufficient_scope"'
    for path in ("/api/decisions/A-1", "/api/decisions/stats/summary", "/api/status"):
        assert (await api.client.get(path, headers=reads)).status_code == 200
        assert_refused(await api.client.get(path, headers=writes), 403)
    for path in ("/api/auth/me", "/api/sessions", "/api/decisions/pending"):
        assert_refused(await api.client.get(path, headers=reads), 403)
    for path in ("/api/auth/logout", "/api/auth/step-up", KEYS):
        assert_refused(await api.client.post(path, headers=reads), 403)
    for path in ("/api/auth/2fa/setup", "/api/auth/2fa/verify"):
        assert_refused(await api.client.post(path, headers=reads, json={"code": "1"}), 401)


async def test_a_machine_sees_only_what_it_submitted(api: Api) -> None:
    admin = await api.login()
    engines = {}
    for name in ("engine", "other"):
        await machine(api, name, admin)
        engines[name] = bearer(str((await key_of(api, name, admin))["key"]))
        await submit(api, engines[name], f"of-{name}")
        assert (await decide(api, admin, f"of-{name}")).status_code == 200
    mine, theirs = engines["engine"], "of-other"

    for path in (f"/api/decisions/{theirs}", f"/api/decisions/{theirs}/response"):
        assert_refused(await api.client.get(path, headers=mine), 404, "not found")
        assert (await api.client.get(path.replace("other", "engine"), headers=mine)).status_code == 200
    assert_refused(await api.client.get("/api/decisions/pending", headers=mine), 403)
    summary = (await api.client.get("/api/decisions/stats/summary", headers=mine)).json()
    assert (summary["total_completed"], summary["decisions_last_24h"]) == (1, 1)
    status = (await api.client.get("/api/status", headers=mine)).json()
    assert (status["total_decisions"], status["total_responses"]) == (1, 1)
    taken = await api.client.post("/api/decisions/submit", headers=mine, json=submission(theirs))
    assert_refused(taken, 400, "already exists")


async def test_a_repeated_creation_is_answered_without_the_secret(api: Api) -> None:
    admin = await api.login()
    await machine(api, "engine", admin)
    headers = {**admin, "Idempotency-Key": "first-key"}

    first = await key_of(api, "engine", headers)
    again = await key_of(api, "engine", headers)

    assert first["key"]
    assert again == {**first, "key": None}
    other = await api.client.post(KEYS, headers=headers, json={"username": "engine", "name": "b"})
    assert_refused(other, 422)


async def test_a_revoked_key_is_dead_on_every_instance_at_once(api: Api, second: Api) -> None:
    admin = await api.login()
    await machine(api, "engine", admin)
    made = await key_of(api, "engine", admin)
    engine = bearer(str(made["key"]))
    for instance in (api, second):
        assert (await instance.client.get("/api/status", headers=engine)).status_code == 200

    answer = await api.client.delete(f"{KEYS}/{made['key_id']}", headers=admin, params={"reason": "leaked"})

    assert answer.status_code == 200, answer.text
    for instance in (second, api):
        assert_refused(await instance.client.get("/api/status", headers=engine), 401)
    assert_refused(await api.client.delete(f"{KEYS}/{made['key_id']}", headers=admin), 404)
    assert (await api.client.get(KEYS, headers=admin)).json() == []


async def test_a_deactivated_machine_is_out_at_once(api: Api, second: Api) -> None:
    admin = await api.login()
    await machine(api, "engine", admin)
    engine = bearer(str((await key_of(api, "engine", admin))["key"]))
    assert (await second.client.get("/api/status", headers=engine)).status_code == 200

    await api.client.post("/api/auth/users/engine/deactivate", headers=admin, json={"reason": "retired"})

    assert_refused(await second.client.get("/api/status", headers=engine), 401)


async def test_a_key_expires(timed: Api, clock: MovingClock) -> None:
    admin = await timed.login()
    await machine(timed, "engine", admin)
    made = await key_of(timed, "engine", admin, expires_at=clock().replace(year=2027).isoformat())
    engine = bearer(str(made["key"]))
    assert (await timed.client.get("/api/status", headers=engine)).status_code == 200
    clock.forward(days=366)

    assert_refused(await timed.client.get("/api/status", headers=engine), 401)


@pytest.mark.parametrize(
    ("body", "wrong"),
    [
        ({}, "username"),
        ({"username": "sam", "scopes": []}, "scopes"),
        ({"username": "sam", "scopes": ["everything"]}, "scopes"),
        ({"username": "sam", "expires_at": "2020-01-01T00:00:00Z"}, "expires_at"),
    ],
)
@together
async def test_what_is_wrong_is_named(
    shared: Api, admin: dict[str, str], body: dict[str, object], wrong: str
) -> None:
    assert wrong_fields(await shared.client.post(KEYS, headers=admin, json=body)) == {wrong}


@together
async def test_people_get_no_keys(shared: Api, admin: dict[str, str], analyst: dict[str, str]) -> None:
    refused = await shared.client.post(KEYS, headers=admin, json={"username": "sam"})
    assert_refused(refused, 409, "service accounts")
    assert_refused(await shared.client.post(KEYS, headers=admin, json={"username": "nobody"}), 404)
    assert_refused(await shared.client.delete(f"{KEYS}/nonsense", headers=admin), 404)
