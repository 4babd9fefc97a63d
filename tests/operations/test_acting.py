"""An act on a projection and its record commit together, once, whatever happens in between."""

import pytest
from msgspec.structs import replace

from ledger.domain.authority import AdminRequired, Role
from ledger.domain.errors import KeyReused
from ledger.domain.operations.commands import PauseProjection, RetryFailure
from ledger.domain.operations.decide import OPERATIONS, AlreadyPaused
from ledger.domain.operations.events import FailureRetried, OperationsEvent, ProjectionPaused
from ledger.identity.identity import Identity, utc_now
from ledger.operations.acting import Actor, Asked, act, act_and_tell
from ledger.projections.views.directory import DIRECTORY
from ledger.projections.views.queue import QUEUE
from ledger.store.envelope import Provenance
from ledger.store.ledger import Ledger
from ledger.store.pool import Connection
from ledger.store.streams import read_stream, recorded
from tests.builders.operations import CULPRIT, FAILURE
from tests.identity.house import admitted, asked_by, by_operator, principal
from tests.support.databases import Database
from tests.support.events import with_key


def the_operator(provenance: Provenance | None = None) -> Actor:
    return Actor(principal=None, provenance=provenance or by_operator(), clock=utc_now)


def pausing(asked: Asked) -> PauseProjection:
    return PauseProjection(
        now=asked.now,
        by=asked.by,
        projection=asked.projection,
        projection_version=asked.projection_version,
        reason="odd rows",
    )


def retrying(asked: Asked, applied: int) -> RetryFailure:
    return RetryFailure(
        now=asked.now,
        by=asked.by,
        projection=asked.projection,
        projection_version=asked.projection_version,
        reason="",
        failure=FAILURE,
        event=CULPRIT,
        is_resolved=True,
        events_applied=applied,
    )


@pytest.fixture
async def rows(ledger: Ledger) -> None:
    await ledger.pool.execute("create table views.rows (n integer)")


async def add_rows(conn: Connection) -> int:
    await conn.execute("insert into views.rows values (1), (2), (3)")
    return 3


async def add(conn: Connection) -> None:
    await add_rows(conn)


async def count(ledger: Ledger) -> int:
    return int(await ledger.pool.fetchval("select count(*) from views.rows"))


async def history(ledger: Ledger) -> list[OperationsEvent]:
    stream = await read_stream(ledger, ledger.operations_stream("queue", 2))
    return [recorded(stored, OPERATIONS.event_types).event for stored in stream.events]


async def test_an_act_of_the_operator_is_recorded(ledger: Ledger) -> None:
    handled = await act(ledger, QUEUE, pausing, the_operator())

    (event,) = await history(ledger)
    assert isinstance(event, ProjectionPaused)
    assert (event.by, event.reason, event.projection, event.projection_version) == (
        *(None, "odd rows", "queue", 2),
    )
    assert handled.events[0].actor == "operator"


async def test_an_act_of_an_administrator_is_recorded_with_who_it_was(
    ledger: Ledger, identity: Identity
) -> None:
    ada = await admitted(identity, "ada", role=Role.ADMIN)
    caller = await principal(identity, "ada")

    actor = Actor(principal=caller, provenance=asked_by(caller), clock=identity.clock)
    handled = await act(ledger, QUEUE, pausing, actor)

    (event,) = await history(ledger)
    assert isinstance(event, ProjectionPaused)
    assert event.by == ada
    assert handled.events[0].actor == str(ada)


async def test_an_analyst_does_nothing_to_a_projection(
    ledger: Ledger, identity: Identity, rows: None
) -> None:
    await admitted(identity, "ana")
    caller = await principal(identity, "ana")
    actor = Actor(principal=caller, provenance=asked_by(caller), clock=identity.clock)

    with pytest.raises(AdminRequired):
        await act(ledger, QUEUE, pausing, actor, alongside=add)
    with pytest.raises(AdminRequired):
        await act_and_tell(ledger, QUEUE, add_rows, retrying, actor)

    assert await count(ledger) == 0
    assert await history(ledger) == []


async def test_a_refused_act_has_no_effect(ledger: Ledger, rows: None) -> None:
    await act(ledger, QUEUE, pausing, the_operator())

    with pytest.raises(AlreadyPaused):
        await act(ledger, QUEUE, pausing, the_operator(), alongside=add)

    assert await count(ledger) == 0
    assert len(await history(ledger)) == 1


async def test_one_projection_is_nothing_to_another(ledger: Ledger) -> None:
    await act(ledger, QUEUE, pausing, the_operator())
    await act(ledger, DIRECTORY, pausing, the_operator())

    assert len(await history(ledger)) == 1


async def test_an_effect_is_told_by_what_it_did(ledger: Ledger, rows: None) -> None:
    handled = await act_and_tell(ledger, QUEUE, add_rows, retrying, the_operator())

    assert await count(ledger) == 3
    (event,) = await history(ledger)
    assert isinstance(event, FailureRetried)
    assert event.events_applied == 3
    assert handled.position == await ledger.head()


async def test_an_effect_that_fails_leaves_neither_rows_nor_event(ledger: Ledger, rows: None) -> None:
    async def fail(conn: Connection) -> int:
        await add_rows(conn)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await act_and_tell(ledger, QUEUE, fail, retrying, the_operator())

    assert await count(ledger) == 0
    assert await history(ledger) == []


async def test_a_repeated_request_is_answered_and_has_no_second_effect(ledger: Ledger, rows: None) -> None:
    once = the_operator(with_key("k"))

    first = await act_and_tell(ledger, QUEUE, add_rows, retrying, once)
    again = await act_and_tell(ledger, QUEUE, add_rows, retrying, once)

    assert first == again
    assert await count(ledger) == 3


async def test_a_key_of_another_request_is_refused(ledger: Ledger, rows: None) -> None:
    keyed = with_key("k", request="a")
    await act_and_tell(ledger, QUEUE, add_rows, retrying, the_operator(keyed))

    with pytest.raises(KeyReused):
        await act_and_tell(ledger, QUEUE, add_rows, retrying, the_operator(replace(keyed, request="b")))

    assert await count(ledger) == 3


async def test_who_meets_another_process_does_it_again_on_fresh_facts(
    database: Database, ledger: Ledger, rows: None
) -> None:
    tries = 0

    async def meet(conn: Connection) -> int:
        nonlocal tries
        tries += 1
        if tries == 1:
            async with await Ledger.open(database.service_url) as other:
                await act(other, QUEUE, pausing, the_operator())
        return await add_rows(conn)

    await act_and_tell(ledger, QUEUE, meet, retrying, the_operator())

    assert tries == 2
    assert await count(ledger) == 3
    assert [type(event) for event in await history(ledger)] == [ProjectionPaused, FailureRetried]


async def test_a_lost_connection_costs_another_try(ledger: Ledger, rows: None) -> None:
    tries = 0

    async def die(conn: Connection) -> int:
        nonlocal tries
        tries += 1
        if tries == 1:
            await conn.execute("select pg_terminate_backend(pg_backend_pid())")
        return await add_rows(conn)

    await act_and_tell(ledger, QUEUE, die, retrying, the_operator())

    assert (tries, await count(ledger), len(await history(ledger))) == (2, 3, 1)
