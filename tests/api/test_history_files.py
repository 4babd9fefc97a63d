"""The history as a file: NDJSON and CSV of any size, at the pace of whoever takes it, whole or visibly not."""

import asyncio
import csv
import io
import json
import tracemalloc
from collections.abc import AsyncIterator
from uuid import uuid4

import asyncpg
import httpx
import pytest
import pytest_asyncio

from ledger.api.history import file as history_file
from ledger.api.history.wire import EventTold
from ledger.domain.errors import Overloaded
from ledger.domain.ids import PersonId
from ledger.domain.reading.decide import READING
from ledger.reactions import readings as telling
from ledger.store.appends import Append
from ledger.store.ledger import login_stream, reading_stream
from ledger.store.pool import DatabaseUnreachable
from ledger.store.streams import Stream, append, draft, read_stream, recorded
from tests.api.answers import assert_refused, decide, submit, together
from tests.builders import summed_up
from tests.support.databases import Cluster
from tests.support.desk import Desk
from tests.support.events import by_somebody
from tests.support.listening import HANG_GUARD, Reached, reachable

EVENTS = "/api/audit/events"


def a_lot() -> Append:
    """A hundred events that no view is interested in."""
    stream = Stream(name=login_stream(PersonId(uuid4())), events=())
    return draft(stream, [summed_up() for _ in range(100)], by_somebody())


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def told(desk: Desk) -> Desk:
    """A desk with an auditor and more events than a page of a file holds."""
    await desk.seat("audrey", "auditor")
    await submit(desk.api, desk.people["engine"].headers, "CASE-1")
    await decide(desk.api, desk.people["sam"].headers, "CASE-1", notes='=cmd|"/c calc"!A1, she said')
    for _ in range(6):
        await append(desk.api.ledger, a_lot())
    return desk


async def file(desk: Desk, **query: object) -> httpx.Response:
    return await desk.api.client.get(EVENTS, headers=desk.people["audrey"].headers, params=query)


async def lines(desk: Desk, **query: object) -> list[dict]:
    answer = await file(desk, format="ndjson", **query)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/x-ndjson; charset=utf-8"
    assert answer.text.endswith("\n")
    return [json.loads(line) for line in answer.text.splitlines()]


def rows(answer: httpx.Response) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(answer.text, newline="")))


async def page(desk: Desk, **query: object) -> dict:
    return (await file(desk, **query)).json()


@together
async def test_a_file_holds_every_event_up_to_where_the_ledger_ended(told: Desk) -> None:
    head = await told.api.ledger.head()

    whole = await lines(told)

    assert [line["position"] for line in whole] == list(range(1, head + 1))


@together
async def test_a_line_is_an_event_of_a_page_with_its_own_people(told: Desk) -> None:
    paged = await page(told, decision="CASE-1")
    written = await lines(told, decision="CASE-1")

    assert [{name: line[name] for name in line if name != "people"} for line in written] == paged["events"]
    assert set(written[1]["people"].values()) == {"sam"}
    assert written[0]["people"] | written[1]["people"] == paged["people"]


@together
@pytest.mark.parametrize(
    ("accept", "media"),
    [
        ("application/x-ndjson", "application/x-ndjson; charset=utf-8"),
        ("text/csv;q=0.9, */*;q=0.1", "text/csv; charset=utf-8"),
        ("application/json", "application/json"),
        ("*/*", "application/json"),
    ],
)
async def test_accept_chooses_the_form(told: Desk, accept: str, media: str) -> None:
    headers = {**told.people["audrey"].headers, "Accept": accept}

    answer = await told.api.client.get(EVENTS, headers=headers, params={"limit": 3})

    assert answer.headers["content-type"] == media


@together
async def test_a_file_has_at_most_as_many_events_as_were_asked_for_in_either_order(told: Desk) -> None:
    head = await told.api.ledger.head()

    assert [line["position"] for line in await lines(told, limit=510)] == list(range(1, 511))
    newest = [line["position"] for line in await lines(told, limit=510, order="desc", last=head)]
    assert newest == list(range(head, head - 510, -1))
    assert [line["position"] for line in await lines(told, after=20, last=23)] == [21, 22, 23]


