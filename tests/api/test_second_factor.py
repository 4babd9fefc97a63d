"""A second factor is set up, proven once, and asked for at every login from then on."""

import pyotp
import pytest
from httpx import Response

from ledger.domain.ids import Position
from tests.api.answers import assert_refused, log_in, together, wrong_fields
from tests.identity.house import MovingClock
from tests.support.http import PASSWORD, Api, bearer


async def test_setting_up_answers_with_a_secret_a_url_and_ten_backup_codes(api: Api) -> None:
    headers = await api.newcomer("morgan")

    answer = await api.client.post("/api/auth/2fa/setup", headers=headers)

    assert answer.status_code == 200
    body = answer.json()
    assert set(body) == {"secret", "qr_code_url", "qr_code_svg", "backup_codes"}
    assert body["qr_code_svg"].startswith("<svg")
    assert body["qr_code_url"].startswith("otpauth://totp/")
    assert f"secret={body['secret']}" in body["qr_code_url"]
    assert len(set(body["backup_codes"])) == 10


async def test_a_factor_that_was_never_proven_is_not_asked_for(api: Api) -> None:
    headers = await api.newcomer("morgan")
    await api.client.post("/api/auth/2fa/setup", headers=headers)

    assert (await log_in(api, "morgan", PASSWORD)).json()["requires_2fa"] is False


@together
async def test_setting_up_needs_a_token(shared: Api) -> None:
    assert_refused(await shared.client.post("/api/auth/2fa/setup"), 401, "Not authenticated")


@together
async def test_verifying_needs_a_token(shared: Api) -> None:
    answer = await shared.client.post("/api/auth/2fa/verify", json={"code": "123456"})

    assert_refused(answer, 401, "Not authenticated")


@together
async def test_verifying_what_was_not_set_up_is_refused(shared: Api, analyst: dict[str, str]) -> None:
    assert_refused(await _verify(shared, analyst, "123456"), 400, "not set up")


@together
@pytest.mark.parametrize("body", [{}, {"code": ""}, {"code": 123456}, {"code": "1" * 101}, {"code": None}])
async def test_a_code_that_is_no_text_is_named(
    shared: Api, analyst: dict[str, str], body: dict[str, object]
) -> None:
    answer = await shared.client.post("/api/auth/2fa/verify", headers=analyst, json=body)

    assert wrong_fields(answer) == {"code"}


@pytest.mark.parametrize("code", ["000000", "12345", "abcdef", "１２３４５６", "x" * 100])  # noqa: RUF001
async def test_a_wrong_code_is_refused(timed: Api, code: str) -> None:
    headers = await timed.newcomer("morgan")
    secret = await _set_up(timed, headers)
    assert pyotp.TOTP(secret).at(timed.services.clock()) != code

    assert_refused(await _verify(timed, headers, code), 401, "Invalid 2FA code")


async def test_a_right_code_enables_the_factor(timed: Api, clock: MovingClock) -> None:
    headers = await timed.newcomer("morgan")
    secret = await _set_up(timed, headers)

    answer = await _verify(timed, headers, pyotp.TOTP(secret).at(clock()))

    assert answer.status_code == 200
    me = await timed.client.get("/api/auth/me", headers=headers)
    assert me.json()["is_2fa_enabled"] is True


async def test_enabling_ends_the_persons_other_sessions(timed: Api, clock: MovingClock) -> None:
    elsewhere = await timed.newcomer("morgan")
    here = await timed.login("morgan")
    secret = await _set_up(timed, here)

    await _verify(timed, here, pyotp.TOTP(secret).at(clock()))

    assert (await timed.client.get("/api/auth/me", headers=here)).status_code == 200
    assert_refused(await timed.client.get("/api/auth/me", headers=elsewhere), 401, "session has ended")


async def test_an_enabled_factor_is_not_replaced_in_passing(timed: Api, clock: MovingClock) -> None:
    headers, _ = await _protected(timed, clock)

    answer = await timed.client.post("/api/auth/2fa/setup", headers=headers)

    assert_refused(answer, 400, "enabled already")


