"""Stolen tokens, spent tokens, codes that were seen."""

import time

import asyncpg
import pyotp
import pytest

from tests.attacks.site import Person, Site, uncounted
from tests.support.service import PASSWORD


def is_in(site: Site, person: Person) -> set[int]:
    """What every service answers to this token."""
    return {site.ask("GET", "/api/auth/me", by=person).status_code for _ in range(2 * len(site.services))}


def refreshed(site: Site, person: Person) -> Person:
    answer = site.post("/api/auth/refresh", {"refresh_token": person.refresh})
    assert answer.status_code == 200, answer.text
    told = answer.json()
    return Person(username=person.username, access=told["access_token"], refresh=told["refresh_token"])


def with_factor(site: Site, admin: Person) -> tuple[Person, dict]:
    """Somebody whose second factor is enabled; what setting it up told."""
    person = site.newcomer(uncounted("two-factors"), "analyst", by=admin)
    made = site.post("/api/auth/2fa/setup", by=person).json()
    answer = site.post("/api/auth/2fa/verify", {"code": code_of(made, -1)}, by=person)
    assert answer.status_code == 200, answer.text
    return person, made


async def eleven_seconds_pass(site: Site) -> None:
    """Put back when refresh tokens were spent."""
    conn = await asyncpg.connect(site.database.owner_url)
    try:
        await conn.execute("update work.refresh_tokens set spent_at = spent_at - interval '11 seconds'")
    finally:
        await conn.close()


def code_of(made: dict, steps: int = 0) -> str:
    """The code of the step so many after the current one."""
    totp = pyotp.TOTP(made["secret"])
    return totp.generate_otp(int(time.time()) // 30 + steps)


def halfway(site: Site, person: Person) -> Person:
    """Somebody whose password was right and whose code is still to come."""
    told = site.try_login(person.username, PASSWORD).json()
    assert told["requires_2fa"], told
    return Person(username=person.username, access=told["access_token"])


def test_a_logged_out_token_is_dead_on_every_instance(site: Site, admin: Person) -> None:
    person = site.newcomer(uncounted("gone"), "analyst", by=admin)

    assert site.post("/api/auth/logout", by=person).status_code == 200

    assert is_in(site, person) == {401}
    assert site.post("/api/auth/refresh", {"refresh_token": person.refresh}).status_code == 401


def test_a_changed_password_ends_every_session(site: Site, admin: Person) -> None:
    person = site.newcomer(uncounted("robbed"), "analyst", by=admin)
    thief = site.log_in(person.username)
    body = {"new_password": "a fresh and long one", "current_password": PASSWORD}

    answer = site.post(f"/api/auth/users/{person.username}/password", body, by=person)

    assert answer.status_code == 200
    assert is_in(site, thief) == {401}
    assert site.post("/api/auth/refresh", {"refresh_token": thief.refresh}).status_code == 401
    assert site.try_login(person.username, PASSWORD).status_code == 401


def test_a_deactivated_person_is_out_everywhere(site: Site, admin: Person) -> None:
    person = site.newcomer(uncounted("left"), "analyst", by=admin)
    body = {"reason": "left the house"}

    assert site.post(f"/api/auth/users/{person.username}/deactivate", body, by=admin).status_code == 200

    assert is_in(site, person) == {401}
    assert site.try_login(person.username, PASSWORD).status_code == 400


def test_a_refresh_token_is_no_access_token_and_the_other_way_round(site: Site, sam: Person) -> None:
    sam = site.log_in("sam")

    assert is_in(site, Person(username="sam", access=sam.refresh)) == {401}
    assert site.post("/api/auth/refresh", {"refresh_token": sam.access}).status_code == 401


async def test_of_two_who_go_on_from_one_refresh_token_the_later_ends_it_for_both(
    site: Site, admin: Person
) -> None:
    owner = site.newcomer(uncounted("copied"), "analyst", by=admin)
    thief, owner = refreshed(site, owner), refreshed(site, owner)  # as if an answer had been lost
    thief = refreshed(site, thief)
    await eleven_seconds_pass(site)

    late = site.post("/api/auth/refresh", {"refresh_token": owner.refresh})

    assert late.status_code == 401
    assert is_in(site, thief) == {401}
    assert is_in(site, owner) == {401}
    assert site.post("/api/auth/refresh", {"refresh_token": thief.refresh}).status_code == 401


@pytest.mark.parametrize("token", ["", "x", "../../x", "' or 1=1 --", "a" * 1_001, "\u0000", "\U0001f600"])
def test_what_is_no_refresh_token_is_spent_by_nobody(site: Site, token: str) -> None:
    assert site.post("/api/auth/refresh", {"refresh_token": token}).status_code in {401, 422}


def test_a_limited_token_opens_nothing_but_the_second_step(site: Site, admin: Person) -> None:
    person, _made = with_factor(site, admin)
    limited = halfway(site, person)

    assert is_in(site, limited) == {401}
    assert site.ask("GET", "/api/decisions/pending", by=limited).status_code == 401
    assert site.post("/api/auth/logout", by=limited).status_code == 401
    assert site.post("/api/auth/2fa/setup", by=limited).status_code in {400, 401}


def test_a_code_that_was_seen_is_good_for_nothing(site: Site, admin: Person) -> None:
    person, made = with_factor(site, admin)
    code = code_of(made, 1)
    first = site.post("/api/auth/2fa/verify", {"code": code}, by=halfway(site, person))

    answers = [site.post("/api/auth/2fa/verify", {"code": code}, by=halfway(site, person)) for _ in range(2)]
    older = site.post("/api/auth/2fa/verify", {"code": code_of(made, 0)}, by=halfway(site, person))

    assert first.status_code == 200
    assert {answer.status_code for answer in [*answers, older]} == {401}


def test_a_backup_code_works_once_on_every_instance(site: Site, admin: Person) -> None:
    person, made = with_factor(site, admin)
    code = {"code": made["backup_codes"][0]}

    answers = [site.post("/api/auth/2fa/verify", code, by=halfway(site, person)) for _ in range(3)]

    assert [answer.status_code for answer in answers] == [200, 401, 401]


def test_ten_codes_may_be_guessed_and_then_not_even_the_right_one(site: Site, admin: Person) -> None:
    person, made = with_factor(site, admin)
    limited = halfway(site, person)
    wrong = [f"{number:06}" for number in range(12)]

    answers = [site.post("/api/auth/2fa/verify", {"code": code}, by=limited) for code in wrong]
    right = site.post("/api/auth/2fa/verify", {"code": code_of(made, 1)}, by=halfway(site, person))
    backup = site.post("/api/auth/2fa/verify", {"code": made["backup_codes"][1]}, by=halfway(site, person))

    assert [answer.status_code for answer in answers] == [*[401] * 10, 429, 429]
    assert {right.status_code, backup.status_code} == {429}
    assert int(right.headers["retry-after"]) > 0


def test_an_enabled_factor_is_not_replaced_in_passing(site: Site, admin: Person) -> None:
    person, _made = with_factor(site, admin)
    # Enabling ended no session of its own, so the thief of this one is still in.
    assert site.post("/api/auth/2fa/setup", by=person).status_code == 400
