"""Looking for events: what is found is what a look at every event finds, whatever the windows, while others write."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import asyncpg
import pytest
import pytest_asyncio
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from ledger.domain.ids import CommandId, Position, StreamName
from ledger.store import findings, relations
from ledger.store.findings import Aim, Sought, aim, find_page
from ledger.store.ledger import Ledger
from ledger.store.streams import Stored, append, draft, read_stream
from tests.support.databases import Cluster
from tests.support.events import an_event, by_somebody, new_stream
from tests.support.examples import thorough

together = pytest.mark.asyncio(loop_scope="module")
START_OF_TIME = datetime(2026, 3, 1, tzinfo=UTC)
# Sixty thousand events; every fifteen thousandth is rare. Clocks differ: every seventh is three seconds behind.
FILL = r"""
insert into ledger.events (
    ledger_id, position, stream, version, type, schema_version, event_id, recorded_at, actor, command_id,
    causation_id, correlation_id, envelope, salt, payload)
select 1, n, 'decision-' || n / 4, n % 4 + 1, case when n % 15000 = 77 then 'rare' else 'type-' || n % 5 end, 1,
       ('00000000-0000-4000-8000-' || lpad(to_hex(n), 12, '0'))::uuid,
       timestamptz '2026-03-01 00:00:00Z' + n * interval '1 second'
           - case when n % 7 = 0 then interval '3 seconds' else interval '0' end,
       case when n % 15000 = 78 then 'rare-actor' else 'actor-' || n % 11 end, gen_random_uuid(),
       case when n % 15000 = 79 then ('00000000-0000-4000-9000-' || lpad(to_hex(n % 15000), 12, '0'))::uuid end,
       md5((n / 3)::text), convert_to(repeat('e', 400), 'UTF8'), decode(repeat('00', 16), 'hex'),
       convert_to(case when n % 20000 = 80 then '{"notes":"The \"Beacon\"\nof ' || n || '"}' else '{"other":"beacon"}' end,
                  'UTF8')
