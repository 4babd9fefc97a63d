"""Bytes on a socket: who hangs up, dawdles or sends rubbish gets one short answer and one quiet line."""

import asyncio
import json
import socket
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import pytest_asyncio
import structlog
from structlog.testing import LogCapture

from ledger.cli import http
from ledger.cli.connection import MAX_HEAD_BYTES, Connection
from ledger.cli.http import serving as listening
from ledger.cli.http import serving_metrics
from ledger.cli.port import open_port, port_of, take_port
from ledger.settings import Settings
from tests.support.databases import Cluster, Database
from tests.support.http import Api, cheap_passwords, serving, submission

pytestmark = pytest.mark.asyncio(loop_scope="module")

HANG_GUARD = 60
SHORT = 0.05
HEAD = b"POST /api/auth/refresh HTTP/1.1\r\nHost: here\r\nContent-Type: application/json\r\n"
HALF_SENT = HEAD + b"Content-Length: 100\r\n\r\n{"


class Served:
    """A service on a port of its own, and what it logs."""

    def __init__(self, api: Api, port: int, log: LogCapture) -> None:
        self.api = api
        self.port = port
        self.log = log
        self._writers: list[StreamWriter] = []

    async def connect(self, sent: bytes) -> tuple[StreamReader, StreamWriter]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(sent)
        await writer.drain()
        self._writers.append(writer)
        return reader, writer

    async def answer(self, sent: bytes) -> bytes:
        """Send this and read until the service hangs up."""
        reader, _ = await self.connect(sent)
        async with asyncio.timeout(HANG_GUARD):
            return await reader.read()

    async def hang_up(self) -> None:
        for writer in self._writers:
            writer.close()
        await asyncio.gather(*(writer.wait_closed() for writer in self._writers), return_exceptions=True)

    async def logged(self, event: str) -> dict[str, object]:
        async with asyncio.timeout(HANG_GUARD):
            while not (found := [line for line in self.log.entries if line["event"] == event]):
                await asyncio.sleep(0.01)
        return dict(found[0])


@asynccontextmanager
async def served_on(database: Database, **choices: object) -> AsyncIterator[Served]:
    sockets = take_port("127.0.0.1", 0)
    open_port(sockets)
    log = LogCapture()
    async with serving(database, passwords=cheap_passwords(), settings=choices) as api:
        structlog.configure(processors=[log])
        async with listening(api.services, Settings(), sockets):
            served = Served(api, port_of(sockets), log)
            yield served
    await served.hang_up()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running(postgres: Cluster) -> AsyncIterator[Served]:
    async with postgres.fresh() as database, served_on(database) as found:
        yield found


@pytest.fixture
def served(running: Served) -> Served:
    running.log.entries.clear()
    structlog.configure(processors=[running.log])
    return running


def problem_in(answer: bytes) -> dict[str, object]:
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"content-type: application/problem+json" in head.lower()
    assert b"x-content-type-options: nosniff" in head.lower()
    assert b"connection: close" in head.lower()
    problem = json.loads(body)
    assert f"x-request-id: {problem['request_id']}".encode() in head.lower()
    assert head.startswith(f"HTTP/1.1 {problem['status']} ".encode())
    return dict(problem)


async def test_the_port_of_metrics_answers_with_them_and_with_nothing_else(served: Served) -> None:
    sockets = take_port("127.0.0.1", 0)
    open_port(sockets)
    beside = Served(served.api, port_of(sockets), served.log)
    async with serving_metrics(served.api.services, Settings(), sockets):
        given = await beside.answer(b"GET /metrics HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n")
        other = await beside.answer(b"GET /health/live HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n")
    await beside.hang_up()

    assert given.startswith(b"HTTP/1.1 200 ")
    assert other.startswith(b"HTTP/1.1 404 ")


async def test_a_client_that_hangs_up_in_its_body_is_one_quiet_line(served: Served, caplog) -> None:
    _, writer = await served.connect(HALF_SENT)
    writer.transport.abort()

    line = await served.logged("http.answered")

    assert (line["status"], line["log_level"]) == (499, "info")
    assert [entry for entry in served.log.entries if entry["log_level"] != "info"] == []
    assert caplog.records == []


