"""Doing what one's role may not, seeing what is somebody else's."""

import pytest

from tests.attacks.site import Person, Site, uncounted
from tests.support.http import registration, verdict

ADMINISTRATION = [
    ("/api/auth/users/admin/deactivate", {"reason": "x"}),
    ("/api/auth/users/admin/role", {"role": "viewer", "reason": "x"}),
    ("/api/auth/users/sam/role", {"role": "admin", "reason": "x"}),
    ("/api/auth/users/sam/reactivate", {"reason": "x"}),
    ("/api/auth/users/admin/password", {"new_password": "a password of the attacker"}),
]


@pytest.fixture
def outsiders(sam: Person, vic: Person, engine: Person) -> list[Person]:
    """Everybody but an administrator."""
    return [sam, vic, engine]


def whoami(site: Site, by: Person) -> dict:
    return site.ask("GET", "/api/auth/me", by=by).json()


@pytest.mark.parametrize(("path", "body"), ADMINISTRATION)
def test_nobody_but_an_administrator_administers(
    site: Site, outsiders: list[Person], path: str, body: dict
) -> None:
    answers = [site.post(path, body, by=by) for by in outsiders]

    assert {answer.status_code for answer in answers} == {403}
    assert site.post(path, body).status_code == 401


def test_nobody_registers_themselves_or_others(site: Site, sam: Person, engine: Person) -> None:
    body = registration(uncounted("mallory"), role="admin")

    assert site.post("/api/auth/register", body).status_code == 401
    assert {site.post("/api/auth/register", body, by=by).status_code for by in (sam, engine)} == {403}


@pytest.mark.parametrize(
    "extra",
    [
        {"role": "admin"},
        {"is_admin": True},
        {"is_lead": True, "groups": ["admin"]},
        {"person": "00000000-0000-0000-0000-000000000001", "epoch": 0},
    ],
    ids=str,
)
def test_fields_beyond_the_form_give_nobody_anything(site: Site, sam: Person, extra: dict) -> None:
    name = site.submit(sam, **extra, status="approved", decided_by="admin")
    site.post("/api/auth/2fa/verify", {"code": "000000", **extra}, by=sam)
    site.post("/api/auth/users/sam/password", {"new_password": "another password", **extra}, by=sam)
    told = site.ask("GET", f"/api/decisions/{name}", by=sam).json()

    assert whoami(site, sam)["role"] == "analyst"
    assert told["status"] == "pending"
    assert "decided_by" not in told


def test_our_own_calls_refuse_fields_they_do_not_know(site: Site, admin: Person) -> None:
    answer = site.post(
        "/api/auth/users/vic/role", {"role": "viewer", "reason": "x", "is_lead": True}, by=admin
    )

    assert answer.status_code == 422


@pytest.mark.parametrize("role", ["root", "Admin", "ADMIN", "admin ", "", None, 1, ["admin"]])
def test_a_role_that_does_not_exist_is_given_to_nobody(site: Site, admin: Person, role: object) -> None:
    body = {**registration(uncounted("mallory")), "role": role}

    assert site.post("/api/auth/register", body, by=admin).status_code == 422


@pytest.mark.parametrize(
    "headers", [{"X-Role": "admin"}, {"X-Forwarded-User": "admin"}, {"X-HTTP-Method-Override": "DELETE"}]
)
def test_headers_of_other_peoples_gateways_mean_nothing(site: Site, sam: Person, headers: dict) -> None:
    assert site.ask("GET", "/health/database", by=sam, headers=headers).status_code == 403
    assert site.ask("GET", "/health/database", headers=headers).status_code == 401


def test_a_service_sees_only_what_it_submitted(
    site: Site, sam: Person, engine: Person, admin: Person
) -> None:
    mine, other = site.submit(engine), site.submit(sam)
    site.post(f"/api/decisions/{other}/decide", verdict(other), by=admin)

    assert site.ask("GET", f"/api/decisions/{mine}", by=engine).status_code == 200
    assert site.ask("GET", f"/api/decisions/{other}", by=engine).status_code == 404
    assert site.ask("GET", f"/api/decisions/{other}/response", by=engine).status_code == 404
    assert site.ask("GET", "/api/decisions/pending", by=engine).status_code == 403


def test_what_is_hidden_and_what_does_not_exist_look_the_same(
    site: Site, sam: Person, engine: Person
) -> None:
    other = site.submit(sam)

    hidden = site.ask("GET", f"/api/decisions/{other}", by=engine).json()
    missing = site.ask("GET", "/api/decisions/there-is-none", by=engine).json()

    differing = {name for name in hidden if hidden[name] != missing.get(name)}
    assert differing <= {"instance", "request_id"}


def test_viewers_and_services_decide_nothing(site: Site, sam: Person, vic: Person, engine: Person) -> None:
    name = site.submit(sam)

    answers = [site.post(f"/api/decisions/{name}/decide", verdict(name), by=by) for by in (vic, engine)]

    assert {answer.status_code for answer in answers} == {403}
    assert site.ask("GET", f"/api/decisions/{name}", by=sam).json()["status"] == "pending"


def test_a_verdict_on_one_item_cannot_be_smuggled_onto_another(
    site: Site, sam: Person, admin: Person
) -> None:
    one, other = site.submit(sam), site.submit(sam)

    answer = site.post(f"/api/decisions/{one}/decide", verdict(other), by=admin)

    assert answer.status_code == 422
    assert {site.ask("GET", f"/api/decisions/{name}", by=sam).json()["status"] for name in (one, other)} == {
        "pending"
    }


def test_somebody_elses_idempotency_key_gets_nobody_elses_answer(
    site: Site, sam: Person, admin: Person
) -> None:
    key = {"Idempotency-Key": uncounted("key")}
    name = site.submit(sam)
    first = site.ask(
        "POST", f"/api/decisions/{name}/decide", by=admin, headers=key, json=verdict(name, notes="mine")
    )

    second = site.ask(
        "POST", f"/api/decisions/{name}/decide", by=sam, headers=key, json=verdict(name, notes="mine")
    )

    assert first.status_code == 200
    assert second.status_code == 400
    assert "mine" not in second.text


def test_a_lost_role_holds_from_the_next_call_on_every_instance(site: Site, admin: Person) -> None:
    lost = site.newcomer(uncounted("lost"), "admin", by=admin)
    body = {"role": "viewer", "reason": "no longer one"}

    assert site.post(f"/api/auth/users/{lost.username}/role", body, by=admin).status_code == 200

    answers = [site.ask("GET", "/health/database", by=lost) for _ in site.services]
    assert {answer.status_code for answer in answers} == {401}
