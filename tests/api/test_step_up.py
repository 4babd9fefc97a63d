"""A fresh second factor: asked for by what administers accounts, given within the session."""

import pyotp
import pytest

from tests.api.answers import assert_refused, log_in, together, wrong_fields
from tests.identity.house import MovingClock
from tests.support.http import ADMIN, PASSWORD, Api, bearer, registration

STEP_UP = "/api/auth/step-up"
CHALLENGE = 'Bearer error="insufficient_user_authentication", max_age="300"'


async def with_factor(api: Api, clock: MovingClock, headers: dict[str, str]) -> tuple[pyotp.TOTP, list[str]]:
    """Enable a second factor; the next code is a fresh one."""
    made = (await api.client.post("/api/auth/2fa/setup", headers=headers)).json()
    totp = pyotp.TOTP(made["secret"])
    answer = await api.client.post("/api/auth/2fa/verify", headers=headers, json={"code": totp.at(clock())})
    assert answer.status_code == 200, answer.text
    clock.forward(seconds=30)
    return totp, made["backup_codes"]


async def step_up(api: Api, headers: dict[str, str], code: str):
    return await api.client.post(STEP_UP, headers=headers, json={"code": code})


def factor_rule(role: str = "analyst", *, is_required: bool = True) -> dict[str, object]:
    return {"role": role, "is_required": is_required, "reason": "policy"}


async def events(api: Api) -> list[str]:
    rows = await api.ledger.pool.fetch("select type from ledger.events order by position")
    return [row["type"] for row in rows]


async def machine(api: Api, headers: dict[str, str]) -> None:
    body = registration("engine", role="service")
    assert (await api.client.post("/api/auth/register", headers=headers, json=body)).status_code == 200


async def test_an_administrators_act_asks_for_a_fresh_factor(timed: Api, clock: MovingClock) -> None:
    admin = await timed.login()
    await machine(timed, admin)
    totp, _ = await with_factor(timed, clock, admin)
    acts = [
        ("/api/keys", {"username": "engine"}),
        ("/api/auth/2fa/required", factor_rule()),
        ("/api/auth/users/engine/2fa/disable", {"reason": "lost"}),
        ("/api/auth/register", registration("another", role="admin")),
    ]
    for path, body in acts:
        refused = await timed.client.post(path, headers=admin, json=body)
        assert_refused(refused, 401, "fresh second factor")
        assert refused.headers["www-authenticate"] == CHALLENGE

    stepped = await step_up(timed, admin, totp.at(clock()))
    assert stepped.status_code == 200, stepped.text
    assert set(stepped.json()) == {"stepped_up_at", "fresh_until"}

    for path, body in acts:
        assert (await timed.client.post(path, headers=admin, json=body)).status_code == 200
    clock.forward(seconds=301)
    assert_refused(await timed.client.post("/api/keys", headers=admin, json={"username": "engine"}), 401)
    assert "session-step-up-completed" in await events(timed)


async def test_a_code_is_good_for_one_step_up_and_a_failed_one_is_on_the_record(
    timed: Api, clock: MovingClock
) -> None:
    admin = await timed.login()
    totp, backup = await with_factor(timed, clock, admin)
    code = totp.at(clock())
    assert (await step_up(timed, admin, code)).status_code == 200

    for wrong in (code, "000000", "no code", backup[0] + "x"):
        assert_refused(await step_up(timed, admin, wrong), 401, "Invalid 2FA code")

    assert (await step_up(timed, admin, backup[0])).status_code == 200
    assert_refused(await step_up(timed, admin, backup[0]), 401, "Invalid 2FA code")
    assert (await events(timed)).count("session-step-up-failed") == 5
    assert (await events(timed)).count("session-step-up-completed") == 2


async def test_who_has_no_second_factor_cannot_step_up(api: Api) -> None:
    admin = await api.login()
    assert_refused(await step_up(api, admin, "123456"), 400, "not set up")
    await api.client.post("/api/auth/2fa/setup", headers=admin)

    assert_refused(await step_up(api, admin, "123456"), 400, "not set up")


@together
async def test_an_unknown_field_is_refused(shared: Api, admin: dict[str, str]) -> None:
    answer = await shared.client.post(STEP_UP, headers=admin, json={"kode": "1"})

    assert wrong_fields(answer) == {"code"}


async def test_a_person_gives_their_factor_up_with_a_fresh_code_and_the_other_sessions_end(
    timed: Api, clock: MovingClock
) -> None:
    sam = await timed.newcomer("sam")
    totp, _ = await with_factor(timed, clock, sam)
    refused = await timed.client.post("/api/auth/2fa/disable", headers=sam)
    assert_refused(refused, 401, "fresh second factor")
    await step_up(timed, sam, totp.at(clock()))

    answer = await timed.client.post("/api/auth/2fa/disable", headers=sam, json={"reason": "new phone"})

    assert answer.status_code == 200, answer.text
    assert (await timed.client.get("/api/auth/me", headers=sam)).json()["is_2fa_enabled"] is False
    assert (await log_in(timed, "sam", PASSWORD)).json()["requires_2fa"] is False
    assert (await timed.client.post("/api/auth/2fa/setup", headers=sam)).status_code == 200


