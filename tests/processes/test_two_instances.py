"""Two service processes on one database: what one takes away, the other knows when the call has answered."""

import signal
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support.databases import Database
from tests.support.service import PASSWORD, Service, on_database, service

pytestmark = [pytest.mark.processes, pytest.mark.long]

OLD_KEY = "kept by the old release and long enough"
NEW_KEY = "made for the next one and just as long!"


@pytest.fixture
def pair(database: Database, tmp_path: Path) -> Iterator[tuple[Service, Service]]:
    """One serves and works, the other only serves."""
    settings = {**on_database(database, tmp_path), "LEDGER_SECRET_KEY": OLD_KEY}
    with ExitStack() as stack:
        here = stack.enter_context(service(settings=settings))
        there = stack.enter_context(service("--only", "api", settings=settings))
        yield here, there


def status_of(running: Service, token: str) -> int:
    with running.client(token) as client:
        return client.get("/api/auth/me").status_code


def post(running: Service, token: str, path: str, **body: object) -> int:
    with running.client(token) as client:
        return client.post(path, json=body).status_code


def test_what_one_takes_away_the_other_does_not_serve(pair: tuple[Service, Service]):
    here, there = pair
    admin = here.login()
    here.register("sam", "analyst")
    for path, body in (
        ("/api/auth/users/sam/password", {"new_password": PASSWORD, "reason": "leaked"}),
        ("/api/auth/users/sam/role", {"role": "viewer", "reason": "moved"}),
        ("/api/auth/users/sam/deactivate", {"reason": "left"}),
    ):
        tokens = [here.login("sam") for _ in range(3)]
        assert {status_of(there, token) for token in tokens} == {200}
        assert post(here, admin, path, **body) == 200
        assert {status_of(there, token) for token in tokens} == {401}
    own = there.login()
    assert status_of(here, own) == 200
    assert post(there, own, "/api/auth/logout") == 200
    assert status_of(here, own) == 401


def test_an_instance_that_hangs_delays_an_answer_and_serves_nobody_when_it_comes_back(
    pair: tuple[Service, Service],
):
    here, there = pair
    admin, victim = here.login(), here.login()
    assert status_of(there, victim) == 200
    there.signal(signal.SIGSTOP)
    try:
        assert post(here, victim, "/api/auth/logout") == 200
    finally:
        there.signal(signal.SIGCONT)

    assert status_of(there, victim) == 401
    assert status_of(there, admin) == 200


def test_a_new_signing_key_logs_nobody_out_and_an_old_one_that_is_dropped_does(
    database: Database, tmp_path: Path
):
    settings = {**on_database(database, tmp_path), "LEDGER_SECRET_KEY": OLD_KEY}
    with service(settings=settings) as before:
        token = before.login()
        before.stop()
    rotated = {**settings, "LEDGER_SECRET_KEY": NEW_KEY, "LEDGER_PREVIOUS_SECRET_KEYS": OLD_KEY}
    with service(settings=rotated) as after:
        assert status_of(after, token) == 200
        after.stop()
    with service(settings={**settings, "LEDGER_SECRET_KEY": NEW_KEY}) as last:
        assert status_of(last, token) == 401