async def test_a_body_that_stops_making_sense_is_one_quiet_line_and_a_problem(served: Served, caplog) -> None:
    answer = await served.answer(HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\n{}no\r\nzz\r\n")

    assert problem_in(answer)["code"] == "malformed-http"
    assert (await served.logged("http.answered"))["status"] == 499
    assert [entry for entry in served.log.entries if entry["log_level"] != "info"] == []
    assert caplog.records == []


async def test_a_body_that_does_not_come_is_answered_408(database: Database) -> None:
    async with served_on(database, body_seconds=SHORT) as served:
        answer = await served.answer(HALF_SENT)

        assert problem_in(answer)["code"] == "request-timeout"
        assert (await served.logged("http.answered"))["status"] == 408


async def test_a_head_that_does_not_come_is_answered_408(served: Served, monkeypatch) -> None:
    monkeypatch.setattr(Connection, "head_seconds", SHORT)

    assert problem_in(await served.answer(HEAD))["code"] == "request-timeout"


async def test_a_second_head_that_does_not_come_is_answered_408(served: Served, monkeypatch) -> None:
    monkeypatch.setattr(Connection, "head_seconds", SHORT)

    told = await served.answer(b"GET /health/live HTTP/1.1\r\nHost: here\r\n\r\n" + HEAD)

    first, _, second = told.partition(b"}HTTP")
    assert first.startswith(b"HTTP/1.1 200 ")
    assert problem_in(b"HTTP" + second)["code"] == "request-timeout"


async def test_a_caller_who_says_nothing_is_hung_up_on(served: Served, monkeypatch) -> None:
    monkeypatch.setattr(Connection, "head_seconds", SHORT)

    assert await served.answer(b"") == b""


async def test_a_body_that_goes_on_long_after_its_answer_ends_the_connection(
    served: Served, monkeypatch
) -> None:
    monkeypatch.setattr(Connection, "body_seconds", SHORT)
    head = b"POST /nowhere HTTP/1.1\r\nHost: here\r\nContent-Length: 100\r\n\r\n{"

    assert (await served.answer(head)).startswith(b"HTTP/1.1 404 ")


@pytest.mark.parametrize("size", [MAX_HEAD_BYTES + 1, 3 * MAX_HEAD_BYTES, 20 * MAX_HEAD_BYTES])
async def test_a_head_beyond_bounds_is_refused(served: Served, size: int) -> None:
    answer = await served.answer(HEAD + b"X-Long: " + b"a" * size)

    assert problem_in(answer)["code"] == "head-too-large"


async def test_a_large_body_is_no_large_head(served: Served) -> None:
    token = (await served.api.login())["Authorization"]
    body = json.dumps(submission("large", forensic_summary="a" * 60_000, iocs=["b" * 2_000] * 200)).encode()
    head = (
        "POST /api/decisions/submit HTTP/1.1\r\nHost: here\r\nConnection: close\r\n"
        f"Content-Type: application/json\r\nAuthorization: {token}\r\nContent-Length: {len(body)}\r\n\r\n"
    )

    assert (await served.answer(head.encode() + body)).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize(
    "rubbish",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"hello\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /a b HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
        HEAD + b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n",
        HEAD + b"Transfer-Encoding: chunked, gzip\r\n\r\n",
        HEAD + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n",
    ],
)
async def test_what_is_no_http_gets_a_problem_document(served: Served, rubbish: bytes, caplog) -> None:
    problem = problem_in(await served.answer(rubbish))

    assert (problem["code"], problem["status"]) == ("malformed-http", 400)
    assert (await served.logged("http.refused"))["status"] == 400
    assert caplog.records == []


@pytest.mark.parametrize("hosts", [b"", b"Host: here\r\nHost: there\r\n"], ids=["none", "two"])
async def test_a_request_names_one_host(served: Served, hosts: bytes) -> None:
    problem = problem_in(await served.answer(b"GET /health HTTP/1.1\r\n" + hosts + b"\r\n"))

    assert (problem["code"], problem["status"]) == ("malformed-http", 400)


async def test_a_request_of_http_1_0_names_no_host(served: Served) -> None:
    assert (await served.answer(b"GET /health HTTP/1.0\r\n\r\n")).startswith(b"HTTP/1.1 200 ")


async def test_head_over_a_socket_has_no_body_and_keeps_the_connection(served: Served) -> None:
    first = b"HEAD /health HTTP/1.1\r\nHost: here\r\n\r\n"
    second = b"GET /health HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n"

    told = await served.answer(first + second)

    assert told.count(b"HTTP/1.1 200 OK") == 2
    assert told.count(b"healthy") == 1


async def test_a_stop_says_whom_it_waits_for_and_then_answers_them(
    database: Database, monkeypatch, caplog, capsys
) -> None:
    monkeypatch.setattr(http, "DRAIN_SECONDS", SHORT)
    half_sent = HALF_SENT.replace(b"\r\n\r\n", b"\r\nExpect: 100-continue\r\n\r\n")
    async with asyncio.timeout(HANG_GUARD), served_on(database) as served:
        reader, _ = await served.connect(half_sent)
        assert b"100 Continue" in await reader.readuntil(b"\r\n\r\n")
        told = asyncio.create_task(reader.read())

    assert "Waiting for 1 request to end; Ctrl-C again stops at once." in capsys.readouterr().out
    assert problem_in(await told)["code"] == "stopping"
    assert (await served.logged("service.stopping.gave_up"))["requests"] == 1
    assert (await served.logged("http.answered"))["status"] == 503
    assert caplog.records == []


