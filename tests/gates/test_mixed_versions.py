"""A ledger of events of every version rebuilds to the same read models as its twin, whose events are all of today's."""

import asyncio
from datetime import UTC, timedelta
from itertools import islice
from uuid import UUID, uuid5

import msgspec
import pytest

from ledger.domain.authority import Role
from ledger.domain.ids import NO_EVENTS, EventId, StreamName
from ledger.projections.catalog import ALL
from ledger.store.appends import Append, NewEvent
from ledger.store.codec import encode, read
from ledger.store.envelope import NO_LEAF
from ledger.store.ledger import Ledger
from ledger.store.streams import append
from tests.builders import ANA, NOW, claimed, registered, submitted, voted
from tests.projections.given import bring_level, rows_of
from tests.support.databases import Cluster
from tests.support.events import by_somebody
from tools.event_types import event_types
from tools.golden import Golden

SPACE = UUID(int=77)
TYPES = event_types()
AT_ONCE = 500
PAST = {
    name: msgspec.json.decode(Golden().stored(name, 1)) for name in TYPES if TYPES[name].schema_version > 1
}


def older(name, **fields):
    """An event as the prototype kept it, as (type, version, bytes)."""
    return name, 1, msgspec.json.encode({**PAST[name], **fields})


def todays(event):
    return event.__struct_config__.tag, event.schema_version, encode(event)


def stories():
    """One stream after the other: its name and its events, some of which are older than others."""
    number = 0
    while True:
        yield _account(number) if number % 20 == 0 else _decision(number)
        number += 1


def _account(number):
    person = uuid5(SPACE, f"person {number}")
    told = [older("account-registered", person=str(person), created_at=_local(number))]
    if number % 3:
        told.append(older("account-deactivated", person=str(person)))
    return f"account-{person}", told if number % 40 else [todays(registered(person=person, role=Role.VIEWER))]


def _decision(number):
    case, now = f"CASE-{number}", NOW + timedelta(seconds=number)
    priority = ("critical", "high", "medium", "low")[number % 4]
    answer = {"decision_id": case, "decided_at": _local(number + 600)}
    first = older("decision-submitted", analysis_id=case, priority=priority, created_at=_local(number))
    told = [
        first if number % 2 else todays(submitted(decision_id=case, at=now)),
        todays(claimed(by=ANA, at=now + timedelta(seconds=60))),
        older("decision-escalated", **answer),
    ]
    told.append(
        todays(voted(level=1, at=now + timedelta(seconds=600)))
        if number % 3
        else older("vote-cast", **answer)
    )
    if number % 5:
        told.append(older("decision-resolved", **answer))
    return f"decision-{uuid5(SPACE, case)}", told


def _local(seconds):
    return (NOW + timedelta(seconds=seconds)).astimezone(UTC).replace(tzinfo=None).isoformat()


def lifted(event):
    """The same event as a release that never had a past would have stored it."""
    name, version, payload = event
    return todays(read((TYPES[name],), name, version, payload).event)


async def fill(ledger, events, of_each=lambda event: event):
    """Append streams until there are so many events; how many of them are of an older version."""
    written = old = 0
    source = stories()
    while written < events:
        batch = list(islice(source, AT_ONCE))
        for _, told in batch:
            written += len(told)
            old += sum(version < TYPES[kind].schema_version for kind, version, _ in map(of_each, told))
        await asyncio.gather(
            *(_lay_down(ledger, name, [of_each(one) for one in told]) for name, told in batch)
        )
    return old


async def _lay_down(ledger, name, events):
    new = tuple(
        NewEvent(
            event_id=EventId(uuid5(SPACE, f"{name} {number}")),
            type=kind,
            schema_version=version,
            payload=payload,
        )
        for number, (kind, version, payload) in enumerate(events)
    )
    await append(
        ledger,
        Append(
            stream=StreamName(name), expected=NO_EVENTS, prev=NO_LEAF, events=new, provenance=by_somebody()
        ),
    )


async def _rebuilt(ledger):
    """Every row of every read model, without what depends on the order of appends that were under way together."""
    await bring_level(ledger, *ALL)
    async with ledger.pool.acquire() as conn:
        return {feed.name: await rows_of(conn, feed) for feed in ALL}


@pytest.mark.parametrize(
    "events", [2_000, pytest.param(100_000, marks=pytest.mark.long)], ids=["a few", "a hundred thousand"]
)
async def test_mixed_versions_rebuild_to_what_their_twin_does(postgres: Cluster, events: int):
    async with postgres.fresh() as mixed, postgres.fresh() as twin:
        async with await Ledger.open(mixed.service_url) as ledger:
            old = await fill(ledger, events)
            head = await ledger.head()
            rows = await _rebuilt(ledger)
        async with await Ledger.open(twin.service_url) as ledger:
            assert await fill(ledger, events, lifted) == 0
            assert await ledger.head() == head >= events
            twins = await _rebuilt(ledger)

    assert old > events / 3
    assert {name: len(found) for name, found in rows.items()} == {
        name: len(found) for name, found in twins.items()
    }
    assert len(rows["decisions"]) > events / 10
    for name, found in rows.items():
        assert found == twins[name], name
