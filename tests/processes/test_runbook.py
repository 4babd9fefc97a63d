"""docs/operations/projections.md, followed word for word on a running service under load."""

import asyncio
import re
import shlex
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid5

import asyncpg
import pytest

from ledger.cli.commands import app
from tests.support.databases import Database
from tests.support.http import submission, verdict
from tests.support.runbook import ROOT, carry_out, sections
from tests.support.service import Service, on_database, service

RUNBOOK = sections(ROOT / "docs" / "operations" / "projections.md")
LEDGER = ".venv/bin/ledger "
COMMANDS = [
    line
    for blocks in RUNBOOK.values()
    for block in blocks
    for line in block.splitlines()
    if line.startswith(LEDGER)
]
METRIC = re.compile(r'ledger_projection_active_failures\{.*projection="decisions"\} 1\.0')
FAILURES = "select failure_id from views.failures where state <> 'resolved'"
BREAK = "alter table views.decisions_v2 add constraint broken check (stream <> '{}')"
MEND = "alter table views.decisions_v2 drop constraint broken"
RETRIES_OVER = "update views.failures set state = 'waiting', next_retry_at = null where state = 'retrying'"


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_of_the_runbook_can_be_given(command: str) -> None:
    words = shlex.split(
        command.removeprefix(LEDGER).replace("$FAILURE", "01a1fe4f-2309-726c-a268-f2e8ceacf5ef")
    )

    app.parse_args(words, exit_on_error=False, print_error=False)


def in_database(database: Database, statement: str) -> list[asyncpg.Record]:
    async def run() -> list[asyncpg.Record]:
        conn = await asyncpg.connect(database.service_url)
        try:
            return list(await conn.fetch(statement))
        finally:
            await conn.close()

    return asyncio.run(run())


class Load:
    """Clients that submit and decide all the time, and what they were answered."""

    def __init__(self, running: Service) -> None:
        self.answers = Counter[int]()
        self._running, self._stop = running, threading.Event()
        running.register("ana", "analyst")
        self._admin, self._analyst = running.login(), running.login("ana")
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        number = 0
        while not self._stop.is_set():
            number += 1
            self.submit(f"load-{number}")
            if number % 3 == 0:
                self.decide(f"load-{number}")

    def submit(self, analysis_id: str) -> None:
        with self._running.client(self._admin) as client:
            answer = client.post("/api/decisions/submit", json=submission(analysis_id))
        self.answers[answer.status_code] += 1

    def decide(self, analysis_id: str) -> None:
        with self._running.client(self._analyst) as client:
            answer = client.post(f"/api/decisions/{analysis_id}/decide", json=verdict(analysis_id))
        self.answers[answer.status_code] += 1

    @contextmanager
    def going_on(self) -> Iterator[None]:
        self._thread.start()
        try:
            yield
        finally:
            self._stop.set()
            self._thread.join()


def break_one(database: Database, load: Load, analysis_id: str) -> str:
    """Spoil the table on purpose, for one decision of the load that is submitted and decided then."""
    load.submit(f"{analysis_id}-before")
    namespace = in_database(database, "select namespace from ledger.ledger_identity where ledger_id = 1")
    stream = f"decision-{uuid5(namespace[0]['namespace'], analysis_id)}"
    in_database(database, BREAK.format(stream))
    load.submit(analysis_id)
    load.decide(analysis_id)
    while not in_database(database, FAILURES):
        pass
    in_database(database, RETRIES_OVER)
    return stream


@pytest.mark.long
@pytest.mark.processes
def test_who_follows_the_runbook_mends_a_projection_that_was_broken_on_purpose(
    database: Database, tmp_path: Path
) -> None:
    settings = on_database(database, tmp_path / "ledger")
    with service(settings=settings) as running:
        load = Load(running)
        with load.going_on():
            break_one(database, load, "one")
            _something_is_parked(database, settings, running)
            break_one(database, load, "two")
            _an_event_to_give_up(database, settings)
            in_database(database, "update views.decisions_v2 set level = 7 where ledger_id = 1")
            _rows_are_wrong(settings)
            _pausing_and_making_it_anew(settings, running)
    assert load.answers.keys() == {200}, "commands never stopped"
    assert load.answers[200] > 100


def _something_is_parked(database: Database, settings: dict[str, str], running: Service) -> None:
    (status,) = RUNBOOK["What to look at first"]
    said = carry_out(status, settings)
    assert said.exit_code == 2
    assert "degraded" in said.text
    with running.client() as client:
        assert client.get("/health/ready").status_code == 200
        assert METRIC.search(client.get("/metrics").text)
    look, dry, do = RUNBOOK["Something is parked"]
    said = carry_out(look, settings)
    assert 'violates check constraint "broken"' in said.text, "the cause is found"
    assert "by a person" in said.text
    failure = str(in_database(database, FAILURES)[0]["failure_id"])
    assert "would fail: CheckViolationError" in carry_out(dry, settings, FAILURE=failure).text
    in_database(database, MEND)
    said = carry_out(do, settings, FAILURE=failure)
    assert said.exit_code == 0, said.text
    assert "It would be resolved" in said.text
    assert "Applied, with what waited behind it" in said.text
    verified = carry_out(LEDGER + "projections verify decisions --all", settings)
    assert verified.exit_code == 0, verified.text
    assert carry_out(status, settings).exit_code == 0


def _an_event_to_give_up(database: Database, settings: dict[str, str]) -> None:
    skip, fix, undo = RUNBOOK["An event to give up"]
    said = carry_out(skip, settings)
    assert (said.exit_code, "Skipped; what waited behind it has had its turn" in said.text) == (0, True), (
        said.text
    )
    said = carry_out(fix, settings)
    assert (said.exit_code, "Taken as mended by hand" in said.text) == (0, True), said.text
    in_database(database, MEND)
    said = carry_out(undo, settings)
    assert said.exit_code == 0, said.text
    assert " 0 skipped, 0 parked" in said.text


def _rows_are_wrong(settings: dict[str, str]) -> None:
    (block,) = RUNBOOK["Rows are wrong"]
    said = carry_out(block, settings)
    assert said.exit_code == 0, said.text
    assert "rows would change" in said.text


def _pausing_and_making_it_anew(settings: dict[str, str], running: Service) -> None:
    (pausing,) = RUNBOOK["Pausing"]
    said = carry_out(pausing, settings)
    assert said.exit_code == 0, said.text
    assert " paused " in said.text
    (look,) = RUNBOOK["Nothing is applied"]
    assert '"overall_status": "healthy"' in carry_out(look, settings).text
    (anew,) = RUNBOOK["Making it anew"]
    said = carry_out(anew, settings)
    assert said.exit_code == 0, said.text
