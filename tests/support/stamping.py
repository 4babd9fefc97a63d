"""A time-stamping authority behind HTTP: ``openssl ts -reply`` says what is answered."""

import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

from tests.support.authority import Authority
from tests.support.receiver import Received, answering

REPLY = "content-type: application/timestamp-reply"


def reply(authority: Authority, query: bytes) -> bytes:
    """The authority's answer to a request as it came."""
    (authority.folder / "came.tsq").write_bytes(query)
    _openssl(
        authority.folder,
        "ts", "-reply", "-config", "openssl.cnf", "-queryfile", "came.tsq", "-out", "went.tsr",
    )  # fmt: skip
    return (authority.folder / "went.tsr").read_bytes()


def answer_of(authority: Authority, received: Received) -> bytes:
    return answering(200, REPLY, body=reply(authority, received.body))


@contextmanager
def stamping(authority: Authority) -> Iterator[str]:
    """The authority as a server of its own thread, for services of other processes; its address."""

    class Answers(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = reply(authority, self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.send_header("Content-Type", "application/timestamp-reply")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Answers) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()
            thread.join()


def openssl_verifies(authority: Authority, token: bytes, content: bytes) -> bool:
    """What openssl itself says of a token, by hand."""
    (authority.folder / "token.tsr").write_bytes(token)
    (authority.folder / "stamped").write_bytes(content)
    try:
        _openssl(
            authority.folder, "ts", "-verify", "-data", "stamped", "-in", "token.tsr", "-CAfile", "ca.pem"
        )
    except subprocess.CalledProcessError:
        return False
    return True


def _openssl(folder: Path, *arguments: str) -> None:
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)
