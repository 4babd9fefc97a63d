"""The history over HTTP: events as they are stored, found by what they are, page by page; reading it is recorded."""

import hashlib
import json
from urllib.parse import urlencode

import httpx
import pytest
import pytest_asyncio

from ledger.domain.ids import SessionId
from ledger.domain.reading.decide import READING
from ledger.domain.reading.events import HistoryRead
from ledger.reactions import readings as telling
from ledger.store import findings
from ledger.store.envelope import leaf_hash, open_envelope
from ledger.store.ledger import reading_stream
from ledger.store.streams import read_stream, recorded
from tests.api.answers import assert_refused, decide, submit, together, wrong_fields
from tests.support.desk import Desk, Person
from tests.support.http import Api

EVENTS = "/api/audit/events"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def told(desk: Desk) -> Desk:
    """A desk with an auditor, and three decisions that were submitted, and decided, escalated and left."""
    await desk.seat("audrey", "auditor")
    engine = desk.people["engine"].headers
    for number in (1, 2, 3):
        await submit(desk.api, engine, f"CASE-{number}", forensic_summary=f"The summary of {number}.")
    await decide(desk.api, desk.people["sam"].headers, "CASE-1", notes="Seen; BLOCK the beacon, größer.")
    await desk.post("ana", "CASE-2/escalate?" + urlencode({"escalation_reason": "Too big for me."}))
    await desk.post("ana", "CASE-2/comment", {"text": "Somebody look at the beacon."})
    return desk


async def look(desk: Desk, by: str = "audrey", **query: object) -> httpx.Response:
    asked = {name.rstrip("_"): value for name, value in query.items()}
    return await desk.api.client.get(EVENTS, headers=desk.people[by].headers, params=asked)


async def found(desk: Desk, **query: object) -> list[dict]:
    answer = await look(desk, **query)
    assert answer.status_code == 200, answer.text
    return answer.json()["events"]


async def all_of(desk: Desk, **query: object) -> list[int]:
    """The positions of every page there is."""
    positions: list[int] = []
    page = (await look(desk, **query)).json()
    while True:
        positions += [event["position"] for event in page["events"]]
        if page["next"] is None:
            return positions
        page = (await look(desk, **query, after=page["next"])).json()


async def read_by(desk: Desk, who: Person) -> list[HistoryRead]:
    stream = await read_stream(desk.api.ledger, reading_stream(who.session))
    return [recorded(one, READING.event_types).event for one in stream.events]


def types(events: list[dict]) -> list[str]:
    return [event["type"] for event in events]


@together
async def test_an_event_is_told_with_the_very_bytes_that_are_hashed(told: Desk) -> None:
    (event,) = await found(told, decision="CASE-1", type="decision-submitted")

    assert list(event) == [
        *("position", "event_id", "stream", "version", "type", "schema_version", "recorded_at", "actor"),
        *("payload", "envelope", "leaf_hash", "command_id", "causation_id", "correlation_id"),
    ]
    assert leaf_hash(event["envelope"].encode()).hex() == event["leaf_hash"]
    envelope = open_envelope(event["envelope"].encode())
    assert (envelope.event_id, envelope.recorded_at, envelope.actor, envelope.correlation_id) == (
        event["event_id"],
        event["recorded_at"],
        event["actor"],
        event["correlation_id"],
    )
    assert event["stream"] == told.stream("CASE-1")
    assert event["payload"]["decision_id"] == "CASE-1"


@together
async def test_payloads_are_told_byte_for_byte(told: Desk) -> None:
    answer = await look(told, decision="CASE-1", limit=1)
    (stored,) = (await read_stream(told.api.ledger, told.stream("CASE-1"))).events[:1]

    assert stored.payload is not None
    assert stored.payload in answer.content
    salt = await told.api.ledger.pool.fetchval(
        "select salt from ledger.events where position = $1", stored.position
    )
    committed = open_envelope(answer.json()["events"][0]["envelope"].encode()).data
    assert hashlib.sha256(salt + stored.payload).hexdigest() == committed


