"""Queries that many people wait for use an index, however much there is."""

import json
from collections.abc import AsyncIterator, Iterator

import asyncpg
import pytest
import pytest_asyncio

from ledger.projections import kind_rows, picking, policy_rows, statistics_detail
from ledger.projections.views import decisions, directory, queue, sessions, statistics, timers
from ledger.reactions import releases
from tests.support.databases import Cluster, Database

FILL = """
insert into views.queue_v2 (
    ledger_id, stream, analysis_id, kind, kind_version, asked_priority, priority, rank, position, submission,
    subject_digest, created_at, submitted_by, submitted_at, four_eyes, level, groups, escalators, voters,
    information_seconds, version, assigned_to, lease_id, holder, session, fencing_token, expires_at)
select 1, 'decision-' || n, 'a' || n, 'threat_analysis', 1, 'high', 'high', n % 4, n, repeat('x', 500), '', now(),
       gen_random_uuid(), now(), false, 0, '', '{}', '{}', 60, 1,
       case when n % 100 = 0 then gen_random_uuid() end,
       case when n % 50 = 0 then gen_random_uuid() end, case when n % 50 = 0 then gen_random_uuid() end,
       case when n % 50 = 0 then gen_random_uuid() end, case when n % 50 = 0 then 1 end,
       case when n % 50 = 0 then now() + interval '5 minutes' end
from generate_series(1, 5000) n;
insert into views.decisions_v2 (
    ledger_id, stream, analysis_id, submission, kind, kind_version, asked_priority, priority, created_at, submitted_by,
    submitted_at, information_seconds, subject_digest, level, groups, is_resolved, comments, version)
select 1, 'decision-' || n, 'a' || n, repeat('x', 500), 'threat_analysis', 1, 'high', 'high', now(),
       gen_random_uuid(), now(), 60, '', 0, '[]', false, 0, 1
from generate_series(1, 5000) n;
insert into views.statistics_v2
select 1, 'decision-' || n, 'threat_analysis', 'high', 0, null, gen_random_uuid(), now() - n * interval '10 minutes',
       null, null, null, true, case when n > 100 then 'approved' end, case when n > 100 then now() end, false, null, null
from generate_series(1, 5000) n;
insert into views.statistics_acts_v2
select 1, 'decision-' || n, 1, 'threat_analysis', gen_random_uuid(), 'claim', gen_random_uuid(),
       now() - n * interval '10 minutes', null, null
from generate_series(1, 5000) n;
insert into views.sessions_v1
select 1, 'session-' || n, gen_random_uuid(), ('00000000-0000-0000-0000-' || lpad((n % 200)::text, 12, '0'))::uuid,
       0, 60, now(), now() + n * interval '1 second', case when n < 200 then 'open' else 'ended' end,
       case when n < 200 then null else now() end
from generate_series(1, 5000) n;
insert into views.kinds_v1
select 1, 'kind-' || n, 'kind_' || n, 'A kind', 1, false, now(), now(), 1 from generate_series(1, 5000) n;
insert into views.policies_v1
select 1, 'policy-' || n, 'kind_' || n, '{}', null, null, null, 0, now(), 1 from generate_series(1, 5000) n;
insert into views.directory_v2
select 1, 'account-' || n, gen_random_uuid(), case when n % 500 = 0 then 'admin' else 'analyst' end, now(),
       true, false, case when n % 50 = 0 then array['tier-' || n % 100] else '{}' end, 0, null, false
from generate_series(1, 5000) n;
insert into views.timers_v1
select 1, 'decision-' || n, null, null, null, 0, false, false, false, null,
       case when n % 5 > 0 then now() + (n - 100) * interval '1 minute' end
from generate_series(1, 5000) n;
"""
EVENTS = """
insert into ledger.events (
    ledger_id, position, stream, version, type, schema_version, event_id, recorded_at, actor, command_id,
    correlation_id, envelope, salt, payload)
select 1, n, 'decision-' || n / 5, n % 5 + 1, 'x', 1, gen_random_uuid(), now(), 'system', gen_random_uuid(),
       '', '', decode(repeat('00', 16), 'hex'), ''
from generate_series(1, 5000) n;
"""
A_DAY = "1, now() - interval '1 day', now(), null, null"
SOMEBODY = "'00000000-0000-0000-0000-000000000007'::uuid"
NEXT = f"1, now(), {SOMEBODY}, '{{night}}', false, null, 0, 3, '{{}}', {SOMEBODY}, 10"


TABLES = (
    "queue_v2",
    "decisions_v2",
    "statistics_v2",
    "statistics_acts_v2",
    "sessions_v1",
    "directory_v2",
    "timers_v1",
    "kinds_v1",
    "policies_v1",
)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def filled(postgres: Cluster) -> AsyncIterator[Database]:
    """Views with a lot in them, which no test changes."""
    async with postgres.fresh() as database:
        owner = await asyncpg.connect(database.owner_url)
        await owner.execute(EVENTS)
        await owner.execute("vacuum analyze ledger.events")
        await owner.close()
        service = await asyncpg.connect(database.service_url)
        await service.execute(FILL)
        for table in TABLES:
            await service.execute(f"vacuum analyze views.{table}")
        await service.close()
        yield database


