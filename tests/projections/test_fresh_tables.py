"""On tables that nobody has analyzed, or only while they were empty, a batch reads its own rows, however early it was planned."""

import asyncpg
import pytest

from ledger.domain.event import Event
from ledger.domain.ids import DecisionId, StreamName
from ledger.projections.checkpoints import lock, read_checkpoint
from ledger.projections.projection import Feed
from ledger.projections.views.decisions import DECISIONS
from ledger.projections.views.queue import QUEUE
from ledger.projections.views.statistics import STATISTICS
from ledger.store.ledger import Ledger
from tests.builders import claimed, escalated, resolved, submitted
from tests.projections.given import as_stored
from tests.support.databases import Database

TOGETHER = 25
ROUNDS = 40
# $1 table
READ = """
select coalesce(t.seq_tup_read, 0) + sum(i.idx_tup_read)
from pg_stat_user_tables t join pg_stat_user_indexes i using (relid)
where t.schemaname = 'views' and t.relname = $1
group by t.seq_tup_read
"""


def grown() -> list[tuple[StreamName, Event]]:
    """Round by round: so many are submitted, then claimed, then escalated, and every other one is resolved."""
    events: list[tuple[StreamName, Event]] = []
    for turn in range(ROUNDS):
        ids = [DecisionId(f"{turn}-{number}") for number in range(TOGETHER)]
        streams = [StreamName(f"decision-{decision_id}") for decision_id in ids]
        asked = [submitted(decision_id=decision_id) for decision_id in ids]
        ended = [resolved() if number % 2 else claimed() for number in range(TOGETHER)]
        for step in (asked, [claimed()] * TOGETHER, [escalated()] * TOGETHER, ended):
            events += zip(streams, step, strict=True)
    return events


@pytest.mark.parametrize("feed", [QUEUE, DECISIONS, STATISTICS], ids=lambda feed: feed.name)
@pytest.mark.parametrize("before", ["select 1", "vacuum analyze"], ids=["unknown", "known-to-be-empty"])
async def test_a_batch_reads_its_own_rows(
    ledger: Ledger, database: Database, feed: Feed, before: str
) -> None:
    wanted = [stored for stored in as_stored(grown()) if stored.type in feed.wanted()]
    conn = await asyncpg.connect(database.service_url)
    await conn.execute(before)
    await read_checkpoint(conn, ledger.ledger_id, feed)
    for first in range(0, len(wanted), TOGETHER):  # one step of a round: what it moves was opened before
        async with conn.transaction():
            await lock(conn, ledger.ledger_id, feed, is_lazy=True)
            await feed.feed(conn, ledger.ledger_id, wanted[first : first + TOGETHER])
    await conn.execute("select pg_catalog.pg_stat_force_next_flush()")
    read = await conn.fetchval(READ, feed.tables[0])
    await conn.close()

    assert len(wanted) / 2 < read < 10 * len(wanted)