@together
async def test_events_are_found_by_type_stream_decision_and_actor(told: Desk) -> None:
    stream = told.stream("CASE-1")
    sam = told.people["sam"].person
    whole = ["decision-submitted", "vote-cast", "decision-resolved"]

    assert types(await found(told, decision="CASE-1")) == whole
    assert types(await found(told, stream=stream)) == whole
    assert types(await found(told, decision="CASE-1", type=["vote-cast", "decision-resolved"])) == whole[1:]
    assert types(await found(told, decision="CASE-1", actor="Sam")) == whole[1:]
    assert types(await found(told, decision="CASE-1", actor=str(sam))) == whole[1:]
    submitted = await found(told, type="decision-submitted", actor="engine")
    assert [event["payload"]["decision_id"] for event in submitted] == ["CASE-1", "CASE-2", "CASE-3"]


@together
async def test_events_are_found_by_trace_and_by_command(told: Desk) -> None:
    trace = "0af7651916cd43dd8448eb211c80319c"
    headers = {"traceparent": f"00-{trace}-b7ad6b7169203331-01", "Idempotency-Key": "claim-3"}
    claim = await told.api.client.post(
        "/api/decisions/CASE-3/claim", headers={**told.people["ben"].headers, **headers}
    )
    assert claim.status_code == 200

    (by_trace,) = await found(told, correlation=trace)
    assert by_trace["type"] == "decision-claimed"
    (by_keyed_command,) = await found(told, command=by_trace["command_id"])
    assert by_keyed_command == by_trace
    voted, resolved = await found(told, decision="CASE-1", actor="sam")
    assert await found(told, command=voted["command_id"]) == [voted, resolved]
    assert await found(told, command=trace) == []


@together
async def test_events_are_found_by_time_and_by_position(told: Desk) -> None:
    first, second, third = await found(told, type="decision-submitted", actor="engine")

    by_time = {"type": "decision-submitted", "from_": second["recorded_at"], "to": third["recorded_at"]}
    assert await found(told, **by_time) == [second]
    by_place = {"type": "decision-submitted", "first": first["position"], "last": second["position"]}
    assert await found(told, **by_place) == [first, second]
    assert await found(told, from_="2190-01-01T00:00:00Z") == []
    assert await found(told, to="1990-01-01T00:00:00+02:00") == []


@together
async def test_events_are_found_by_what_people_wrote_whatever_its_capitals(told: Desk) -> None:
    assert types(await found(told, text="block THE beacon")) == ["vote-cast", "decision-resolved"]
    assert types(await found(told, text="GRÖSSER")) == []
    assert types(await found(told, text="größer")) == ["vote-cast", "decision-resolved"]
    assert types(await found(told, text="the beacon", decision="CASE-2")) == ["comment-added"]
    assert types(await found(told, text="too big")) == ["decision-escalated"]
    assert await found(told, text="decision_id") == [], "a name of a field is nothing that anybody wrote"
    assert await found(told, text="%") == []


@together
async def test_pages_go_on_where_the_one_before_ended_in_either_order(told: Desk) -> None:
    whole = await all_of(told, last=20, limit=1000)

    assert whole == list(range(1, 21))
    assert await all_of(told, last=20, limit=7) == whole
    assert await all_of(told, last=20, limit=7, order="desc") == whole[::-1]
    assert await all_of(told, last=20, limit=20) == whole