async def test_an_administrator_takes_a_lost_factor_away(timed: Api, clock: MovingClock) -> None:
    sam, admin = await timed.newcomer("sam"), await timed.login()
    await with_factor(timed, clock, sam)
    path = "/api/auth/users/sam/2fa/disable"

    assert_refused(await timed.client.post(path, headers=sam, json={"reason": "x"}), 403)
    answer = await timed.client.post(path, headers=admin, json={"reason": "lost phone"})

    assert answer.status_code == 200, answer.text
    assert_refused(await timed.client.get("/api/auth/me", headers=sam), 401, "session has ended")
    assert (await log_in(timed, "sam", PASSWORD)).json()["requires_2fa"] is False
    nobody = "/api/auth/users/nobody/2fa/disable"
    assert_refused(await timed.client.post(nobody, headers=admin, json={"reason": "x"}), 404)


async def test_new_backup_codes_replace_the_old_ones(timed: Api, clock: MovingClock) -> None:
    sam = await timed.newcomer("sam")
    totp, old = await with_factor(timed, clock, sam)
    assert_refused(await timed.client.post("/api/auth/2fa/backup-codes", headers=sam), 401, "fresh")
    await step_up(timed, sam, totp.at(clock()))

    new = (await timed.client.post("/api/auth/2fa/backup-codes", headers=sam)).json()["backup_codes"]

    assert len(set(new)) == 10
    assert not set(new) & set(old)
    assert_refused(await step_up(timed, sam, old[0]), 401)
    assert (await step_up(timed, sam, new[0])).status_code == 200


async def test_a_role_that_must_have_a_factor_sets_one_up_at_login(timed: Api, clock: MovingClock) -> None:
    sam, admin = await timed.newcomer("sam"), await timed.login()
    before = (await log_in(timed, "sam", PASSWORD)).json()
    answer = await timed.client.post("/api/auth/2fa/required", headers=admin, json=factor_rule())
    assert answer.json() == {"roles": ["analyst"]}

    halfway = (await log_in(timed, "sam", PASSWORD)).json()
    assert (halfway["requires_2fa"], halfway["refresh_token"]) == (True, None)
    limited = bearer(halfway["access_token"])
    assert_refused(await timed.client.get("/api/auth/me", headers=limited), 401)
    refused = await timed.client.post("/api/auth/refresh", json={"refresh_token": before["refresh_token"]})
    assert_refused(refused, 401, "session has ended")

    made = (await timed.client.post("/api/auth/2fa/setup", headers=limited)).json()
    code = pyotp.TOTP(made["secret"]).at(clock())
    wrong = await timed.client.post("/api/auth/2fa/verify", headers=limited, json={"code": "000000"})
    assert_refused(wrong, 401, "Invalid 2FA code")
    done = await timed.client.post("/api/auth/2fa/verify", headers=limited, json={"code": code})
    assert done.status_code == 200, done.text
    fresh = bearer(done.json()["access_token"])
    assert (await timed.client.get("/api/auth/me", headers=fresh)).json()["is_2fa_enabled"] is True
    assert_refused(await timed.client.get("/api/auth/me", headers=sam), 401, "session has ended")
    for path in ("setup", "verify"):
        again = await timed.client.post(f"/api/auth/2fa/{path}", headers=limited, json={"code": code})
        assert_refused(again, 401)

    await timed.client.post("/api/auth/2fa/disable", headers=fresh)
    owed = await timed.client.post("/api/auth/2fa/disable", headers=fresh)
    assert_refused(owed, 409, "may not do without")


async def test_the_rule_is_read_by_overseers_and_waived_by_administrators(api: Api) -> None:
    admin, auditor = await api.login(), await api.newcomer("audrey", "auditor")
    await api.client.post("/api/auth/2fa/required", headers=admin, json=factor_rule("viewer"))
    assert (await api.client.get("/api/auth/2fa/required", headers=auditor)).json() == {"roles": ["viewer"]}

    waived = await api.client.post(
        "/api/auth/2fa/required", headers=admin, json=factor_rule("viewer", is_required=False)
    )

    assert waived.json() == {"roles": []}
    assert (await log_in(api, ADMIN, PASSWORD)).json()["requires_2fa"] is False


@pytest.mark.parametrize("body", [{}, {"role": "boss", "is_required": "yes", "reason": ""}])
@together
async def test_a_rule_names_a_role_and_a_reason(
    shared: Api, admin: dict[str, str], body: dict[str, str]
) -> None:
    answer = await shared.client.post("/api/auth/2fa/required", headers=admin, json=body)

    assert wrong_fields(answer) == {"role", "is_required", "reason"}
