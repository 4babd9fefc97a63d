"""Too much, too deep, too slow; and web sites that are not ours."""

import re
import socket
from urllib.parse import urlsplit

import pytest

from tests.attacks.site import HANG_GUARD, Person, Site
from tests.support.http import submission

OURS = "https://console.example.org"


def test_a_body_over_the_limit_is_refused(site: Site, admin: Person) -> None:
    body = submission("large", forensic_summary="x" * 1_100_000)

    assert site.post("/api/decisions/submit", body, by=admin).status_code == 413
    assert site.post("/api/decisions/submit", body).status_code in {401, 413}


def test_a_length_that_is_announced_is_not_waited_for_nor_kept_room_for(site: Site, admin: Person) -> None:
    head = (
        b"POST /api/decisions/submit HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
        b"Content-Length: 1000000000000\r\nConnection: close\r\nAuthorization: Bearer "
    )

    answer = site.raw(head + admin.access.encode() + b"\r\n\r\n{")

    assert answer.split(b" ", 2)[1] in {b"413", b"408", b"400"}


@pytest.mark.parametrize("depth", [1_000, 100_000, 400_000])
@pytest.mark.parametrize("brackets", [(b"[", b"]"), (b'{"a":', b"}")])
@pytest.mark.parametrize("field", [b"iocs", b"unknown", b"analysis_id"])
def test_json_that_is_nested_absurdly_is_refused_and_harms_nobody(
    site: Site, admin: Person, field: bytes, brackets: tuple[bytes, bytes], depth: int
) -> None:
    opening, closing = brackets
    depth = min(depth, 1_000_000 // (len(opening) + len(closing)))
    body = b'{"' + field + b'":' + opening * depth + b"1" + closing * depth + b"}"

    answer = site.ask(
        "POST",
        "/api/decisions/submit",
        by=admin,
        headers={"Content-Type": "application/json"},
        content=body,
    )

    assert answer.status_code == 422
    assert site.ask("GET", "/health").status_code == 200


@pytest.mark.parametrize(
    "body",
    [
        b"1e999999",
        b"1" * 100_000,
        b'"\\ud800"',
        b"NaN",
        b"{",
        b"\xff\xfe",
        b'{"a":1,"a":2}',
        b"[" * 50_000,
        b"null",
    ],
    ids=lambda body: repr(body[:12]),
)
def test_json_that_is_none_is_refused(site: Site, admin: Person, body: bytes) -> None:
    answer = site.ask(
        "POST",
        "/api/decisions/submit",
        by=admin,
        headers={"Content-Type": "application/json"},
        content=body,
    )

    assert answer.status_code == 422


def test_a_password_of_any_size_costs_no_more_than_its_limit(site: Site) -> None:
    assert site.try_login("admin", "x" * 1_001).status_code == 422
    assert site.try_login("x" * 1_001, "x").status_code == 422


def test_too_many_headers_are_refused(site: Site) -> None:
    head = b"GET /health HTTP/1.1\r\nHost: a\r\nConnection: close\r\n" + b"X-A: b\r\n" * 20_000 + b"\r\n"

    assert not site.raw(head).startswith(b"HTTP/1.1 200")


@pytest.mark.long
def test_whoever_dawdles_is_hung_up_on_and_keeps_nobody_waiting(site: Site, admin: Person) -> None:
    where = urlsplit(site.services[0].url)
    lines = [socket.create_connection((where.hostname, where.port), 3 * HANG_GUARD) for _ in range(50)]
    for line in lines:
        line.sendall(b"POST /api/auth/login HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nusername=")

    assert site.ask("GET", "/api/auth/me", by=admin).status_code == 200
    for line in lines:
        assert re.match(rb"HTTP/1\.1 4\d\d |$", line.recv(65_536))
        line.close()


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.test",
        "https://console.example.org.evil.test",
        "https://evil.test/https://console.example.org",
        "https://evilconsole.example.org",
        "https://console.example.orgevil.test",
        "https://console.example.org:8443",
        "http://console.example.org",
        "https://sub.console.example.org",
        "https://consoleXexample.org",
        "null",
        "*",
        "file://",
    ],
)
def test_no_web_site_but_the_named_one_may_read_an_answer(site: Site, admin: Person, origin: str) -> None:
    simple = site.ask("GET", "/api/auth/me", by=admin, headers={"Origin": origin})
    asked = {"Origin": origin, "Access-Control-Request-Method": "POST"}
    preflight = site.ask("OPTIONS", "/api/decisions/submit", headers=asked)
    refused = site.ask("GET", "/api/auth/me", headers={"Origin": origin})

    for answer in (simple, preflight, refused):
        assert "access-control-allow-origin" not in answer.headers
        assert "access-control-allow-credentials" not in answer.headers


def test_the_named_site_may_without_credentials(site: Site, admin: Person) -> None:
    answer = site.ask("GET", "/api/auth/me", by=admin, headers={"Origin": OURS})

    assert answer.headers["access-control-allow-origin"] == OURS
    assert "origin" in answer.headers["vary"].lower()
    assert "access-control-allow-credentials" not in answer.headers


def test_nothing_sets_a_cookie(site: Site, admin: Person) -> None:
    answers = [
        site.try_login("admin", "wrong"),
        site.ask("GET", "/api/auth/me", by=admin),
        site.ask("GET", "/api/docs"),
    ]

    assert not any("set-cookie" in answer.headers for answer in answers)