@together
async def test_csv_holds_the_same_events_each_in_a_row(told: Desk) -> None:
    answer = await file(told, format="csv", decision="CASE-1")
    events = (await page(told, decision="CASE-1"))["events"]

    assert answer.headers["content-disposition"] == 'attachment; filename="history.csv"'
    found = rows(answer)
    for row, event in zip(found, events, strict=True):
        assert json.loads(row["payload"]) == event["payload"]
        assert (row["envelope"], row["leaf_hash"]) == (event["envelope"], event["leaf_hash"])
        assert int(row["position"]) == event["position"]
    assert [row["actor_name"] for row in found] == ["engine", "sam", "sam"]


@together
async def test_no_cell_begins_as_a_formula_does_and_what_was_put_before_it_can_be_taken_away(
    told: Desk,
) -> None:
    await told.seat("=1+2")
    await submit(told.api, told.people["engine"].headers, "CASE-2")
    await told.post("=1+2", "CASE-2/comment", {"text": "hello"})

    answer = await file(told, format="csv", type="comment-added")

    (row,) = rows(answer)
    assert row["actor_name"] == "'=1+2"
    cells = [cell for line in csv.reader(io.StringIO(answer.text, newline="")) for cell in line]
    assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@", "\t", "\r"))]


@pytest.mark.parametrize(
    ("cell", "written"),
    [
        *(("=1", "'=1"), ("+1", "'+1"), ("-1", "'-1"), ("@x", "'@x"), ("\tx", "'\tx"), ("\rx", "'\rx")),
        *(("'x", "''x"), ("x=1", "x=1"), ("", "")),
    ],
)
def test_a_risky_cell_has_an_apostrophe_before_it(cell, written):
    assert history_file._harmless(cell) == written


@together
async def test_a_file_is_recorded_when_it_begins_and_summed_up_when_it_is_done(told: Desk) -> None:
    auditor = await told.seat("fay", "auditor")
    answer = await told.api.client.get(
        EVENTS, headers=auditor.headers, params={"format": "ndjson", "type": "login-failed"}
    )
    count = len(answer.text.splitlines())
    services = told.api.services
    await telling.tell(services.identity, services.readings, anyway=True)

    stream = await read_stream(told.api.ledger, reading_stream(auditor.session))
    first, rest = [recorded(one, READING.event_types).event for one in stream.events]
    assert (first.extent.reads, first.extent.events) == (1, 0)
    assert (rest.extent.reads, rest.extent.events) == (0, count)
    assert rest.extent.last == json.loads(answer.text.splitlines()[-1])["position"]