@together
async def test_a_page_that_has_looked_through_enough_says_where_to_go_on(
    told: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(findings, "FIRST_WINDOW", 2)
    monkeypatch.setattr(findings, "GROWTH", 1)
    monkeypatch.setattr(findings, "MOST_LOOKED_THROUGH", 4)
    query = {"type": "vote-cast", "last": 40}

    first = (await look(told, **query)).json()

    assert (first["events"], first["next"]) == ([], 4)
    (vote,) = await found(told, decision="CASE-1", type="vote-cast")
    assert vote["position"] in await all_of(told, **query)
    assert await all_of(told, **query, order="desc") == (await all_of(told, **query))[::-1]


@together
async def test_a_page_of_large_events_is_cut_and_goes_on(told: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(findings, "MAX_PAGE_BYTES", 3_000)

    page = (await look(told, last=20)).json()

    assert 1 <= len(page["events"]) < 20
    assert page["next"] == page["events"][-1]["position"]
    assert await all_of(told, last=20) == list(range(1, 21))


@together
async def test_people_are_named_beside_their_ids_and_the_erased_are_named_so(told: Desk) -> None:
    await told.seat("zoe")
    zoe = told.people["zoe"].person
    await told.post("zoe", "CASE-3/comment", {"text": "I was here."})
    page = (await look(told, decision="CASE-3", type="comment-added")).json()
    assert page["people"] == {str(zoe): "zoe"}

    await told.api.ledger.pool.execute("delete from work.people where person_id = $1", zoe)

    page = (await look(told, decision="CASE-3", type="comment-added")).json()
    assert page["people"] == {str(zoe): "erased"}


@together
async def test_an_event_is_told_as_it_reads_today_beside_what_is_stored(told: Desk) -> None:
    (stored,) = await found(told, decision="CASE-1", type="vote-cast")
    (both,) = await found(told, decision="CASE-1", type="vote-cast", form="both")
    (current,) = await found(told, decision="CASE-1", type="vote-cast", form="current")

    assert "current" not in stored
    assert both["payload"] == stored["payload"]
    assert both["current"] == current["current"]
    assert "payload" not in current
    assert current["current"] == {"schema_version": 3, "payload": stored["payload"]}


@together
async def test_a_timeline_tells_in_words_who_did_what(told: Desk) -> None:
    answer = await told.api.client.get(
        "/api/audit/decisions/CASE-1/timeline", headers=told.people["audrey"].headers
    )
    body = answer.json()

    assert (body["decision_id"], body["stream"], body["version"]) == ("CASE-1", told.stream("CASE-1"), 3)
    assert [(entry["who"], entry["what"]) for entry in body["entries"]] == [
        ("engine", "submitted it, high, 89.5 % sure"),
        ("sam", "voted to approve block_ip: “Seen; BLOCK the beacon, größer.”"),
        ("sam", "settled it: approved"),
    ]
    events = await found(told, decision="CASE-1")
    for entry, event in zip(body["entries"], events, strict=True):
        assert {name: entry[name] for name in ("position", "version", "event_id", "leaf_hash", "type")} == {
            name: event[name] for name in ("position", "version", "event_id", "leaf_hash", "type")
        }
        assert entry["proof"] == f"/api/audit/events/{event['event_id']}/proof"


@together
async def test_what_nobody_submitted_has_no_timeline(told: Desk) -> None:
    answer = await told.api.client.get(
        "/api/audit/decisions/NOBODY/timeline", headers=told.people["audrey"].headers
    )

    assert_refused(answer, 404, "not found")


@together
@pytest.mark.parametrize("who", ["ana", "engine", "vic"])
async def test_only_auditors_and_administrators_read_the_history(told: Desk, who: str) -> None:
    assert_refused(await look(told, who), 403, "Insufficient permissions")


@together
@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"typ": "vote-cast"}, "typ"),
        ({"limit": 0}, "limit"),
        ({"limit": 1001}, "limit"),
        ({"after": -1}, "after"),
        ({"first": 9, "last": 3}, "first"),
        ({"first": 2**64}, "first"),
        ({"from_": "yesterday"}, "from"),
        ({"to": "2400-01-01T00:00:00Z"}, "to"),
        ({"from_": "2026-11-30T10:00:00Z", "to": "2026-11-30T09:00:00Z"}, "from"),
        ({"actor": "nobody-we-know"}, "actor"),
        ({"command": "not-an-id"}, "command"),
        ({"decision": "a/b"}, "decision"),
        ({"decision": "CASE-1", "stream": "x"}, "stream"),
        ({"stream": "Ann Applicant"}, "stream"),
        ({"correlation": "Ann Applicant"}, "correlation"),
        ({"type": "Ann Applicant"}, "type"),
        ({"type": "vote-casts"}, "type"),
        ({"type": ["vote-cast", "no-such-type"]}, "type"),
        ({"decision": "NOBODY-ASKED"}, "decision"),
        ({"decision": ["CASE-1", "CASE-2"]}, "decision"),
        ({"actor": ["sam", "ben"]}, "actor"),
        ({"limit": ["5", "5"]}, "limit"),
        ({"order": "sideways"}, "order"),
        ({"form": "new"}, "form"),
        ({"format": "xml"}, "format"),
        ({"text": ""}, "text"),
    ],
    ids=str,
)
async def test_a_filter_that_makes_no_sense_is_refused_by_name(told: Desk, query: dict, field: str) -> None:
    assert wrong_fields(await look(told, **query)) == {field}


