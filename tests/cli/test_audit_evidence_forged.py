"""Evidence of a decision whose rows were changed in the database: it is refused, and nothing is written."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import pytest

from ledger.cli.evidence.command import not_written
from ledger.verifier.verdict import Tampered, Verdict
from tests.cli.test_audit_evidence import desk, folder_of, home
from tests.support.databases import Database
from tests.support.desk import Desk

together = pytest.mark.asyncio(loop_scope="module")
__all__ = ["desk", "home"]

WRITES = {
    "payload": "update ledger.events set payload = $2 where position = $1",
    "actor": "update ledger.events set actor = $2 where position = $1",
    "envelope": "update ledger.events set envelope = $2 where position = $1",
}
FORGERIES = {
    "payload": ("payload", b"Quiet Heron", b"Loud Heron", "payload-differs"),
    "no JSON any more": ("payload", b"{", b"[", "payload-differs"),
    "column": ("actor", "-", "_", "column-differs"),
    "envelope": ("envelope", b'"recorded_at":"2', b'"recorded_at":"1', "entry-differs"),
}


@asynccontextmanager
async def forged(home: Database, position: int, column: str, old: object, new: object) -> AsyncIterator[None]:
    """Change a row as only the owner of the tables can, and set it right again."""
    owner = await asyncpg.connect(home.owner_url)
    write = WRITES[column]
    try:
        await owner.execute("set session_replication_role = replica")
        row = await owner.fetchrow("select * from ledger.events where position = $1", position)
        changed = row[column].replace(old, new, 1)
        assert changed != row[column]
        await owner.execute(write, position, changed)
        yield
        await owner.execute(write, position, row[column])
    finally:
        await owner.close()


def is_empty(folder: Path) -> bool:
    return not any(folder.iterdir())


@together
@pytest.mark.parametrize("forgery", FORGERIES)
async def test_what_was_changed_in_the_database_is_no_evidence(
    desk: Desk, home: Database, tmp_path: Path, forgery: str
):
    column, old, new, code = FORGERIES[forgery]
    position = await desk.api.ledger.pool.fetchval(
        "select position from ledger.events where stream = $1 and version = 1", desk.stream("CASE-1")
    )
    before = await desk.api.ledger.head()
    async with forged(home, position, column, old, new):
        with pytest.raises(Tampered) as refused:
            await folder_of(desk, "CASE-1", tmp_path / "case")
    assert (refused.value.code, refused.value.context["position"]) == (code, position)
    assert is_empty(tmp_path)
    assert await desk.api.ledger.head() == before


def test_the_command_names_what_was_changed_and_ends_as_tampered(capsys: pytest.CaptureFixture[str]):
    assert not_written(Tampered(position=7)) == Verdict.TAMPERED == 2
    told = capsys.readouterr().out
    assert told.startswith("TAMPERED")
    assert "position: 7" in told
    assert "ledger audit verify --database" in told
