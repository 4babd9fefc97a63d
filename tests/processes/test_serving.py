"""A real service: started, found, stopped, started again."""

import json
import os
import signal
import socket
import time
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import pytest

from ledger.store.local_postgres.folder import site_of
from ledger.store.local_postgres.process import is_running
from tests.support.databases import Database
from tests.support.items import item
from tests.support.service import (
    HANG_GUARD,
    PASSWORD,
    Service,
    command,
    environment,
    ledger,
    on_database,
    service,
)

pytestmark = pytest.mark.processes

ALLOWED_IN_LOG = "info"


def in_folder(folder: Path) -> dict[str, str]:
    return {"LEDGER_DATA_DIR": str(folder)}


def submitted(running: Service, analysis_id: str) -> None:
    with running.client(running.login()) as client:
        answer = client.post("/api/decisions/submit", json=item(analysis_id))
    assert answer.status_code == 200, answer.text


def status_of(running: Service, analysis_id: str) -> str:
    with running.client(running.login()) as client:
        return str(client.get(f"/api/decisions/{analysis_id}").json()["status"])


def postgres_of(folder: Path) -> int:
    found = site_of(folder).pid_file()
    assert found is not None
    return found.pid


def test_a_first_start_brings_everything_and_a_second_one_keeps_it(empty_folder: Path):
    settings = {**in_folder(empty_folder), "LEDGER_ADMIN_PASSWORD": ""}
    with service(settings=settings) as first:
        password = first.output.text().partition("Password ")[2].split()[0]
        assert "Administrator  admin" in first.output.text()
        assert f"API docs       {first.url}/api/docs" in first.output.text()
        token = first.login(password=password)
        with first.client(token) as client:
            assert client.get("/api/docs").status_code == 200
            assert client.get("/health/ready").json()["failing"] == []
            assert client.post("/api/decisions/submit", json=item("KEPT")).status_code == 200
        assert first.stop() == 0
    began = time.monotonic()
    with service(settings=settings) as second:
        print(f"the second start took {time.monotonic() - began:.1f} seconds")
        assert "Password" not in second.output.text()
        with second.client(token) as client:  # the secret key was kept too
            assert client.get("/api/decisions/KEPT").json()["status"] == "pending"
        second.signal(signal.SIGINT)
        assert second.wait() == 0
        assert password not in second.output.rest()
    assert site_of(empty_folder).pid_file() is None


@pytest.mark.long
def test_a_password_that_was_chosen_is_not_shown(data_dir: Path):
    with service(settings=in_folder(data_dir)) as running:
        assert running.login()
        running.stop()
        assert PASSWORD not in running.output.rest()