@together
@pytest.mark.parametrize("kind", ["ndjson", "csv"])
async def test_what_goes_wrong_on_the_way_is_the_last_line(
    told: Desk, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    whole, calls = history_file.find_page, []

    async def breaks(*arguments: object, **named: object) -> object:
        calls.append(named)
        if len(calls) > 1:
            raise DatabaseUnreachable(reason="gone")
        return await whole(*arguments, **named)

    monkeypatch.setattr(history_file, "find_page", breaks)
    answer = await file(told, format=kind)

    *good, last = answer.text.splitlines()
    if kind == "csv":
        assert last.startswith("error,database-unreachable,")
        assert last.endswith("complete up to 500")
    else:
        assert json.loads(last)["error"]["code"] == "database-unreachable"
        assert json.loads(last)["error"]["complete_up_to"] == json.loads(good[-1])["position"] == 500


@together
async def test_a_session_that_ends_ends_the_file(told: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    auditor = await told.seat("gus", "auditor")
    whole = history_file.find_page

    async def then_leaves(*arguments: object, **named: object) -> object:
        found = await whole(*arguments, **named)
        await told.api.client.post("/api/auth/logout", headers=auditor.headers)
        return found

    monkeypatch.setattr(history_file, "find_page", then_leaves)
    answer = await told.api.client.get(EVENTS, headers=auditor.headers, params={"format": "ndjson"})

    *_, last = answer.text.splitlines()
    assert json.loads(last)["error"]["code"] == "session-not-live"


@together
async def test_there_are_not_more_files_at_once_than_there_may_be(told: Desk) -> None:
    places = told.api.services.file_places
    with places.one(), places.one(), places.one(), places.one():
        refused = await file(told, format="ndjson")
        with pytest.raises(Overloaded):
            places.check()

    assert_refused(refused, 503)
    assert refused.json()["code"] == "too-many-files"
    assert (await file(told, format="ndjson", limit=1)).status_code == 200


@together
async def test_the_head_of_a_file_is_a_head(told: Desk) -> None:
    answer = await told.api.client.head(
        EVENTS, headers=told.people["audrey"].headers, params={"format": "csv"}
    )

    assert (answer.status_code, answer.content) == (200, b"")


@pytest_asyncio.fixture(loop_scope="module")
async def reached(postgres: Cluster) -> AsyncIterator[Reached]:
    async with postgres.fresh() as database, reachable(database) as found:
        yield found


# $1 so many
FILL = """
insert into ledger.events (
    ledger_id, position, stream, version, type, schema_version, event_id, recorded_at, actor, command_id,
    correlation_id, envelope, salt, payload)
select 1, head.position + n, 'x-' || gen_random_uuid(), 1, 'audit-entry-imported', 1, gen_random_uuid(), now(), 'system',
       gen_random_uuid(), '', convert_to(repeat('e', 500), 'UTF8'), decode(repeat('00', 16), 'hex'),
       convert_to('{"notes":"' || repeat('y', 500) || '"}', 'UTF8')
from (select max(position) as position from ledger.events) head, generate_series(1, $1) n
"""


async def taken(port: int, by: dict[str, str], query: str) -> tuple[int, int]:
    """Take a file and keep nothing of it: how many lines it had, and the most memory that was in use meanwhile."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(
        f"GET {EVENTS}?{query} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
        f"Authorization: {by['Authorization']}\r\n\r\n".encode()
    )
    await reader.readuntil(b"\r\n\r\n")
    tracemalloc.start()
    lines = 0
    while chunk := await reader.read(65_536):
        lines += chunk.count(b'{"position":')
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    writer.close()
    return lines, most


@together
@pytest.mark.long
@pytest.mark.parametrize(("kind", "size"), [("ndjson", 100_000), ("csv", 20_000)])
async def test_a_long_file_takes_the_memory_of_a_short_one(postgres: Cluster, kind: str, size: int) -> None:
    async with postgres.fresh() as database, reachable(database) as served:
        admin = await served.api.login()
        owner = await asyncpg.connect(database.owner_url)
        await owner.execute(FILL, size)
        await owner.close()
        _, of_few = await taken(served.port, admin, f"format={kind}&limit=2000&type=audit-entry-imported")
        lines, of_many = await taken(served.port, admin, f"format={kind}&type=audit-entry-imported")

    if kind == "ndjson":
        assert lines == size
    assert of_many < 2 * of_few


@together
async def test_whoever_hangs_up_or_does_not_read_ends_the_file(
    reached: Reached, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history_file, "SEND_SECONDS", 0.3)
    written = list[int]()

    def large(told: list[EventTold], _: history_file.FileType) -> bytes:
        written.append(len(told))
        return b"x" * 4_000_000

    monkeypatch.setattr(history_file, "_written", large)
    admin = await reached.api.login()
    ledger = reached.api.ledger
    for _ in range(20):
        await append(ledger, a_lot())
    places = reached.api.services.file_places
    reader, writer = await asyncio.open_connection("127.0.0.1", reached.port)
    writer.write(
        f"GET {EVENTS}?format=ndjson HTTP/1.1\r\nHost: x\r\nAuthorization: {admin['Authorization']}\r\n\r\n".encode()
    )
    await reader.readline()
    assert places.taken() == 1
    writer.transport.pause_reading()

    async with asyncio.timeout(HANG_GUARD):
        while places.taken():
            await asyncio.sleep(0.01)
    writer.close()
    services = reached.api.services
    sums = services.readings.take(services.clock(), anyway=True)
    assert sum(written) in {one.extent.events for one in sums}  # what was on its way may have been read


@together
async def test_a_service_that_stops_ends_the_file_and_says_so(reached: Reached) -> None:
    admin = await reached.api.login()
    reached.api.services.live.close()

    answer = await reached.api.client.get(EVENTS, headers=admin, params={"format": "ndjson"})

    assert json.loads(answer.text) == {
        "error": {"code": "stopping", "title": "The service stops: the file ends here.", "complete_up_to": 0}
    }
