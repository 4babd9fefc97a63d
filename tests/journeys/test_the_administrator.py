"""The administrator's story: people come, change and go; the service says how it is."""

from tests.support.http import PASSWORD, Api, registration, submission, verdict


async def test_an_administrator_lets_people_in_and_keeps_them_out(api: Api) -> None:
    admin = await api.login()

    # Each newcomer gets a name, an address, a password and a role.
    let_in = await api.client.post("/api/auth/register", headers=admin, json=registration("morgan"))
    assert let_in.json() == {"message": "User registered successfully", "username": "morgan"}
    morgan = await api.login("morgan")
    assert (await api.client.get("/api/decisions/pending", headers=morgan)).status_code == 200

    # Morgan changes teams: from this answer on, no session with the old rights is alive anywhere.
    changed = await api.client.post(
        "/api/auth/users/morgan/role", headers=admin, json={"role": "viewer", "reason": "joined finance"}
    )
    assert changed.status_code == 200
    assert (await api.client.get("/api/decisions/pending", headers=morgan)).status_code == 401
    morgan = await api.login("morgan")
    assert (await api.client.get("/api/decisions/pending", headers=morgan)).status_code == 403

    # Morgan leaves.
    await api.client.post(
        "/api/auth/users/morgan/deactivate", headers=admin, json={"reason": "left the company"}
    )
    form = {"username": "morgan", "password": PASSWORD}
    refused = await api.client.post("/api/auth/login", data=form)
    assert (refused.status_code, refused.json()["title"]) == (400, "Inactive user.")


async def test_nobody_can_lock_everybody_out(api: Api) -> None:
    admin = await api.login()

    refused = await api.client.post(
        "/api/auth/users/admin/deactivate", headers=admin, json={"reason": "a typing error"}
    )

    assert refused.status_code == 400
    assert refused.json()["code"] == "last-admin"
    assert (await api.client.get("/api/auth/me", headers=admin)).status_code == 200


async def test_an_administrator_looks_after_the_service(api: Api) -> None:
    admin = await api.login()
    await api.client.post("/api/decisions/submit", headers=admin, json=submission("beacon-17"))
    await api.client.post(
        "/api/decisions/submit", headers=admin, json=submission("beacon-18", priority="critical")
    )
    await api.client.post("/api/decisions/beacon-17/decide", headers=admin, json=verdict("beacon-17"))

    # Anybody may ask whether it is up; how much there is, whoever is logged in.
    assert (await api.client.get("/health")).json()["status"] == "healthy"
    status = (await api.client.get("/api/status", headers=admin)).json()
    assert status["total_decisions"] == 2
    assert status["total_responses"] == 1
    assert status["critical_pending"] == 1

    # The database is the administrator's business.
    database = (await api.client.get("/health/database", headers=admin)).json()
    assert database["status"] == "healthy"
    assert database["database"]["connected"] is True
