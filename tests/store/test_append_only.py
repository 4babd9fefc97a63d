"""The service's own login cannot change history: by grants, not by good manners."""

import asyncpg
import pytest

from ledger.store.ledger import Ledger
from ledger.store.streams import append, draft
from tests.support.databases import Database
from tests.support.events import an_event, by_somebody, new_stream


@pytest.mark.parametrize(
    "statement",
    [
        "update ledger.events set payload = ''",
        "delete from ledger.events",
        "truncate ledger.events",
        "insert into ledger.events (ledger_id) values (1)",
        "delete from ledger.ledger_head",
        "insert into ledger.ledger_head values (2)",
        "update ledger.ledger_identity set request_key = request_key",
        "drop table ledger.events",
        "alter table ledger.events disable trigger all",
        "create table ledger.mine ()",
        "select 1 from ledger.ledger_head for update",
        "set session_replication_role = replica",
        "set role ledger_owner",
    ],
)
async def test_the_service_may_not(ledger: Ledger, statement: str) -> None:
    await append(ledger, draft(new_stream(), [an_event()], by_somebody()))

    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await ledger.pool.execute(statement)


async def test_nobody_else_may_append(ledger: Ledger) -> None:
    rights = await ledger.pool.fetch(
        "select proname from pg_proc where pronamespace = 'ledger'::regnamespace "
        "and has_function_privilege('public', oid, 'execute')"
    )

    assert rights == []


async def test_the_append_functions_trust_no_search_path(ledger: Ledger) -> None:
    rows = await ledger.pool.fetch(
        "select prosecdef, proconfig from pg_proc where pronamespace = 'ledger'::regnamespace"
    )

    assert len(rows) == 3
    for row in rows:
        assert row["prosecdef"]
        assert "search_path=pg_catalog, pg_temp" in row["proconfig"]


async def test_a_round_trip_through_jsonb_does_not_keep_the_bytes(ledger: Ledger) -> None:
    """So that nobody simplifies the payload to jsonb: what was hashed is the bytes."""
    await append(ledger, draft(new_stream(), [an_event()], by_somebody()))

    row = await ledger.pool.fetchrow(
        "select payload, convert_from(payload, 'UTF8')::jsonb::text as through_jsonb from ledger.events"
    )

    assert row is not None
    assert row["payload"].decode() != row["through_jsonb"]


async def test_commits_are_durable_whatever_the_database_says_by_default(database: Database) -> None:
    owner = await asyncpg.connect(database.owner_url)
    await owner.execute(f"alter database {database.name} set synchronous_commit = off")
    await owner.close()

    async with await Ledger.open(database.service_url) as opened:
        assert await opened.pool.fetchval("show synchronous_commit") == "on"