async def test_a_stop_with_nobody_inside_waits_for_nobody(database: Database, capsys) -> None:
    async with served_on(database) as served:
        await served.connect(b"GET /health HTTP/1.1\r\n")

    assert "Waiting" not in capsys.readouterr().out


async def test_a_caller_who_does_not_read_their_answer_does_not_keep_the_service_from_stopping(
    database: Database, monkeypatch, caplog
) -> None:
    monkeypatch.setattr(http, "DRAIN_SECONDS", SHORT)
    asked = b"GET /api/docs/swagger-ui-bundle.js HTTP/1.1\r\nHost: here\r\n\r\n"
    with socket.socket() as deaf:
        async with asyncio.timeout(HANG_GUARD), served_on(database) as served:
            deaf.connect(("127.0.0.1", served.port))
            deaf.sendall(asked * 50)
            await served.logged("http.answered")

    assert (await served.logged("service.stopping.gave_up"))["log_level"] == "warning"
    assert "Traceback" not in caplog.text


@pytest.mark.parametrize(
    "target", [b"http:///health", b"http://[::1/health", b"https://x:y/health", b"http://evil.test", b"a:1"]
)
async def test_an_address_that_is_none_gets_a_problem_document(served: Served, target: bytes, caplog) -> None:
    problem = problem_in(await served.answer(b"GET " + target + b" HTTP/1.1\r\nHost: here\r\n\r\n"))

    assert (problem["code"], problem["status"]) == ("malformed-http", 400)
    assert caplog.records == []


@pytest.mark.parametrize(
    "host", [b"a b", b"evil/../x", b"[::1", b"a:b:c", b"a@b", b"x:999999", b"ex\xe9mple", b'"a"']
)
async def test_a_host_that_is_none_is_no_http(served: Served, host: bytes) -> None:
    problem = problem_in(await served.answer(b"GET /health HTTP/1.1\r\nHost: " + host + b"\r\n\r\n"))

    assert (problem["code"], problem["status"]) == ("malformed-http", 400)


@pytest.mark.parametrize("host", [b"", b"a_b.test:80", b"[::1]:8002", b"127.0.0.1", b"a.test:", b"xn--e1a"])
async def test_a_host_with_and_without_a_port_is_taken(served: Served, host: bytes) -> None:
    sent = b"GET /health HTTP/1.1\r\nConnection: close\r\nHost: " + host + b"\r\n\r\n"

    assert (await served.answer(sent)).startswith(b"HTTP/1.1 200 ")


UPGRADE = b"Host: here\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nX-Request-ID: mine\r\n"
KEY = b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
HANDSHAKE = UPGRADE + KEY + b"Sec-WebSocket-Version: 13\r\n"


@pytest.mark.parametrize(
    ("sent", "code", "status"),
    [
        (b"GET /ws/admin HTTP/1.1\r\n" + UPGRADE, "no-handshake", 400),
        (
            b"GET /ws/admin HTTP/1.1\r\n" + UPGRADE + KEY + b"Sec-WebSocket-Version: 12\r\n",
            "no-handshake",
            400,
        ),
        (b"POST /ws/admin HTTP/1.1\r\n" + HANDSHAKE, "method-not-allowed", 405),
        (b"GET /nowhere HTTP/1.1\r\n" + HANDSHAKE, "no-web-socket-here", 403),
        (b"GET /health HTTP/1.1\r\n" + HANDSHAKE, "no-web-socket-here", 403),
    ],
)
async def test_a_web_socket_that_is_not_opened_gets_a_problem_document(
    served: Served, sent: bytes, code: str, status: int
) -> None:
    answer = await served.answer(sent + b"\r\n")

    problem = problem_in(answer)
    assert (problem["code"], problem["status"], problem["request_id"]) == (code, status, "mine")
    assert b"x-content-type-options: nosniff\r\n" in answer


@pytest.mark.parametrize(
    "more", [b"X-Many: 1\r\n" * 200, b"X-Long: " + b"a" * 9_000 + b"\r\n"], ids=["many", "long"]
)
async def test_a_handshake_that_the_library_cannot_read_is_refused_and_kept_by_nobody(
    served: Served, more: bytes
) -> None:
    answer = await served.answer(b"GET /ws/admin HTTP/1.1\r\n" + HANDSHAKE + more + b"\r\n")

    assert problem_in(answer)["code"] == "head-too-large"


DOCUMENT = b"GET /openapi.json HTTP/1.1\r\nHost: here\r\n\r\n"
LAST_DOCUMENT = b"GET /openapi.json HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n"


