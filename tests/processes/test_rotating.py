"""Secrets of an installation are changed on real services, as docs/operations/secrets.md says: three starts in a row.

The first one has the old secrets, the second the new ones and, where that is how it goes, the old ones beside them; the
third has the new ones alone.
"""

import asyncio
import re
import time
from base64 import b64encode
from collections.abc import Iterator, Mapping
from pathlib import Path
from secrets import token_bytes, token_hex, token_urlsafe

import msgspec
import pytest
import redis

from tests.support.databases import Cluster, Database
from tests.support.http import submission
from tests.support.redis import RedisServer, redis_server
from tests.support.service import HANG_GUARD, Service, ledger, on_database, service

pytestmark = [pytest.mark.long, pytest.mark.processes]

PASSWORD = "nobody thinks of this one"
SHARED = re.compile(r"^ledger_limits_shared\b.* 1\.0$", re.MULTILINE)


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """What one of the three starts told."""

    tokens: tuple[int, ...]
    metrics: tuple[int, ...]
    is_shared: bool
    vkey: str
    doctor: str
    notary: int


class Secrets(msgspec.Struct, frozen=True, kw_only=True):
    """One set of them."""

    secret_key: str
    notary_key: str
    metrics: str
    redis: str

    @classmethod
    def made(cls) -> "Secrets":
        return cls(
            secret_key=token_urlsafe(48),
            notary_key=b64encode(token_bytes(32)).decode(),
            metrics=token_hex(24),
            redis=token_hex(16),
        )


@pytest.fixture(scope="module")
def old() -> Secrets:
    return Secrets.made()


@pytest.fixture(scope="module")
def new() -> Secrets:
    return Secrets.made()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with redis_server(tmp_path_factory.mktemp("redis")) as running:
        yield running


@pytest.fixture(scope="module")
def database(postgres: Cluster) -> Iterator[Database]:
    with asyncio.Runner() as runner:
        opened = postgres.fresh()
        yield runner.run(opened.__aenter__())
        runner.run(opened.__aexit__(None, None, None))


@pytest.fixture(scope="module")
def seen(
    database: Database,
    server: RedisServer,
    old: Secrets,
    new: Secrets,
    tmp_path_factory: pytest.TempPathFactory,
) -> list[Seen]:
    """What each of the three starts told."""
    both = {
        "LEDGER_PREVIOUS_SECRET_KEYS": old.secret_key,
        "LEDGER_NOTARY_KEY": f"{new.notary_key},{old.notary_key}",
    }
    steps = [
        (old, settings_of(old, server)),
        (new, settings_of(new, server) | both),
        (new, settings_of(new, server)),
    ]
    base, tokens = base_of(database, tmp_path_factory.mktemp("rotated")), []
    return [_started(base | settings, secrets, server, (old, new), tokens) for secrets, settings in steps]


def base_of(database: Database, folder: Path) -> dict[str, str]:
    return on_database(database, folder) | {
        "LEDGER_ENVIRONMENT": "production",
        "LEDGER_ADMIN_PASSWORD": PASSWORD,
        "LEDGER_NOTARY_STATE_URL": f"file://{folder}/guard",
    }


def settings_of(secrets: Secrets, server: RedisServer) -> dict[str, str]:
    return {
        "LEDGER_SECRET_KEY": secrets.secret_key,
        "LEDGER_NOTARY_KEY": secrets.notary_key,
        "LEDGER_METRICS_TOKEN": secrets.metrics,
        "LEDGER_REDIS_URL": f"redis://:{secrets.redis}@127.0.0.1:{server.port}/0",
    }


def _started(
    settings: Mapping[str, str],
    secrets: Secrets,
    server: RedisServer,
    all_of_them: tuple[Secrets, ...],
    tokens: list[str],
) -> Seen:
    _protect(server, secrets.redis)
    with service(settings=settings) as running:
        tokens.append(running.login(password=PASSWORD))
        told = Seen(
            tokens=tuple(_status(running, "/api/auth/me", token) for token in tokens),
            metrics=tuple(_status(running, "/metrics", one.metrics) for one in all_of_them),
            is_shared=_is_shared(running, secrets.metrics),
            vkey=_vkey(running, tokens[-1]),
            doctor=ledger("doctor", settings=settings).stdout,
            notary=ledger("notary", "status", settings=settings).returncode,
        )
        assert running.stop() == 0, running.output.rest()
    return told


def _protect(server: RedisServer, password: str) -> None:
    server.kill()
    server.start()
    with redis.Redis(port=server.port) as client:
        client.config_set("requirepass", password)


def _status(running: Service, path: str, token: str) -> int:
    with running.client(token) as client:
        return client.get(path).status_code


def _text(running: Service, path: str, token: str) -> str:
    with running.client(token) as client:
        return client.get(path).text


def _is_shared(running: Service, token: str) -> bool:
    """Say whether limits are counted together sooner or later: a Redis that is slow to answer is asked again."""
    deadline = time.monotonic() + HANG_GUARD
    while time.monotonic() < deadline:
        _status(running, "/health/ready", token)  # looks for a Redis that was away
        if SHARED.search(_text(running, "/metrics", token)):
            return True
        time.sleep(0.1)
    return False


def _vkey(running: Service, token: str) -> str:
    """The public key of the notary, once it has sealed something."""
    with running.client(token) as client:
        answer = client.post("/api/decisions/submit?wait=sealed", json=submission(token_hex(8)))
        assert answer.status_code == 200, answer.text
        return str(client.get("/admin/notary/status").json()["vkey"])


def test_nobody_is_logged_out_by_another_secret_key(seen: list[Seen]) -> None:
    assert [one.tokens for one in seen[:2]] == [(200,), (200, 200)]


def test_a_token_of_the_old_key_ends_with_it(seen: list[Seen]) -> None:
    assert seen[2].tokens == (401, 200, 200)


def test_the_log_goes_on_under_another_key_of_the_notary(seen: list[Seen]) -> None:
    first, second, third = (one.vkey.split("+") for one in seen)

    assert second == third
    assert first[0] == second[0], "the log keeps its name"
    assert first[1] != second[1]
    assert [one.notary for one in seen] == [0, 0, 0]


def test_the_old_token_for_metrics_is_good_for_nothing(seen: list[Seen]) -> None:
    assert [one.metrics for one in seen] == [(200, 401), (401, 200), (401, 200)]


def test_limits_are_shared_under_another_password_of_redis(seen: list[Seen]) -> None:
    assert [one.is_shared for one in seen] == [True, True, True]


def test_the_doctor_finds_nothing_that_is_sealed_under_a_key_that_is_gone(seen: list[Seen]) -> None:
    assert "sealed with" not in seen[2].doctor