@pytest.fixture
async def conn(filled: Database) -> AsyncIterator[asyncpg.Connection]:
    """A connection of the test's own to what is filled."""
    conn = await asyncpg.connect(filled.service_url)
    try:
        yield conn
    finally:
        await conn.close()


@pytest.mark.parametrize(
    ("statement", "arguments", "index"),
    [
        (queue.PAGE, "1, 0, 0, 3, 50, now()", "queue_v2_order_idx"),
        (picking.RESERVE, NEXT, "queue_v2_ready_idx"),
        (picking.RESERVE, NEXT, "queue_v2_later_idx"),
        (picking.RESERVE, NEXT, "queue_v2_assigned_idx"),
        (picking.HELD_BY, f"1, {SOMEBODY}, now(), ''", "queue_v2_holder_idx"),
        (releases.HELD, f"1, array[{SOMEBODY}]", "queue_v2_session_idx"),
        (queue.HELD, f"1, 0, 0, 3, 50, now(), null, null, {SOMEBODY}, null", "queue_v2_holder_idx"),
        (queue.ASSIGNED, f"1, 0, 0, 3, 50, now(), null, null, {SOMEBODY}", "queue_v2_assigned_idx"),
        (decisions.FIND, "1, array['decision-7']", "decisions_v2_pkey"),
        (decisions.FIND, "1, array['decision-7']", "events_stream_version_key"),
        (statistics.SUMMARY, "1, now(), null", "statistics_v2_open_idx"),
        (statistics.SUMMARY, "1, now(), null", "statistics_v2_submitted_idx"),
        (statistics_detail.PENDING, "1, now(), null, null", "statistics_v2_open_idx"),
        (statistics_detail.SUBMITTED, A_DAY, "statistics_v2_submitted_idx"),
        (statistics_detail.CLAIMED, A_DAY, "statistics_v2_claimed_idx"),
        (statistics_detail.ENDED, A_DAY, "statistics_v2_ended_idx"),
        (statistics_detail.ESCALATED, A_DAY, "statistics_acts_v2_at_idx"),
        (statistics_detail.BY_PERSON, A_DAY.removesuffix(", null"), "statistics_acts_v2_at_idx"),
        (sessions.OPEN_OF, f"1, {SOMEBODY}", "sessions_v1_open_idx"),
        (sessions.LAST_LOGIN, f"1, {SOMEBODY}", "sessions_v1_login_idx"),
        (directory.FIND, f"1, {SOMEBODY}", "directory_v2_person_key"),
        (directory.PAGE, "1, null, 50", "directory_v2_person_key"),
        (directory.OF, f"1, array[{SOMEBODY}]", "directory_v2_person_key"),
        (directory.GROUPS, "1, '', 50", "directory_v2_groups_idx"),
        (kind_rows.PAGE, "1, 'kind_7', 50", "kinds_v1_kind_idx"),
        (policy_rows.PAGE, "1, 'kind_7', 50, 'threat_analysis'", "kinds_v1_kind_idx"),
        (policy_rows.PAGE, "1, 'kind_7', 50, 'threat_analysis'", "policies_v1_kind_idx"),
        (timers.DUE, "1, now(), '-infinity', '', 200", "timers_v1_due_idx"),
        (timers.NEXT, "1, now()", "timers_v1_due_idx"),
        (timers.BACKLOG, "1, now(), 1000", "timers_v1_due_idx"),
        (directory.ANOTHER_ACTIVE_ADMIN, f"1, {SOMEBODY}", "directory_v2_admins_idx"),
    ],
)
async def test_it_is_found_by_index(
    conn: asyncpg.Connection, statement: str, arguments: str, index: str
) -> None:
    if statement is not statistics.SUMMARY:  # whose moment says how much is recent: it is planned every time
        await conn.execute("set plan_cache_mode = force_generic_plan")
    await conn.execute(f"prepare asked as {statement}")
    plan = json.loads(await conn.fetchval(f"explain (format json) execute asked({arguments})"))
    nodes = list(_nodes(plan[0]["Plan"]))

    assert index in [node.get("Index Name") for node in nodes]
    scanned = [node.get("Relation Name") for node in nodes if node["Node Type"] == "Seq Scan"]
    assert not [table for table in scanned if statement is not statistics.SUMMARY]
    assert "Sort" not in [node["Node Type"] for node in nodes if statement is queue.PAGE]


async def test_a_page_of_the_queue_reads_a_page_of_the_index(conn: asyncpg.Connection) -> None:
    await conn.execute(f"prepare asked as {queue.PAGE}")
    plan = json.loads(
        await conn.fetchval("explain (analyze, format json) execute asked(1, 2, 2000, 2, 50, now())")
    )
    (scan,) = [node for node in _nodes(plan[0]["Plan"]) if "Index Name" in node]

    assert scan["Actual Rows"] == 50
    assert scan.get("Rows Removed by Filter", 0) == 0
    assert "rank" in scan["Index Cond"]
    assert "position" in scan["Index Cond"]


def _nodes(plan: dict[str, object]) -> Iterator[dict[str, object]]:
    yield plan
    for child in plan.get("Plans", []):
        yield from _nodes(child)