@pytest.mark.long
def test_the_port_in_use_is_told_before_anything_is_made(empty_folder: Path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        refused = ledger("serve", settings={**in_folder(empty_folder), "LEDGER_PORT": str(port)})
    assert refused.returncode == 1
    assert f"LEDGER_PORT: port {port} of 127.0.0.1 is in use by another program" in refused.stderr
    assert not empty_folder.exists()


@pytest.mark.long
def test_a_second_service_on_one_folder_is_refused_and_harms_nobody(data_dir: Path):
    with service(settings=in_folder(data_dir)) as running:
        refused = ledger("serve", settings={**in_folder(data_dir), "LEDGER_PORT": "0"})
        assert refused.returncode == 1
        assert "Another process already serves this data folder." in refused.stderr
        assert f"holder: {running.process.pid}" in refused.stderr
        assert "Traceback" not in refused.stderr
        submitted(running, "STILL-SERVED")


@pytest.mark.long
def test_two_services_on_one_database_work_side_by_side(data_dir: Path, tmp_path: Path):
    with service(settings=in_folder(data_dir)) as first:
        found = site_of(data_dir).pid_file()
        assert found is not None
        url = f"postgresql://ledger_service@/ledger?host={found.sockets}&port=5432"
        with service(settings={"LEDGER_DATABASE_URL": url, **in_folder(tmp_path / "second")}) as second:
            submitted(first, "FROM-FIRST")
            assert status_of(second, "FROM-FIRST") == "pending"
            submitted(second, "FROM-SECOND")
            assert status_of(first, "FROM-SECOND") == "pending"
            assert second.stop() == 0
        assert status_of(first, "FROM-SECOND") == "pending"


@pytest.mark.long
def test_api_and_workers_may_run_apart(database: Database, tmp_path: Path):
    settings = on_database(database, tmp_path)
    with service("--only", "workers", settings=settings), service("--only", "api", settings=settings) as api:
        submitted(api, "APART")
        assert status_of(api, "APART") == "pending"


@pytest.mark.long
def test_a_service_that_only_works_opens_no_port(database: Database, tmp_path: Path):
    with service("--only", "workers", settings=on_database(database, tmp_path)) as workers:
        assert "http://" not in workers.output.text()
        assert workers.stop() == 0


@pytest.mark.long
def test_workers_and_a_service_give_their_metrics_on_a_port_of_their_own(database: Database, tmp_path: Path):
    token = {"Authorization": "Bearer metrics-of-this-test"}
    settings = {
        **on_database(database, tmp_path),
        "LEDGER_METRICS_PORT": "0",
        "LEDGER_METRICS_TOKEN": "metrics-of-this-test",
    }
    with service("--only", "workers", settings=settings) as workers, service(settings=settings) as whole:
        for running in (workers, whole):
            url = running.output.text().partition("Metrics ")[2].split()[0]
            assert httpx2.get(url, headers=token, trust_env=False).status_code == 200
            assert "ledger_notary_lag_events" in httpx2.get(url, headers=token, trust_env=False).text
            assert httpx2.get(url, trust_env=False).status_code == 401
        with whole.client() as client:
            assert client.get("/metrics", headers=token).status_code == 404
        assert (workers.stop(), whole.stop()) == (0, 0)
        assert "metrics-of-this-test" not in workers.output.rest() + whole.output.rest()


class HalfSent:
    """A request whose body is not complete yet."""

    def __init__(self, running: Service, analysis_id: str) -> None:
        self._body = json.dumps(item(analysis_id)).encode()
        place = urlsplit(running.url)
        self._socket = socket.create_connection((place.hostname, place.port or 0), timeout=HANG_GUARD)
        head = (
            f"POST /api/decisions/submit HTTP/1.1\r\nHost: {place.netloc}\r\n"
            f"Authorization: Bearer {running.login()}\r\nContent-Type: application/json\r\n"
            f"Expect: 100-continue\r\nContent-Length: {len(self._body)}\r\n\r\n"
        )
        self._socket.sendall(head.encode())
        assert b"100 Continue" in self._socket.recv(4096)  # so the service has begun with it

    def hang_up(self) -> None:
        self._socket.close()

    def complete(self) -> bytes:
        self._socket.sendall(self._body)
        with self._socket:
            return self._socket.recv(65536)


def no_longer_listens(running: Service) -> bool:
    deadline = time.monotonic() + HANG_GUARD
    place = urlsplit(running.url)
    while time.monotonic() < deadline:
        try:
            socket.create_connection((place.hostname, place.port or 0), timeout=HANG_GUARD).close()
        except ConnectionRefusedError:
            return True
        time.sleep(0.02)
    return False


def test_stopping_finishes_what_is_under_way(data_dir: Path):
    with service(settings=in_folder(data_dir)) as running:
        half_sent = HalfSent(running, "UNDER-WAY")
        running.signal()
        assert no_longer_listens(running)
        assert half_sent.complete().startswith(b"HTTP/1.1 200 ")
        assert running.wait() == 0
    with service(settings=in_folder(data_dir)) as again:
        assert status_of(again, "UNDER-WAY") == "pending"


@pytest.mark.long
def test_a_second_signal_stops_at_once(data_dir: Path):
    with service(settings=in_folder(data_dir)) as running:
        postgres = postgres_of(data_dir)
        submitted(running, "BEFORE")
        half_sent = HalfSent(running, "NEVER")
        running.signal()
        running.output.until("Waiting for 1 request to end; Ctrl-C again stops at once.")
        assert no_longer_listens(running)
        running.signal()
        assert running.wait() == 128 + signal.SIGTERM
        assert b"200" not in half_sent.complete()
    wait_for_end_of(postgres)
    with service(settings=in_folder(data_dir)) as again:
        assert status_of(again, "BEFORE") == "pending"


def wait_for_end_of(pid: int) -> None:
    deadline = time.monotonic() + HANG_GUARD
    while is_running(pid):
        assert time.monotonic() < deadline, f"process {pid} lives on"
        time.sleep(0.02)


def answer_to(running: Service, sent: bytes) -> bytes:
    place = urlsplit(running.url)
    with socket.create_connection((place.hostname, place.port or 0), timeout=HANG_GUARD) as caller:
        caller.sendall(sent)
        return b"".join(iter(lambda: caller.recv(65536), b""))


@pytest.mark.long
def test_rubbish_and_hanging_up_are_answered_and_leave_no_error(data_dir: Path):
    with service(settings=in_folder(data_dir)) as running:
        HalfSent(running, "NEVER").hang_up()
        running.output.until("status=499")
        assert answer_to(running, b"hello\r\n\r\n").startswith(b"HTTP/1.1 400 ")
        assert answer_to(running, b"GET / HTTP/1.1\r\nX: " + b"x" * 300_000).startswith(b"HTTP/1.1 431 ")
        submitted(running, "STILL-SERVED")
        assert running.stop() == 0
        printed = running.output.rest()
    assert "Traceback" not in printed
    assert "[error" not in printed


@pytest.mark.long
def test_a_start_that_is_interrupted_leaves_nothing_running(empty_folder: Path):
    settings = {**in_folder(empty_folder), "LEDGER_PORT": "0", "LEDGER_ADMIN_PASSWORD": PASSWORD}
    site = site_of(empty_folder)
    with command("serve", settings=settings) as (process, output):
        deadline = time.monotonic() + HANG_GUARD
        while not site.unfinished_data.exists():  # initdb has begun
            assert time.monotonic() < deadline, output.text()
            time.sleep(0.005)
        process.send_signal(signal.SIGINT)
        assert process.wait(HANG_GUARD) == 128 + signal.SIGINT
        assert "Traceback" not in output.rest()
    assert site.pid_file() is None
    with service(settings=settings) as running:
        assert running.login()


def test_logs_are_json_for_machines_and_hold_no_secret(database: Database, tmp_path: Path):
    settings = {**on_database(database, tmp_path), "LEDGER_LOG_FORMAT": "json", "LEDGER_LOG_LEVEL": "debug"}
    with service(settings=settings) as running:
        token = running.login()
        submitted(running, "LOGGED")
        running.stop()
        text = running.output.rest()
    logged = [line for line in running.output.lines if not line.startswith(("A", "D", "N", "S"))]
    assert [line for line in logged if not line.startswith("{")] == []
    assert token not in text
    assert PASSWORD not in text


@pytest.mark.long
def test_the_service_reads_nothing_of_its_caller_but_its_settings(database: Database, tmp_path: Path):
    settings = {"PGHOST": "nowhere", "PGUSER": "nobody", **on_database(database, tmp_path)}
    assert environment(settings)["PGHOST"] == "nowhere"
    with service(settings=settings) as running:
        assert running.login()
        assert os.getpgid(running.process.pid)