async def _answered(served: Served, times: int) -> None:
    """Wait until the service has dealt with so many requests."""
    async with asyncio.timeout(HANG_GUARD):
        while [line["event"] for line in served.log.entries].count("http.answered") < times:
            await asyncio.sleep(0.01)


async def test_whoever_asks_for_much_at_once_and_leaves_is_a_quiet_line(served: Served, caplog) -> None:
    _, writer = await served.connect(DOCUMENT * 20)
    await _answered(served, 1)
    writer.transport.abort()

    await _answered(served, 2)

    assert caplog.records == []


@pytest.mark.parametrize("more", [b"garbage\r\n\r\n", b"GET /ws/admin HTTP/1.1\r\n" + HANDSHAKE + b"\r\n"])
async def test_what_comes_in_the_middle_of_answers_ends_the_connection_quietly(
    served: Served, more: bytes, caplog
) -> None:
    answer = await served.answer(DOCUMENT * 3 + more)

    await _answered(served, 1)
    assert b" 400 " not in answer
    assert b" 101 " not in answer
    assert caplog.records == []


CHUNKED = (
    b"Host: here\r\nConnection: close\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
)


async def test_what_comes_behind_a_body_is_no_header(served: Served) -> None:
    token = (await served.api.login())["Authorization"].encode()
    trailers = b"Authorization: " + token + b"\r\nX-Request-ID: behind\r\n\r\n"

    answer = await served.answer(b"POST /api/auth/logout HTTP/1.1\r\n" + CHUNKED + b"0\r\n" + trailers)

    assert answer.startswith(b"HTTP/1.1 401 ")
    assert b"x-request-id: behind" not in answer


@pytest.mark.parametrize(
    "endless",
    [
        b"0\r\n" + b"X: y\r\n" * MAX_HEAD_BYTES,
        b"0\r\nX: " + b"y" * 20 * MAX_HEAD_BYTES,
        b"1;" + b"y" * 20 * MAX_HEAD_BYTES,
    ],
    ids=["many", "long", "extension"],
)
async def test_what_comes_behind_a_body_or_with_a_chunk_has_bounds(served: Served, endless: bytes) -> None:
    answer = await served.answer(b"POST /api/auth/refresh HTTP/1.1\r\n" + CHUNKED + endless)

    assert problem_in(answer)["code"] == "head-too-large"


async def test_many_large_heads_in_a_row_are_taken(served: Served) -> None:
    head = b"GET /health HTTP/1.1\r\nHost: here\r\nX: " + b"a" * 30_000
    last = b"\r\nConnection: close\r\n\r\n"

    told = await served.answer((head + b"\r\n\r\n") * 10 + head + last)

    assert told.count(b"HTTP/1.1 200 ") == 11


async def test_a_body_in_many_small_chunks_is_taken(served: Served) -> None:
    body = b'{"refresh_token":"' + b"x" * 900 + b'"}'
    chunks = b"".join(b"1;" + b"e" * 200 + b"\r\n%c\r\n" % byte for byte in body)

    answer = await served.answer(b"POST /api/auth/refresh HTTP/1.1\r\n" + CHUNKED + chunks + b"0\r\n\r\n")

    assert problem_in(answer)["code"] == "invalid-refresh-token"


async def test_whoever_does_not_read_is_hung_up_on_and_holds_no_place(
    served: Served, monkeypatch, caplog
) -> None:
    monkeypatch.setattr(Connection, "unread_seconds", SHORT)

    await served.connect(DOCUMENT * 20)

    assert (await served.logged("http.not_read"))["log_level"] == "info"
    await _answered(served, 2)
    assert caplog.records == []


async def test_whoever_asks_for_more_than_they_read_holds_no_place_at_all(database: Database) -> None:
    async with served_on(database, max_in_flight=1) as served:
        await served.connect(DOCUMENT * 40)
        await _answered(served, 1)
        await _quiet(served)

        async with asyncio.timeout(HANG_GUARD):  # less than they may take to read
            while not (await served.answer(LAST_DOCUMENT)).startswith(b"HTTP/1.1 200 "):
                await asyncio.sleep(0.1)


async def test_who_reads_late_is_given_all_that_was_asked_for(served: Served) -> None:
    reader, _ = await served.connect(DOCUMENT * 20 + LAST_DOCUMENT)
    await _answered(served, 1)
    await _quiet(served)

    async with asyncio.timeout(HANG_GUARD):
        everything = await reader.read()

    assert everything.count(b"HTTP/1.1 200 ") == 21
    assert everything.count(b'"openapi":') == 21


async def _quiet(served: Served) -> None:
    """Wait until nothing more is answered, for as long as it takes to believe that."""
    before, now = -1, 0
    while before < now:
        before = now
        await asyncio.sleep(0.3)
        now = [line["event"] for line in served.log.entries].count("http.answered")
