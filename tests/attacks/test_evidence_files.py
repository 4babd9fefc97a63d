"""Files as a way in: too large, never ending, lying about what they are, named to be somebody else's."""

import select
import socket
from collections.abc import Iterator
from urllib.parse import quote, urlsplit

import pytest

from tests.attacks.site import HANG_GUARD, Person, Site

PNG = b"\x89PNG\r\n\x1a\n" + bytes(256)
MIB = 1024 * 1024


def head(item: str, by: Person, *lines: str) -> bytes:
    fields = [
        f"POST /api/decisions/{item}/evidence?name=capture.png HTTP/1.1",
        "Host: a",
        "Content-Type: image/png",
        f"Authorization: Bearer {by.access}",
        *lines,
    ]
    return "\r\n".join(fields).encode() + b"\r\n\r\n"


def endless() -> Iterator[bytes]:
    """A file without an end, in HTTP's chunks."""
    yield b"%x\r\n%s\r\n" % (len(PNG), PNG)
    while True:
        yield b"%x\r\n%s\r\n" % (MIB, bytes(MIB))


def files_of(site: Site, item: str, by: Person) -> list[dict]:
    return site.ask("GET", f"/api/decisions/{item}/evidence", by=by).json()


def test_a_length_over_the_limit_is_refused_before_anything_is_sent(site: Site, sam: Person) -> None:
    item = site.submit(sam)

    answer = site.raw(head(item, sam, f"Content-Length: {11 * MIB}", "Connection: close"))

    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"evidence-too-large" in answer
    assert files_of(site, item, sam) == []


def test_a_file_without_an_end_is_cut_off(site: Site, sam: Person) -> None:
    item, sent = site.submit(sam), 0
    where = urlsplit(site.services[0].url)
    with socket.create_connection((where.hostname, where.port), HANG_GUARD) as line:
        line.sendall(head(item, sam, "Transfer-Encoding: chunked"))
        pieces = endless()
        while sent < 200 * MIB and not select.select([line], [], [], 0)[0]:
            piece = next(pieces)
            line.sendall(piece)
            sent += len(piece)
        answer = line.recv(65_536)

    assert answer.startswith(b"HTTP/1.1 413 ")
    assert sent <= 64 * MIB, "what is on its way, and no more"
    assert files_of(site, item, sam) == []
    assert site.ask("GET", "/health").status_code == 200


@pytest.mark.parametrize(
    ("name", "kept"),
    [("../../../etc/cron.d/evil", "evil"), ("report\r\nSet-Cookie: a=b", "reportSet-Cookie_ a=b")],
)
def test_a_name_writes_no_header_and_no_path(site: Site, sam: Person, name: str, kept: str) -> None:
    item = site.submit(sam)

    answer = site.ask(
        "POST",
        f"/api/decisions/{item}/evidence?name={quote(name, safe='')}",
        by=sam,
        headers={"Content-Type": "text/plain"},
        content=b"text",
    )

    assert answer.json()["name"] == kept
    file = site.ask("GET", f"/api/decisions/{item}/evidence/{answer.json()['evidence_id']}", by=sam)
    assert "set-cookie" not in file.headers
    assert file.headers["content-disposition"].startswith("attachment;")


def test_a_script_is_given_out_as_nothing_that_runs(site: Site, sam: Person, engine: Person) -> None:
    item = site.submit(sam)
    answer = site.ask(
        "POST",
        f"/api/decisions/{item}/evidence?name=page.html",
        by=sam,
        headers={"Content-Type": "application/octet-stream"},
        content=b"<script>fetch('/api/auth/me')</script>",
    )
    path = f"/api/decisions/{item}/evidence/{answer.json()['evidence_id']}"

    file = site.ask("GET", path, by=sam)

    assert file.headers["content-type"] == "application/octet-stream"
    assert file.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in file.headers["content-security-policy"]
    assert site.ask("GET", path, by=engine).status_code == 404, "not its own"
    assert site.ask("GET", path).status_code == 401


def test_the_largest_file_comes_back_whole(site: Site, sam: Person) -> None:
    item = site.submit(sam)
    content = PNG.ljust(10 * MIB, b"\x07")
    answer = site.ask(
        "POST",
        f"/api/decisions/{item}/evidence?name=large.png",
        by=sam,
        headers={"Content-Type": "image/png"},
        content=content,
    )
    assert answer.status_code == 200, answer.text

    file = site.ask("GET", f"/api/decisions/{item}/evidence/{answer.json()['evidence_id']}", by=sam)

    assert file.content == content
