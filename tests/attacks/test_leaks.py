"""After a whole tour: no secret in what the service said, wrote down or stored in the log."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import asyncpg
import pytest

from tests.attacks.site import SECRET_KEY, Person, Site
from tests.attacks.test_sessions import code_of, halfway
from tests.support.databases import Database
from tests.support.http import registration, submission, verdict
from tests.support.service import HANG_GUARD, PASSWORD, on_database, service

FRESH: Final = "another secret phrase of tess"
HASHES: Final = """
select password_hash as secret from work.credentials
union all select encode(token_hash, 'hex') from work.refresh_tokens
union all select encode(code_hash, 'hex') from work.backup_codes
union all select encode(secret, 'hex') from work.second_factors
"""


class Tour:
    """Everything that was told to somebody in confidence, and everything that was said aloud."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.secrets = {PASSWORD, FRESH, SECRET_KEY}
        self.answers: list[str] = []

    def go(self) -> None:
        site = self.site
        admin = self.known(site.log_in("admin"))
        site.post("/api/auth/register", registration("tess-t", role="analyst", password=PASSWORD), by=admin)
        tess = self.known(site.log_in("tess-t"))
        self.refused(tess)
        made = site.post("/api/auth/2fa/setup", by=tess).json()
        self.secrets |= {made["secret"], *made["backup_codes"]}
        site.post("/api/auth/2fa/verify", {"code": code_of(made, -1)}, by=tess)
        limited = self.known(halfway(site, tess))
        site.post("/api/auth/2fa/verify", {"code": made["backup_codes"][0]}, by=limited)
        site.post("/api/decisions/submit", submission("TOUR-1"), by=admin)
        site.post("/api/decisions/TOUR-1/decide", verdict("TOUR-1"), by=admin)
        body = {"new_password": FRESH, "current_password": PASSWORD}
        site.post("/api/auth/users/tess-t/password", body, by=tess)
        site.post("/api/auth/refresh", {"refresh_token": tess.refresh})
        site.post("/api/auth/users/tess-t/role", {"role": "viewer", "reason": "moved"}, by=admin)
        site.post("/api/auth/users/tess-t/deactivate", {"reason": "left"}, by=admin)
        for _ in range(11):
            site.try_login("tess-t", "a guess that is no secret")
        site.post("/api/auth/logout", by=admin)

    def refused(self, by: Person) -> None:
        """Send secrets where they do not belong; what comes back must not repeat them."""
        site = self.site
        answers = [
            site.ask("GET", f"/api/auth/me?token={by.access}&password={PASSWORD}"),
            site.post("/api/auth/refresh", {"refresh_token": [by.refresh]}),
            site.post("/api/auth/login", {"username": "tess-t", "password": PASSWORD}),
            site.post("/api/auth/register", registration("x", password=PASSWORD, email=PASSWORD), by=by),
            site.post(
                "/api/auth/users/tess-t/password", {"new_password": [FRESH], "current": PASSWORD}, by=by
            ),
            site.ask("GET", "/health/database", by=by),
        ]
        self.answers += [answer.text for answer in answers]

    def known(self, person: Person) -> Person:
        self.secrets |= {token for token in (person.access, person.refresh) if token}
        return person


@pytest.fixture(scope="module")
def tour(site: Site) -> Tour:
    tour = Tour(site)
    tour.go()
    return tour


def leaked(secrets: set[str], *texts: str) -> set[str]:
    """The secrets that stand in the texts, as they are or as JSON spells them."""
    return {
        secret for secret in secrets for text in texts if secret in text or json.dumps(secret)[1:-1] in text
    }


def said(site: Site) -> Iterator[str]:
    """What every service has printed and logged so far, up to a line that this asks for."""
    for running in site.services:
        with running.client() as client:
            client.get("/health", headers={"X-Request-ID": "the-end-of-the-tour"})
        running.output.until("the-end-of-the-tour")
        yield running.output.text()


def test_no_secret_reaches_the_log_lines_or_the_terminal(site: Site, tour: Tour) -> None:
    lines = list(said(site))

    assert all("http.answered" in text for text in lines)
    assert leaked(tour.secrets, *lines) == set()


def test_no_refusal_repeats_a_secret(tour: Tour) -> None:
    assert leaked(tour.secrets, *tour.answers) == set()


def test_metrics_and_description_hold_no_secret_and_no_name(site: Site, tour: Tour) -> None:
    public = [site.ask("GET", path).text for path in ("/metrics", "/openapi.json", "/api/docs", "/health")]

    assert leaked({*tour.secrets, "tess-t"}, *public) == set()


async def test_the_stored_events_hold_no_secret_no_hash_and_nobodys_name(site: Site, tour: Tour) -> None:
    conn = await asyncpg.connect(site.database.owner_url)
    try:
        hashes = {row["secret"] for row in await conn.fetch(HASHES)}
        rows = await conn.fetch("select e::text as line, payload, envelope from ledger.events e")
    finally:
        await conn.close()
    stored = "\n".join(
        f"{row['line']} {row['payload'].decode()} {(row['envelope'] or b'').decode()}" for row in rows
    )

    assert len(hashes) > 5
    assert "tess-t" not in stored
    assert "example.org" not in stored
    assert "argon2" not in stored
    assert leaked(tour.secrets | hashes, stored) == set()


CHANGES = {
    "account-registered",
    "second-factor-enabled",
    "password-changed",
    "role-changed",
    "account-deactivated",
    "session-opened",
    "session-ended",
    "session-revoked",
    "login-failed",
    "login-locked-out",
}


async def test_every_change_of_the_tour_is_an_event(site: Site, tour: Tour) -> None:
    conn = await asyncpg.connect(site.database.owner_url)
    try:
        async with asyncio.timeout(HANG_GUARD):  # failures are told behind the answers
            while CHANGES - await _types(conn):
                await asyncio.sleep(0.1)
    finally:
        await conn.close()


async def _types(conn: asyncpg.Connection) -> set[str]:
    person = await conn.fetchval("select person_id from work.people where username = 'tess-t'")
    rows = await conn.fetch(
        "select distinct type from ledger.events where convert_from(payload, 'UTF8') like $1 or stream like $1",
        f"%{person}%",
    )
    sessions = await conn.fetch("select distinct type from ledger.events where stream like 'session-%'")
    return {row["type"] for row in [*rows, *sessions]}


@pytest.mark.long
def test_a_start_with_wrong_secrets_does_not_repeat_them(database: Database, tmp_path: Path) -> None:
    settings = {
        **on_database(database, tmp_path / "data"),
        "LEDGER_REDIS_URL": "redis://:hunter2-of-the-cache@127.0.0.1:1/0",
        "LEDGER_SECRET_KEY": SECRET_KEY,
    }
    with service(settings=settings) as running:
        running.login()
        running.stop()
        everything = running.output.rest()

    assert "limits.redis.away" in everything
    assert leaked({"hunter2-of-the-cache", SECRET_KEY, PASSWORD}, everything) == set()