@together
async def test_all_that_is_wrong_with_a_look_is_told_at_once(told: Desk) -> None:
    answer = await look(told, after=-1, limit=0, command="x", order="odd", form="odd")

    assert wrong_fields(answer) == {"after", "limit", "command", "order", "form"}


@together
async def test_whoever_misspells_an_event_type_is_told_the_nearest_one(told: Desk) -> None:
    (error,) = (await look(told, type="vote-casts")).json()["errors"]

    assert error["message"] == "is an event type; the nearest one is vote-cast"


@together
async def test_the_first_look_is_recorded_at_once_and_more_of_the_same_as_one_sum(told: Desk) -> None:
    auditor = await told.seat("una", "auditor")
    for _ in range(3):
        await look(told, "una", decision="CASE-2", text="beacon", limit=1)

    (first,) = await read_by(told, auditor)
    assert (first.person, first.session) == (auditor.person, SessionId(auditor.session))
    assert (first.extent.reads, first.extent.events) == (1, 1)
    assert [(one.name, one.value) for one in first.query.filters] == [("stream", told.stream("CASE-2"))]
    assert first.query.words is not None
    assert len(first.query.words) == 64

    services = told.api.services
    await telling.tell(services.identity, services.readings, anyway=True)

    _, more = await read_by(told, auditor)
    assert (more.query, more.extent.reads, more.extent.events) == (first.query, 2, 2)
    assert (more.extent.first, more.extent.last) == (first.extent.first, first.extent.last)


@together
async def test_what_was_searched_for_is_not_in_the_ledger_in_words(told: Desk) -> None:
    await look(told, text="a very private matter")

    assert await found(told, text="private matter") == []
    (count,) = await told.api.ledger.pool.fetchrow(
        "select count(*) from ledger.events where convert_from(payload, 'UTF8') like '%private matter%'"
    )
    assert count == 0


@together
async def test_reading_a_timeline_is_recorded_by_its_stream(told: Desk) -> None:
    auditor = await told.seat("tim", "auditor")
    await told.api.client.get("/api/audit/decisions/CASE-2/timeline", headers=auditor.headers)

    (read,) = await read_by(told, auditor)

    assert read.query.call == "timeline"
    assert [one.value for one in read.query.filters] == [told.stream("CASE-2")]
    assert read.extent.events == len(await told.events("CASE-2"))
    assert "CASE-2" not in json.dumps([one.value for one in read.query.filters])


async def test_what_cannot_be_recorded_is_not_read(api: Api) -> None:
    auditor = await api.newcomer("audrey", "auditor")
    await submit(api, await api.login(), "CASE-1")
    await api.ledger.appender.stop()

    page = await api.client.get(EVENTS, headers=auditor)
    file = await api.client.get(EVENTS, headers=auditor, params={"format": "ndjson"})
    timeline = await api.client.get("/api/audit/decisions/CASE-1/timeline", headers=auditor)

    for answer in (page, file, timeline):
        assert_refused(answer, 503)
        assert "submitted it" not in answer.text
        assert "events" not in answer.json()
