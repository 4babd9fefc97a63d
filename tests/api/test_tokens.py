"""Tokens expire, are refreshed once, and die with their session, on every instance at once."""

import pytest

from tests.api.answers import assert_refused, log_in, together, wrong_fields
from tests.identity.house import MovingClock
from tests.support.http import ADMIN, PASSWORD, Api, bearer


async def test_a_token_expires_after_thirty_minutes(timed: Api, clock: MovingClock) -> None:
    headers = await timed.login()
    clock.forward(minutes=29, seconds=59)
    assert (await timed.client.get("/api/auth/me", headers=headers)).status_code == 200
    clock.forward(seconds=1)

    answer = await timed.client.get("/api/auth/me", headers=headers)

    assert_refused(answer, 401, "expired")
    assert answer.headers["www-authenticate"] == "Bearer"


async def test_a_session_that_nobody_uses_for_seven_days_is_over(timed: Api, clock: MovingClock) -> None:
    pair = (await log_in(timed, ADMIN, PASSWORD)).json()
    clock.forward(days=7)

    assert_refused(await _refresh(timed, pair["refresh_token"]), 401)


@pytest.mark.parametrize("path", ["/api/auth/me", "/api/decisions/stats/summary", "/api/status"])
async def test_logging_out_ends_the_session_at_once_on_every_instance(
    api: Api, second: Api, path: str
) -> None:
    headers = await api.login()
    assert (await second.client.get(path, headers=headers)).status_code == 200

    answer = await api.client.post("/api/auth/logout", headers=headers)

    assert answer.status_code == 200
    assert answer.json() == {"message": "Logged out"}
    assert_refused(await second.client.get(path, headers=headers), 401, "session has ended")
    assert_refused(await api.client.get(path, headers=headers), 401, "session has ended")


async def test_logging_out_spends_the_refresh_token_too(api: Api) -> None:
    pair = (await log_in(api, ADMIN, PASSWORD)).json()
    await api.client.post("/api/auth/logout", headers=bearer(pair["access_token"]))

    assert_refused(await _refresh(api, pair["refresh_token"]), 401)


async def test_logging_out_ends_no_other_session(api: Api) -> None:
    here, there = await api.login(), await api.login()

    await api.client.post("/api/auth/logout", headers=here)

    assert (await api.client.get("/api/auth/me", headers=there)).status_code == 200


async def test_logging_out_twice_is_refused(api: Api) -> None:
    headers = await api.login()
    await api.client.post("/api/auth/logout", headers=headers)

    assert_refused(await api.client.post("/api/auth/logout", headers=headers), 401)


async def test_a_refresh_token_gets_a_new_pair_of_the_same_session(api: Api) -> None:
    pair = (await log_in(api, ADMIN, PASSWORD)).json()

    answer = await _refresh(api, pair["refresh_token"])

    assert answer.status_code == 200
    body = answer.json()
    assert set(body) == {"access_token", "refresh_token", "token_type", "requires_2fa"}
    assert body["refresh_token"] != pair["refresh_token"]
    assert body["requires_2fa"] is False
    await api.client.post("/api/auth/logout", headers=bearer(body["access_token"]))
    assert_refused(await api.client.get("/api/auth/me", headers=bearer(pair["access_token"])), 401)


async def test_a_refresh_token_may_come_again_within_ten_seconds(timed: Api, clock: MovingClock) -> None:
    pair = (await log_in(timed, ADMIN, PASSWORD)).json()
    await _refresh(timed, pair["refresh_token"])
    clock.forward(seconds=10)

    assert (await _refresh(timed, pair["refresh_token"])).status_code == 200


async def test_a_refresh_token_that_comes_again_later_revokes_the_session(
    timed: Api, clock: MovingClock
) -> None:
    pair = (await log_in(timed, ADMIN, PASSWORD)).json()
    newer = (await _refresh(timed, pair["refresh_token"])).json()
    clock.forward(seconds=11)

    assert_refused(await _refresh(timed, pair["refresh_token"]), 401, "was spent before")

    assert_refused(await _refresh(timed, newer["refresh_token"]), 401)
    me = await timed.client.get("/api/auth/me", headers=bearer(newer["access_token"]))
    assert_refused(me, 401, "session has ended")


@pytest.mark.parametrize("token", ["", "garbage", "x" * 1000, "\U0001f989"])
@together
async def test_what_is_not_a_refresh_token_is_refused(shared: Api, token: str) -> None:
    assert_refused(await _refresh(shared, token), 401)


@together
async def test_an_access_token_does_not_refresh(shared: Api) -> None:
    pair = (await log_in(shared, ADMIN, PASSWORD)).json()

    assert_refused(await _refresh(shared, pair["access_token"]), 401)


@together
async def test_a_refresh_without_a_token_names_it(shared: Api) -> None:
    answer = await shared.client.post("/api/auth/refresh", json={})

    assert wrong_fields(answer) == {"refresh_token"}


async def _refresh(api: Api, token: str):
    return await api.client.post("/api/auth/refresh", json={"refresh_token": token})
