"""A time-stamping authority behind HTTP, in this process: ``openssl ts -reply`` says what is answered."""

import subprocess
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
