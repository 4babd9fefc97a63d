"""What docs/scaling.md promises of several ledgers and several servers, tried on one machine."""

from collections.abc import AsyncIterator
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest

from ledger.store.ledger import Ledger
from ledger.store.pool import DatabaseUnreachable
from ledger.store.streams import append, draft, read_stream
from tests.support.databases import Database
from tests.support.events import an_event, by_somebody, new_stream

ANOTHER = """
insert into ledger.ledger_head values (2);
insert into ledger.ledger_identity (ledger_id, namespace, request_key)
select 2, gen_random_uuid(), request_key from ledger.ledger_identity where ledger_id = 1
"""


@pytest.fixture
async def another(database: Database) -> AsyncIterator[Ledger]:
    """A second ledger in the database of the first."""
    owner = await asyncpg.connect(database.owner_url)
    await owner.execute(ANOTHER)
    await owner.close()
    async with await Ledger.open(database.service_url, ledger_id=2) as opened:
        yield opened


def with_a_dead_server_first(url: str) -> str:
    """The same database, by an address of two servers, the first of which is not there."""
    split = urlsplit(url)
    query = split.query.replace("host=", "host=%2Fnowhere,").replace("port=5432", "port=5432,5432")
    login, _, place = split.netloc.rpartition("@")
    netloc = f"{login}@127.0.0.1:1,{place}" if place else split.netloc
    wanted = "target_session_attrs=read-write"
    query = query.replace("target_session_attrs=any", wanted) if "target_session" in query else wanted
    return urlunsplit(split._replace(netloc=netloc, query=query))


async def test_two_ledgers_in_one_database_do_not_meet(ledger: Ledger, another: Ledger) -> None:
    """The same stream, the same events: in each they are the first."""
    same = draft(new_stream(), [an_event(), an_event()], by_somebody())
    here, there = await append(ledger, same), await append(another, same)
    await append(another, draft(new_stream(), [an_event()], by_somebody()))

    assert (here.first_position, there.first_position) == (1, 1)
    assert (await ledger.head(), await another.head()) == (2, 3)
    assert len((await read_stream(another, same.stream)).events) == 2


async def test_of_several_servers_the_one_that_writes_is_found(database: Database) -> None:
    async with await Ledger.open(with_a_dead_server_first(database.service_url)) as opened:
        appended = await append(opened, draft(new_stream(), [an_event()], by_somebody()))

    assert appended.first_position == 1


async def test_a_server_that_only_reads_is_not_taken_for_the_one_that_writes(database: Database) -> None:
    owner = await asyncpg.connect(database.owner_url)
    await owner.execute(f"alter database {database.name} set default_transaction_read_only = on")
    await owner.close()

    with pytest.raises(DatabaseUnreachable):
        await Ledger.open(with_a_dead_server_first(database.service_url))