async def test_a_login_then_asks_for_the_second_factor(timed: Api, clock: MovingClock) -> None:
    await _protected(timed, clock)

    body = (await log_in(timed, "morgan", PASSWORD)).json()

    assert body["requires_2fa"] is True
    assert body["refresh_token"] is None
    assert body["token_type"] == "bearer"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/auth/me"),
        ("GET", "/api/status"),
        ("GET", "/api/decisions/pending"),
        ("POST", "/api/auth/2fa/setup"),
        ("POST", "/api/auth/logout"),
        ("POST", "/api/decisions/submit"),
    ],
)
async def test_the_limited_token_is_good_for_nothing_else(
    timed: Api, clock: MovingClock, method: str, path: str
) -> None:
    limited = await _asked_for_a_code(timed, clock)

    assert_refused(await timed.client.request(method, path, headers=limited), 401)


async def test_a_code_completes_the_login(timed: Api, clock: MovingClock) -> None:
    _, setup = await _protected(timed, clock)
    limited = await _limited(timed)
    clock.forward(seconds=30)

    answer = await _verify(timed, limited, pyotp.TOTP(setup["secret"]).at(clock()))

    assert answer.status_code == 200
    body = answer.json()
    assert body["requires_2fa"] is False
    assert body["refresh_token"]
    me = await timed.client.get("/api/auth/me", headers=bearer(body["access_token"]))
    assert me.json()["username"] == "morgan"


async def test_a_code_counts_once(timed: Api, clock: MovingClock) -> None:
    _, setup = await _protected(timed, clock)
    limited = await _limited(timed)

    same_step = await _verify(timed, limited, pyotp.TOTP(setup["secret"]).at(clock()))

    assert_refused(same_step, 401, "Invalid 2FA code")


@pytest.mark.parametrize(("seconds", "status"), [(-60, 401), (-30, 200), (0, 200), (30, 200), (60, 401)])
async def test_a_clock_may_be_one_step_off(timed: Api, clock: MovingClock, seconds: int, status: int) -> None:
    _, setup = await _protected(timed, clock)
    limited = await _limited(timed)
    clock.forward(seconds=120)
    code = pyotp.TOTP(setup["secret"]).at(int(clock().timestamp()) + seconds)

    assert (await _verify(timed, limited, code)).status_code == status


async def test_a_backup_code_completes_a_login_once(timed: Api, clock: MovingClock) -> None:
    _, setup = await _protected(timed, clock)
    code = setup["backup_codes"][3]

    assert (await _verify(timed, await _limited(timed), code)).status_code == 200

    assert_refused(await _verify(timed, await _limited(timed), code), 401, "Invalid 2FA code")


async def test_the_limited_token_lasts_five_minutes(timed: Api, clock: MovingClock) -> None:
    _, setup = await _protected(timed, clock)
    limited = await _limited(timed)
    clock.forward(minutes=5)

    assert_refused(await _verify(timed, limited, pyotp.TOTP(setup["secret"]).at(clock())), 401, "expired")


async def test_a_deactivation_meanwhile_ends_the_login(timed: Api, clock: MovingClock) -> None:
    _, setup = await _protected(timed, clock)
    limited = await _limited(timed)
    await timed.client.post(
        "/api/auth/users/morgan/deactivate", headers=await timed.login(), json={"reason": "left"}
    )

    assert_refused(await _verify(timed, limited, setup["backup_codes"][0]), 401)


async def test_a_wrong_code_leaves_no_event(timed: Api, clock: MovingClock) -> None:
    limited = await _asked_for_a_code(timed, clock)
    before: Position = await timed.ledger.head()

    await _verify(timed, limited, "000000")

    assert await timed.ledger.head() == before


async def _set_up(api: Api, headers: dict[str, str]) -> str:
    return (await api.client.post("/api/auth/2fa/setup", headers=headers)).json()["secret"]


async def _verify(api: Api, headers: dict[str, str], code: str) -> Response:
    return await api.client.post("/api/auth/2fa/verify", headers=headers, json={"code": code})


async def _protected(api: Api, clock: MovingClock) -> tuple[dict[str, str], dict]:
    """Morgan, logged in, with a second factor enabled; and what was set up."""
    headers = await api.newcomer("morgan")
    setup = (await api.client.post("/api/auth/2fa/setup", headers=headers)).json()
    answer = await _verify(api, headers, pyotp.TOTP(setup["secret"]).at(clock()))
    assert answer.status_code == 200, answer.text
    return headers, setup


async def _limited(api: Api) -> dict[str, str]:
    return bearer((await log_in(api, "morgan", PASSWORD)).json()["access_token"])


async def _asked_for_a_code(api: Api, clock: MovingClock) -> dict[str, str]:
    await _protected(api, clock)
    return await _limited(api)
