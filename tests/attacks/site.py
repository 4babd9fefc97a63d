"""The installation under attack, and the people on it."""

import re
import secrets
import socket
from collections.abc import Iterator, Mapping
from typing import Final
from urllib.parse import urlsplit

import httpx2
import msgspec

from tests.support.databases import Database
from tests.support.http import registration, submission
from tests.support.service import PASSWORD, Service

SECRET_KEY: Final = "kX9-the-key-of-the-site-under-attack-7Qz"
HANG_GUARD: Final = 60.0


class Person(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody with tokens."""

    username: str
    access: str
    refresh: str = ""

    @property
    def header(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.access}"}


class Site(msgspec.Struct, kw_only=True):
    """One or two services on one database; ``ask`` goes to each of them in turn."""

    services: list[Service]
    database: Database
    clients: Iterator[httpx2.Client]

    def ask(
        self,
        method: str,
        path: str,
        *,
        by: Person | None = None,
        headers: Mapping[str, str] | None = None,
        **sent: object,
    ) -> httpx2.Response:
        """Ask the next service; the answer must be one that a service in its right mind gives."""
        own = {} if by is None else by.header
        answer = next(self.clients).request(method, path, headers={**own, **(headers or {})}, **sent)
        assert answer.status_code != 500, answer.text
        assert "traceback" not in answer.text.lower()
        return answer

    def post(self, path: str, body: object = None, *, by: Person | None = None) -> httpx2.Response:
        return self.ask("POST", path, by=by, json={} if body is None else body)

    def try_login(self, username: str, password: str, **headers: str) -> httpx2.Response:
        form = {"username": username, "password": password}
        return self.ask("POST", "/api/auth/login", data=form, headers=headers)

    def log_in(self, username: str, password: str = PASSWORD) -> Person:
        answer = self.try_login(username, password)
        assert answer.status_code == 200, answer.text
        told = answer.json()
        return Person(username=username, access=told["access_token"], refresh=told["refresh_token"] or "")

    def newcomer(self, username: str, role: str, *, by: Person) -> Person:
        body = registration(username, role=role, password=PASSWORD)
        answer = self.post("/api/auth/register", body, by=by)
        assert answer.status_code == 200, answer.text
        return self.log_in(username)

    def submit(self, by: Person, **overrides: object) -> str:
        """Submit an item; its id."""
        name = f"ATTACK-{secrets.token_hex(6)}"
        answer = self.post("/api/decisions/submit", submission(name, **overrides), by=by)
        assert answer.status_code == 200, answer.text
        return name

    def counted(self, metric: str) -> float:
        """Add a counter up over all services and labels."""
        pattern = re.compile(rf"^{metric}(?:_total)?(?:{{.*}})? ([\d.e+]+)$", re.MULTILINE)
        return sum(
            float(number)
            for service in self.services
            for number in pattern.findall(_text(service, "/metrics"))
        )

    def raw(self, sent: bytes) -> bytes:
        """Send bytes to the first service and read until it hangs up."""
        where = urlsplit(self.services[0].url)
        with socket.create_connection((where.hostname, where.port), HANG_GUARD) as line:
            line.sendall(sent)
            answer = b""
            while part := line.recv(65_536):
                answer += part
        return answer


def _text(service: Service, path: str) -> str:
    with service.client() as client:
        return client.get(path).text


def uncounted(name: str) -> str:
    """A user name that no other test guesses."""
    return f"{name}-{secrets.token_hex(4)}"
