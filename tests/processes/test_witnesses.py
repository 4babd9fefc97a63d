"""A service and its witnesses, all of them processes: one may be away, and a restored backup gets no cosignature."""

import asyncio
import json
import re
import shutil
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import asyncpg
import msgspec
import pytest

from ledger.sealing.notes import Signer
from ledger.sealing.rows import last_checkpoint
from ledger.sealing.witnesses import cosigned_note
from ledger.verifier.checkpoint import Checkpoint, parse_checkpoint
from ledger.verifier.policy import accepted, parse_policy
from tests.support.authority import authority_in
from tests.support.databases import Cluster, Database
from tests.support.ports import held_port
from tests.support.service import HANG_GUARD, Service, ledger, on_database, service
from tests.support.stamping import stamping
from tests.support.witnesses import ServedWitness, served_witness

pytestmark = [pytest.mark.processes, pytest.mark.long]

ORIGIN = "log.example.org/decisions"
SEED = bytes(range(32))
VKEY = Signer(ORIGIN, SEED).vkey


class Site(msgspec.Struct, frozen=True, kw_only=True):
    """A place with two witnesses, of which the second does not run, and a policy that asks for any of them."""

    folder: Path
    policy: Path
    up: ServedWitness
    down: str
    """Where the second would listen."""

    def settings(self, database: Database, data_dir: Path) -> dict[str, str]:
        return {
            **on_database(database, data_dir),
            "LEDGER_NOTARY_ORIGIN": ORIGIN,
            "LEDGER_NOTARY_KEY": b64encode(SEED).decode(),
            "LEDGER_WITNESS_POLICY": str(self.policy),
            "LEDGER_WITNESS_INTERVAL": "0.1",
        }


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with ExitStack() as stack:
        up = stack.enter_context(served_witness(tmp_path / "north", VKEY, name="north"))
        south = f"127.0.0.1:{stack.enter_context(held_port())}"
        with served_witness(tmp_path / "south", VKEY, name="south", listen=south) as down:
            down.stop()
        policy = tmp_path / "policy.txt"
        policy.write_text(
            f"log {VKEY}\n"
            f"witness north {up.vkey} {up.url}\n"
            f"witness south {down.vkey} {down.url}/\n"
            "group any-of-two any north south\n"
            "quorum any-of-two\n"
        )
        yield Site(folder=tmp_path, policy=policy, up=up, down=south)


def until(holds: Callable[[], bool]) -> None:
    """Look until it is so; the service is another process, and goes at its own pace."""
    deadline = time.monotonic() + HANG_GUARD
    while not holds():
        assert time.monotonic() < deadline, "it never came to that"
        time.sleep(0.05)


def gauge(running: Service, name: str, **labels: str) -> float | None:
    with running.client() as client:
        text = client.get("/metrics").text
    wanted = "".join(f'[^}}]*{label}="{value}"' for label, value in labels.items())
    found = re.search(rf"^{name}(?:_\w+)?\{{{wanted}[^}}]*\}} (\S+)$", text, re.MULTILINE)
    return None if found is None else float(found[1])


def degraded_of(running: Service) -> list[str]:
    with running.client() as client:
        return list(client.get("/health/ready").json()["degraded"])


def newest(database: Database) -> tuple[int, bytes]:
    """The size of the newest checkpoint, and its note with all there is below it."""

    async def read() -> tuple[int, bytes]:
        conn = await asyncpg.connect(database.service_url)
        try:
            sealed = await last_checkpoint(conn, 1)
            if sealed is None:
                return 0, b""
            return sealed.size, (await cosigned_note(conn, 1, sealed)).encode()
        finally:
            await conn.close()

    return asyncio.run(read())


def accepted_by(site: Site, database: Database) -> Checkpoint | None:
    """The newest checkpoint, if the policy accepts it as it is served now."""
    _, note = newest(database)
    if note.count(b"\n\xe2\x80\x94 ") < 2:
        return None
    return accepted(parse_policy(site.policy.read_bytes()), parse_checkpoint(note)).checkpoint


@contextmanager
def copied(postgres: Cluster, database: Database) -> Iterator[Database]:
    """The database as a restored dump holds it; nobody may be connected to the original."""
    with asyncio.Runner() as runner:
        fresh = postgres.fresh(template=database.name)
        copy = runner.run(fresh.__aenter__())
        try:
            yield copy
        finally:
            runner.run(fresh.__aexit__(None, None, None))