from generate_series(1, 60000) n
"""
HEAD = Position(60_000)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def ledger(postgres: Cluster) -> AsyncIterator[Ledger]:
    """A ledger with a lot in it."""
    async with postgres.fresh() as database:
        owner = await asyncpg.connect(database.owner_url)
        await owner.execute(FILL)
        await owner.execute("vacuum analyze ledger.events")
        await owner.close()
        async with await Ledger.open(database.service_url) as opened:
            yield opened


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def log(ledger: Ledger) -> list[Stored]:
    """The first thousand events, as a look at every one gives them."""
    aimed = await aim(ledger, Sought(last=Position(1000)), HEAD)
    return list((await find_page(ledger, aimed, behind=None, limit=1000)).events)


async def every(ledger: Ledger, aimed: Aim, limit: int) -> list[Stored]:
    found: list[Stored] = []
    page = await find_page(ledger, aimed, behind=None, limit=limit)
    while True:
        assert len(page.events) <= limit
        found += page.events
        if page.next is None:
            return found
        page = await find_page(ledger, aimed, behind=page.next, limit=limit)


soughts = st.builds(
    Sought,
    types=st.none() | st.lists(st.sampled_from(["type-0", "type-3", "rare", "no"]), max_size=2).map(tuple),
    stream=st.none() | st.none() | st.integers(0, 300).map(lambda n: StreamName(f"decision-{n}")),
    actor=st.none() | st.none() | st.sampled_from(["actor-0", "rare-actor", "nobody"]),
    since=st.none() | st.integers(-5, 1010).map(lambda n: START_OF_TIME + timedelta(seconds=n)),
    until=st.none() | st.integers(-5, 1010).map(lambda n: START_OF_TIME + timedelta(seconds=n)),
    first=st.none() | st.integers(1, 1010).map(Position),
    last=st.integers(1, 1000).map(Position),
    words=st.none() | st.none() | st.sampled_from(["beacon", 'the "BEACON"\nof 80', "of"]),
    is_descending=st.booleans(),
)


def fits(event: Stored, sought: Sought) -> bool:
    notes = json.loads(event.payload or b"").get("notes", "")
    return (
        (sought.types is None or event.type in sought.types)
        and sought.stream in {None, event.stream}
        and sought.actor in {None, event.actor}
        and (sought.since is None or event.recorded_at >= sought.since)
        and (sought.until is None or event.recorded_at < sought.until)
        and (sought.first or 1) <= event.position <= (sought.last or HEAD)
        and (sought.words is None or sought.words.lower() in notes.lower())
    )


@together
@thorough(150, suppress=(HealthCheck.function_scoped_fixture,))
@given(sought=soughts, limit=st.integers(1, 200), window=st.integers(1, 400), most=st.integers(1, 1500))
async def test_what_is_found_is_what_a_look_at_every_event_finds(
    ledger: Ledger, log: list[Stored], sought: Sought, *, limit: int, window: int, most: int
) -> None:
    expected = [event.position for event in log if fits(event, sought)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(findings, "FIRST_WINDOW", window)
        patch.setattr(findings, "WIDEST_WINDOW", window * 3)
        patch.setattr(findings, "WINDOW_OF_WORDS", window)
        patch.setattr(findings, "MOST_LOOKED_THROUGH", most)
        patch.setattr(findings, "MOST_READ", most)
        found = await every(ledger, await aim(ledger, sought, HEAD), limit)

    assert [event.position for event in found] == (expected[::-1] if sought.is_descending else expected)


@together
async def test_rare_events_are_found_in_one_page_of_a_large_ledger(ledger: Ledger) -> None:
    rare = await every(ledger, await aim(ledger, Sought(types=("rare",)), HEAD), 100)
    actor = await every(ledger, await aim(ledger, Sought(actor="rare-actor"), HEAD), 100)
    worded = await every(ledger, await aim(ledger, Sought(words="the beacon"), HEAD), 100)
    quoted = await every(ledger, await aim(ledger, Sought(words='"BEACON"\nOF 20'), HEAD), 100)

    assert [event.position for event in rare] == [77, 15_077, 30_077, 45_077]
    assert [event.position for event in actor] == [78, 15_078, 30_078, 45_078]
    assert worded == []
    assert [event.position for event in quoted] == [20_080]


@together
async def test_a_command_that_never_was_has_no_events(ledger: Ledger) -> None:
    aimed = await aim(ledger, Sought(command=CommandId(uuid4())), HEAD)

    assert (await find_page(ledger, aimed, behind=None, limit=10)).events == ()
    assert aimed.bounds.is_empty()


@together
async def test_a_broken_payload_is_named_when_words_are_looked_for_in_it(
    ledger: Ledger, postgres: Cluster
) -> None:
    async with postgres.fresh() as database:
        owner = await asyncpg.connect(database.owner_url)
        await owner.execute(FILL.replace("60000", "20").replace('{"other":"beacon"}', '{"notes":"beacon'))
        await owner.close()
        async with await Ledger.open(database.service_url) as broken:
            aimed = await aim(broken, Sought(words="beacon"), Position(20))
            with pytest.raises(findings.UnreadablePayload):
                await find_page(broken, aimed, behind=None, limit=10)
            assert (
                len(
                    (
                        await find_page(
                            broken, await aim(broken, Sought(), Position(20)), behind=None, limit=99
                        )
                    ).events
                )
                == 20
            )


@together
async def test_pages_neither_overlap_nor_leave_anything_out_while_others_write(postgres: Cluster) -> None:
    async with postgres.fresh() as database, await Ledger.open(database.service_url) as ledger:
        writing = True

        async def write() -> None:
            stream = new_stream()
            while writing:
                found = await read_stream(ledger, stream.name)
                await append(ledger, draft(found, [an_event() for _ in range(3)], by_somebody()))

        writers = [asyncio.create_task(write()) for _ in range(4)]
        seen: list[Position] = []
        while len(seen) < 600:
            page = await find_page(
                ledger, await aim(ledger, Sought(), await ledger.head()), behind=Position(len(seen)), limit=7
            )
            seen += [event.position for event in page.events]
            assert page.next in {None, Position(len(seen))}
        head = await ledger.head()
        backwards = await every(ledger, await aim(ledger, Sought(is_descending=True), head), 50)
        writing = False
        await asyncio.gather(*writers)

    assert seen == list(range(1, len(seen) + 1))
    assert [event.position for event in backwards] == list(range(head, 0, -1))


@together
@pytest.mark.parametrize(
    ("statement", "arguments", "index"),
    [
        (findings.ASCENDING, "1, 0, 60000, array['rare'], null, null, null", "events_history_idx"),
        (findings.ASCENDING, "1, 0, 60000, null, null, 'rare-actor', null", "events_history_idx"),
        (findings.ASCENDING, "1, 0, 60000, null, null, null, md5('7')", "events_history_idx"),
        (findings.DESCENDING, "1, 0, 60000, array['rare'], null, null, null", "events_history_idx"),
        (findings.ASCENDING, "1, 0, 60000, array['type-0'], null, null, null", "events_pkey"),
        (findings.ASCENDING, "1, 0, 60000, null, null, null, null", "events_pkey"),
        (findings.ASCENDING, "1, 0, 60000, null, 'decision-7', null, null", "events_stream_version_key"),
        (relations.OF_TRACES, "1, 60000, array[md5('7')], 100", "events_history_idx"),
        (
            relations.CAUSED_BY,
            "1, 60000, array['00000000-0000-4000-9000-00000000004f'::uuid], 9",
            "events_history_idx",
        ),
        (relations.NAMED, "1, array['00000000-0000-4000-8000-00000000004f'::uuid]", "events_event_id_key"),
        (findings.FIRST_FROM, "1, '2026-03-01 10:00:00Z', '10 minutes'", "events_recorded_at_idx"),
    ],
)
async def test_it_is_found_by_index(ledger: Ledger, statement: str, arguments: str, index: str) -> None:
    rest = ", null, null, null, null, null, 100, 4000000, null" if "$15" in statement else ""
    async with ledger.pool.acquire() as conn, conn.transaction():
        await conn.execute(findings.PLAN_ANEW)
        await conn.execute(f"prepare asked as {statement}")
        plan = json.loads(await conn.fetchval(f"explain (format json) execute asked({arguments}{rest})"))
        await conn.execute("deallocate asked")

    nodes = list(_nodes(plan[0]["Plan"]))
    assert index in [node.get("Index Name") for node in nodes]
    assert "Seq Scan" not in [node["Node Type"] for node in nodes]


def _nodes(plan: dict[str, object]) -> Iterator[dict[str, object]]:
    yield plan
    for child in plan.get("Plans", []):
        yield from _nodes(child)


@together
async def test_traces_causes_and_ids_lead_to_events(ledger: Ledger) -> None:
    cause = UUID("00000000-0000-4000-9000-00000000004f")
    async with ledger.pool.acquire() as conn:
        trace = await conn.fetchval("select md5('7')")
        traced = await relations.of_traces(conn, 1, [trace], upto=HEAD, limit=100)
        cut = await relations.of_traces(conn, 1, [trace], upto=Position(22), limit=100)
        effects = await relations.caused_by(conn, 1, [cause], upto=HEAD, limit=3)

    assert [event.position for event in traced] == [21, 22, 23]
    assert [event.position for event in cut] == [21, 22]
    assert [event.position for event in effects] == [79, 15_079, 30_079]
