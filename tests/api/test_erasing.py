"""Erasing personal data over HTTP: it takes two administrators, no hold may stand, and then nobody finds a name."""

import asyncio
from collections.abc import AsyncIterator
from uuid import uuid4

import httpx
import pyotp
import pytest
import pytest_asyncio

from ledger.domain.authority import Role
from tests.api.answers import assert_refused, log_in, raw, together, wrong_fields
from tests.identity.house import MovingClock
from tests.support.http import PASSWORD, Api, registration

BASIS = {"basis": "consent_withdrawn", "reason": "ticket 17"}
WHY = {"reason": "case 2041"}


class Office:
    """Two administrators and an auditor."""

    def __init__(self, api: Api, people: dict[str, dict[str, str]]) -> None:
        self.api, self.people = api, people

    async def post(self, who: str, path: str, body: object = None, **headers: str) -> httpx.Response:
        sent = {**self.people[who], **{name.replace("_", "-"): text for name, text in headers.items()}}
        return await self.api.client.post(f"/api/subjects/{path}", headers=sent, json=body)

    async def done(self, who: str, path: str, body: object = None) -> dict:
        answer = await self.post(who, path, body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def get(self, path: str, who: str = "audrey") -> httpx.Response:
        return await self.api.client.get(f"/api/subjects/{path}", headers=self.people[who])

    async def gone(self, name: str) -> None:
        """Let somebody in and deactivate them."""
        answer = await self.api.client.post(
            "/api/auth/register", headers=self.people["admin"], json=registration(name)
        )
        assert answer.status_code == 200, answer.text
        await self.deactivate(name)

    async def deactivate(self, name: str, by: str = "admin") -> httpx.Response:
        return await self.api.client.post(
            f"/api/auth/users/{name}/deactivate", headers=self.people[by], json={"reason": "left"}
        )

    async def requested(self, name: str) -> str:
        """Let somebody's erasure wait for an approval; where it is."""
        await self.gone(name)
        await self.done("admin", f"person/{name}/erasure", BASIS)
        return f"person/{name}"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def office(shared: Api) -> AsyncIterator[Office]:
    people = {"admin": await shared.login()}
    for name, role in (("boss", Role.ADMIN), ("audrey", Role.AUDITOR), ("ana", Role.ANALYST)):
        people[name] = await shared.newcomer(name, role)
    yield Office(shared, people)


async def person_id(api: Api, name: str) -> str:
    return str(await api.ledger.pool.fetchval("select person_id from work.people where username = $1", name))


@together
async def test_one_asks_another_approves_and_nobody_finds_the_name(office: Office):
    await office.gone("sam")
    person = await person_id(office.api, "sam")
    asked = await office.done("admin", "person/sam/erasure", BASIS)
    assert asked == {"message": "Erasure requested", "kind": "person"}
    told = (await office.get("person/sam")).json()
    assert (told["subject"], told["state"], told["erasure"], told["holds"]) == ("sam", "requested", None, [])
    assert told["request"] == {
        "basis": "consent_withdrawn",
        "requested_by": "admin",
        "requested_at": told["request"]["requested_at"],
        "reason": "ticket 17",
    }

    answer = await office.post("boss", "person/sam/erasure/approve")

    assert answer.json() == {"message": "Subject erased", "kind": "person"}
    assert answer.headers["ledger-position"]
    assert_refused(await office.get("person/sam"), 404)
    users = await office.api.client.get("/api/auth/users", headers=office.people["admin"])
    assert "sam" not in {user["username"] for user in users.json()}
    assert_refused(await log_in(office.api, "sam", PASSWORD), 401)
    told = (await office.get(f"person/{person}")).json()
    assert (told["kind"], told["subject"], told["state"]) == ("person", "erased", "erased")
    assert told["erasure"]["removed"] == {"names": 1, "credentials": 1}
    assert (told["erasure"]["requested_by"], told["erasure"]["approved_by"]) == ("admin", "boss")


@together
async def test_the_name_is_free_again_and_means_somebody_else(office: Office):
    path = await office.requested("phoenix")
    first = await person_id(office.api, "phoenix")
    await office.done("boss", f"{path}/erasure/approve")

    await office.gone("phoenix")

    assert await person_id(office.api, "phoenix") != first
    assert (await office.get(path)).json()["state"] == "kept"
    assert (await office.get(f"person/{first}")).json()["state"] == "erased"


@together
async def test_whoever_asked_does_not_approve(office: Office):
    path = await office.requested("two-pairs")

    refused = await office.post("admin", f"{path}/erasure/approve")

    assert_refused(refused, 403, "they asked for")
    assert refused.json()["code"] == "approved-by-its-requester"
    assert (await office.get(path)).json()["state"] == "requested"


@together
async def test_an_administrator_has_no_say_in_their_own_erasure_and_is_deactivated_first(office: Office):
    office.people["ada"] = await office.api.newcomer("ada", Role.ADMIN)
    await office.done("admin", "person/ada/erasure", BASIS)

    for act in ("erasure/approve", "erasure/refuse", "holds"):
        refused = await office.post("ada", f"person/ada/{act}", WHY)
        assert (refused.status_code, refused.json()["code"]) == (403, "own-erasure")
    refused = await office.post("boss", "person/ada/erasure/approve")
    assert (refused.status_code, refused.json()["code"]) == (409, "account-still-active")

    await office.deactivate("ada")
    assert (await office.post("ada", "person/ada/erasure/approve")).status_code == 401
    await office.done("boss", "person/ada/erasure/approve")


@together
async def test_who_was_let_in_again_is_not_erased(office: Office):
    path = await office.requested("boomerang")
    again = await office.api.client.post(
        "/api/auth/users/boomerang/reactivate", headers=office.people["boss"], json={"reason": "back"}
    )
    assert again.status_code == 200

    refused = await office.post("boss", f"{path}/erasure/approve")

    assert (refused.status_code, refused.json()["code"]) == (409, "account-still-active")
    assert (await log_in(office.api, "boomerang", PASSWORD)).status_code == 200


@together
async def test_who_is_erased_is_not_let_in_again(office: Office):
    path = await office.requested("lazarus")
    await office.done("boss", f"{path}/erasure/approve")

    again = await office.api.client.post(
        "/api/auth/users/lazarus/reactivate", headers=office.people["boss"], json={"reason": "back"}
    )

    assert_refused(again, 404)


@together
async def test_a_hold_keeps_it_and_each_is_lifted_by_its_id(office: Office):
    path = await office.requested("held")
    first, second = [(await office.done("boss", f"{path}/holds", WHY))["hold_id"] for _ in range(2)]
    held = {one["subject"] for one in (await office.get("holds")).json()}
    assert "held" in held

    for still, hold in ((2, first), (1, second)):
        refused = await office.post("boss", f"{path}/erasure/approve")
        assert_refused(refused, 409, "legal hold")
        assert (refused.json()["code"], refused.json()["context"]["holds"]) == ("legal-hold", str(still))
        told = (await office.get(path)).json()
        assert [one["placed_by"] for one in told["holds"]] == ["boss"] * still
        await office.done("admin", f"{path}/holds/{hold}/lift", WHY)
    again = await office.post("admin", f"{path}/holds/{first}/lift", WHY)
    assert (again.status_code, again.json()["code"]) == (404, "hold-not-found")
    assert "held" not in {one["subject"] for one in (await office.get("holds")).json()}

    await office.done("boss", f"{path}/erasure/approve")


@together
async def test_a_request_is_withdrawn_by_whoever_asked_and_refused_by_another(office: Office):
    path = await office.requested("maybe")
    assert "maybe" in {one["subject"] for one in (await office.get("erasures")).json()}
    for who, act, code in (
        ("boss", "withdraw", "not-its-requester"),
        ("admin", "refuse", "refused-by-its-requester"),
    ):
        refused = await office.post(who, f"{path}/erasure/{act}", WHY)
        assert (refused.status_code, refused.json()["code"]) == (403, code)

    await office.done("admin", f"{path}/erasure/withdraw", WHY)
    assert "maybe" not in {one["subject"] for one in (await office.get("erasures")).json()}
    refused = await office.post("boss", f"{path}/erasure/approve")
    assert (refused.status_code, refused.json()["code"]) == (409, "no-erasure-requested")
    await office.done("admin", f"{path}/erasure", BASIS)
    await office.done("boss", f"{path}/erasure/refuse", WHY)

    assert (await office.get(path)).json()["state"] == "kept"


@together
async def test_it_is_asked_for_once_at_a_time(office: Office):
    path = await office.requested("patience")

    refused = await office.post("boss", f"{path}/erasure", BASIS)

    assert (refused.status_code, refused.json()["code"]) == (409, "erasure-already-requested")


@together
async def test_an_approval_that_is_sent_again_is_answered_as_it_was(office: Office):
    path = await office.requested("echo")

    first, again = [
        await office.post("boss", f"{path}/erasure/approve", idempotency_key="erase-echo") for _ in range(2)
    ]

    assert first.status_code == again.status_code == 200
    assert (first.json(), first.headers["ledger-position"]) == (
        again.json(),
        again.headers["ledger-position"],
    )
    assert_refused(await office.post("boss", f"{path}/erasure/approve"), 404)


@together
async def test_of_many_approvals_at_once_one_erases(office: Office):
    path = await office.requested("crowd")
    office.people["chief"] = office.people.get("chief") or await office.api.newcomer("chief", Role.ADMIN)

    answers = await asyncio.gather(
        *(office.post(who, f"{path}/erasure/approve") for who in ("boss", "chief") * 3)
    )

    assert min(answer.status_code for answer in answers) == 200
    assert sum(answer.status_code == 200 for answer in answers) == 1
    assert {answer.json()["code"] for answer in answers if answer.status_code != 200} <= {
        "already-erased",
        "subject-not-found",
    }


@together
async def test_the_last_administrator_stays(office: Office):
    """Nobody is erased who is not deactivated, and the last administrator never is."""
    others = [name for name in ("boss", "chief") if name in office.people]
    for name in others:
        await office.api.client.post(
            f"/api/auth/users/{name}/role",
            headers=office.people["admin"],
            json={"role": "viewer", "reason": "for a while"},
        )

    refused = await office.deactivate("admin")

    assert refused.json()["code"] == "last-admin"
    for name in others:
        back = await office.api.client.post(
            f"/api/auth/users/{name}/role",
            headers=office.people["admin"],
            json={"role": "admin", "reason": "back"},
        )
        assert back.status_code == 200
        office.people[name] = await office.api.login(name)


@together
async def test_auditors_look_and_analysts_do_not(office: Office):
    await office.gone("subject-of-talk")
    for path in ("person/subject-of-talk", "erasures", "holds"):
        assert (await office.get(path)).status_code == 200
        assert_refused(await office.get(path, "ana"), 403)
    for act in ("erasure", "erasure/approve", "holds"):
        assert_refused(await office.post("audrey", f"person/subject-of-talk/{act}", BASIS), 403)


@pytest.mark.parametrize(
    "path",
    ["person/nobody", "person/3f1c2d4e-5b6a-4c7d-8e9f-0a1b2c3d4e5f", "data_subject/nobody", "machine/sam"],
)
@together
async def test_what_is_not_known_is_not_found(office: Office, path: str):
    assert_refused(await office.get(path), 404)
    for act, body in (
        ("erasure", BASIS),
        ("erasure/approve", None),
        ("erasure/withdraw", WHY),
        ("holds", WHY),
        (f"holds/{uuid4()}/lift", WHY),
    ):
        assert_refused(await office.post("boss", f"{path}/{act}", body), 404)


@together
async def test_odd_names_are_nobodys(office: Office):
    for name in (b"%00", b"%FF%FE", b"%ED%A0%80", b"%0a", b"x" * 5_000):
        for kind in (b"person", b"data_subject"):
            target = b"/api/subjects/" + kind + b"/" + name
            answer = await raw(office.api, "GET", target, headers=office.people["admin"])
            assert answer.status_code in {404, 422}


@together
async def test_a_basis_and_a_reason_are_needed(office: Office):
    await office.gone("why")
    wrong = [
        ({"reason": "x"}, {"basis"}),
        ({"basis": "because", "reason": "x"}, {"basis"}),
        ({"basis": "objection"}, {"reason"}),
        ({"basis": "objection", "reason": ""}, {"reason"}),
        ({**BASIS, "approved_by": "boss"}, {"body"}),
    ]
    for body, fields in wrong:
        assert wrong_fields(await office.post("admin", "person/why/erasure", body)) == fields
    blank = await office.post("admin", "person/why/erasure", {**BASIS, "reason": "  "})
    assert (blank.status_code, blank.json()["code"]) == (422, "reason-missing")


async def test_whoever_has_a_second_factor_proves_it_before_they_ask_approve_or_lift(
    timed: Api, clock: MovingClock
):
    office = Office(timed, {"admin": await timed.login()})
    office.people["boss"] = await timed.newcomer("boss", Role.ADMIN)
    await office.requested("sam")
    hold = (await office.done("boss", "person/sam/holds", WHY))["hold_id"]
    codes = await with_factor(timed, clock, office.people["boss"])

    for path, body in ((f"person/sam/holds/{hold}/lift", WHY), ("person/sam/erasure/approve", None)):
        refused = await office.post("boss", path, body)
        assert_refused(refused, 401, "fresh second factor")
        await step_up(timed, office.people["boss"], codes.pop())
        await office.done("boss", path, body)
        clock.forward(seconds=301)
    await office.gone("ben")
    assert_refused(await office.post("boss", "person/ben/erasure", BASIS), 401, "fresh second factor")


async def with_factor(api: Api, clock: MovingClock, headers: dict[str, str]) -> list[str]:
    made = (await api.client.post("/api/auth/2fa/setup", headers=headers)).json()
    code = pyotp.TOTP(made["secret"]).at(clock())
    answer = await api.client.post("/api/auth/2fa/verify", headers=headers, json={"code": code})
    assert answer.status_code == 200, answer.text
    return made["backup_codes"]


async def step_up(api: Api, headers: dict[str, str], code: str) -> None:
    answer = await api.client.post("/api/auth/step-up", headers=headers, json={"code": code})
    assert answer.status_code == 200, answer.text