def test_one_of_two_witnesses_is_a_quorum_and_the_other_joins_when_it_is_back(
    site: Site, database: Database, tmp_path: Path
):
    settings = site.settings(database, tmp_path / "data")
    with service(settings=settings) as running:
        running.register("sam", "analyst")
        until(lambda: accepted_by(site, database) is not None)
        assert degraded_of(running) == []
        assert (gauge(running, "ledger_witness_quorum_size") or 0) > 0
        assert (gauge(running, "ledger_witness_failures", witness="south") or 0) > 0
        with running.client() as client:
            served = client.get("/tlog/checkpoint").content
        assert served == newest(database)[1]

        with served_witness(site.folder / "south", VKEY, name="south", listen=site.down) as south:
            running.register("ana", "analyst")
            until(lambda: f"log {ORIGIN} {newest(database)[0]}\n" in south.introduction())
            until(lambda: newest(database)[1].count(b"\n\xe2\x80\x94 ") == 3)


def test_an_auditor_verifies_an_export_with_the_quorum_and_the_stamps_that_were_there(
    site: Site, database: Database, tmp_path: Path
):
    authority = authority_in(tmp_path / "authority")
    settings = site.settings(database, tmp_path / "data")
    with stamping(authority) as url, service(settings={**settings, "LEDGER_TIMESTAMP_URL": url}) as running:
        until(lambda: accepted_by(site, database) is not None)
        until(lambda: (gauge(running, "ledger_timestamp_last_size", authority="127.0.0.1") or 0) > 0)
    bundle = tmp_path / "bundle"
    exported = ledger("audit", "export", "-o", str(bundle), "--tier", "envelope", settings=settings)
    assert exported.returncode == 0, exported.stderr

    certificate = ("--tsa", str(authority.certificate))
    verified = ledger("audit", "verify", str(bundle), "--policy", str(site.policy), "--json", *certificate)
    assert verified.returncode == 0, verified.stdout + verified.stderr
    assert len(json.loads(verified.stdout)["stamps"]) == 1

    stricter = tmp_path / "stricter.txt"
    stricter.write_text(site.policy.read_text().replace("any-of-two any", "any-of-two all"))
    refused = ledger("audit", "verify", str(bundle), "--policy", str(stricter))
    assert refused.returncode == 4, refused.stdout + refused.stderr

    other = authority_in(tmp_path / "another")
    doubted = ledger(
        "audit", "verify", str(bundle), "--policy", str(site.policy), "--tsa", str(other.certificate)
    )
    assert doubted.returncode == 2, doubted.stdout + doubted.stderr


def test_a_restored_backup_gets_no_cosignature_and_says_so(
    site: Site, database: Database, postgres: Cluster, tmp_path: Path
):
    data_dir = tmp_path / "data"
    with service(settings=site.settings(database, data_dir)) as running:
        until(lambda: accepted_by(site, database) is not None)
    backup_of_folder = tmp_path / "backup"
    shutil.copytree(data_dir, backup_of_folder)  # whoever restores the guard too gets past it
    before, _ = newest(database)
    with copied(postgres, database) as copy:
        with service(settings=site.settings(database, data_dir)) as running:
            running.register("sam", "analyst")
            until(lambda: newest(database)[0] > before and accepted_by(site, database) is not None)

        with service(settings=site.settings(copy, backup_of_folder)) as forked:
            for name in ("eve", "mallory", "trudy"):
                forked.register(name, "analyst")
            until(lambda: newest(copy)[0] > newest(database)[0])
            until(lambda: "witness-forked" in degraded_of(forked))
            assert gauge(forked, "ledger_witness_forked", witness="north") == 1.0
            assert newest(copy)[1].count(b"\n\xe2\x80\x94 ") == 1
        assert "witness.forked" in forked.output.rest()
    assert f"log {ORIGIN} {newest(database)[0]}\n" in site.up.introduction()


def test_a_policy_that_cannot_be_read_keeps_the_service_from_starting(database: Database, tmp_path: Path):
    settings = {**on_database(database, tmp_path), "LEDGER_WITNESS_POLICY": str(tmp_path / "policy.txt")}
    refused = ledger("serve", settings={**settings, "LEDGER_PORT": "0"})
    assert refused.returncode == 1
    assert "LEDGER_WITNESS_POLICY" in refused.stderr
    assert "cannot be read: no such file" in refused.stderr
