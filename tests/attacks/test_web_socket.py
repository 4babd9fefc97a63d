"""The WebSocket of alerts: whoever has no good token of their own hears nothing, and no frame brings the service down."""

import json
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import quote, urlsplit

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from tests.attacks.site import HANG_GUARD, Person, Site

POLICY_VIOLATION = 1008
HANDSHAKE = (
    "GET {target} HTTP/1.1\r\nHost: here\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


@contextmanager
def connected(site: Site, username: str, token: str, *, service: int = 0) -> Iterator[ClientConnection]:
    url = site.services[service].url.replace("http", "ws", 1)
    address = f"{url}/ws/{quote(username)}?token={quote(token)}"
    with connect(address, proxy=None, compression=None, open_timeout=HANG_GUARD) as found:
        yield found


def end_of(found: ClientConnection) -> tuple[int, str, list[str]]:
    """How it ended, and what was said before."""
    said: list[str] = []
    while True:
        try:
            said.append(str(found.recv(HANG_GUARD)))
        except ConnectionClosed:
            return found.close_code or 0, found.close_reason or "", said


def refused(site: Site, username: str, token: str) -> str:
    """The reason; nothing may have been said before it."""
    with connected(site, username, token) as found:
        code, reason, said = end_of(found)
    assert (code, said) == (POLICY_VIOLATION, [])
    return reason


def is_well(site: Site, person: Person) -> bool:
    """Whether somebody with a good token is served."""
    with connected(site, person.username, person.access) as found:
        return bool(json.loads(found.recv(HANG_GUARD))["type"] == "connection")


@pytest.fixture
def raw(site: Site, sam: Person) -> Iterator[socket.socket]:
    """A connection of an analyst's past the handshake and the first message, to write bytes to."""
    where = urlsplit(site.services[0].url)
    with socket.create_connection((where.hostname, where.port), HANG_GUARD) as line:
        line.sendall(HANDSHAKE.format(target=f"/ws/sam?token={sam.access}").encode())
        answer = b""
        while b'"connection"' not in answer:
            answer += line.recv(65_536)
        assert answer.startswith(b"HTTP/1.1 101")
        yield line


def closing_code(line: socket.socket) -> int | None:
    """The code of the close frame that comes; ``None``: the line went dead without one."""
    received = b""
    try:
        while part := line.recv(65_536):
            received += part
    except ConnectionResetError:
        pass
    at = received.rfind(b"\x88")
    return None if at < 0 else int.from_bytes(received[at + 2 : at + 4], "big")


def test_without_a_token_nothing_is_told(site: Site) -> None:
    assert refused(site, "admin", "")


def test_with_somebody_elses_token_nothing_is_told(site: Site, admin: Person, sam: Person) -> None:
    assert refused(site, "sam", admin.access) == "not-your-alerts"
    assert refused(site, "admin", sam.access) == "not-your-alerts"


def test_with_a_viewers_or_a_machines_token_nothing_is_told(site: Site, vic: Person, engine: Person) -> None:
    assert refused(site, "vic", vic.access) == "not-your-alerts"
    assert refused(site, "engine", engine.access) == "not-your-alerts"


def test_a_refresh_token_opens_nothing(site: Site, sam: Person) -> None:
    assert refused(site, "sam", sam.refresh)


def test_a_forged_or_cut_token_opens_nothing(site: Site, sam: Person) -> None:
    head, body, signature = sam.access.split(".")
    for token in (
        f"{head}.{body}.",
        f"{head}.{body}.{signature[::-1]}",
        f"{head}..{signature}",
        "\0",
        "é" * 100,
    ):
        assert refused(site, "sam", token)


def test_a_token_of_an_ended_session_opens_nothing(site: Site, admin: Person) -> None:
    gone = site.newcomer("gone-to-lunch", "analyst", by=admin)
    site.post("/api/auth/logout", by=gone)

    assert refused(site, "gone-to-lunch", gone.access) == "session-not-live"


@pytest.mark.parametrize("username", ["sam'--", "sam%00", "SAM ", "..", "sam\u200b"])
def test_no_other_writing_of_a_name_is_that_name(site: Site, sam: Person, username: str) -> None:
    assert refused(site, username, sam.access) == "not-your-alerts"


def test_a_path_that_leads_nowhere_is_not_opened(site: Site, sam: Person) -> None:
    for name in ("", "sam/admin"):
        with (
            pytest.raises(InvalidStatus),
            connect(
                f"{site.services[0].url.replace('http', 'ws', 1)}/ws/{name}?token={sam.access}", proxy=None
            ),
        ):
            pass


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        (b"\x81\x05hello", 1002),  # not masked (RFC 6455, section 5.1)
        (b"\xf1\x80\x00\x00\x00\x00", 1002),  # reserved bits
        (b"\x83\x80\x00\x00\x00\x00", 1002),  # no such opcode
        (b"\x80\x80\x00\x00\x00\x00", 1002),  # goes on with nothing
        (b"\x09\x80\x00\x00\x00\x00", 1002),  # a ping in pieces
        (b"\x81\xff" + struct.pack("!Q", 2**62) + b"\x00\x00\x00\x00", 1009),
        (b"\x81\xfe" + struct.pack("!H", 60_000) + b"\x00\x00\x00\x00", 1009),
        (b"\x81\x82\x00\x00\x00\x00\xff\xfe", 1007),  # not UTF-8
    ],
)
def test_a_frame_that_is_none_ends_its_own_connection_alone(
    site: Site, sam: Person, raw: socket.socket, frame: bytes, code: int
) -> None:
    raw.sendall(frame)

    assert closing_code(raw) == code
    assert is_well(site, sam)


def test_pieces_that_never_end_are_too_large_in_the_end(site: Site, sam: Person, raw: socket.socket) -> None:
    piece = b"\xfe" + struct.pack("!H", 4_000) + b"\x00\x00\x00\x00" + b"x" * 4_000
    raw.sendall(b"\x01" + piece + (b"\x00" + piece) * 5)

    assert closing_code(raw) == 1009
    assert is_well(site, sam)


def test_whoever_leaves_in_the_middle_of_a_frame_is_forgotten(
    site: Site, sam: Person, raw: socket.socket
) -> None:
    raw.sendall(b"\x81\xfe")
    raw.shutdown(socket.SHUT_RDWR)

    assert is_well(site, sam)


def test_the_token_in_the_address_is_logged_nowhere(site: Site, sam: Person) -> None:
    assert is_well(site, sam)
    refused(site, "admin", sam.access)
    with site.services[0].client() as client:
        client.get("/health", headers={"X-Request-ID": "after-the-sockets"})
    site.services[0].output.until("after-the-sockets")

    assert sam.access.rsplit(".", 1)[1] not in site.services[0].output.text()
