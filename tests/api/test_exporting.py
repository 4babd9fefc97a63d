"""Taking the ledger out over HTTP: an event before anything goes, then lines that open what was hashed."""

import hashlib
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import msgspec
import pytest
import pytest_asyncio
from httpx import Response

from ledger.api.file_places import MOST
from ledger.domain.export.events import LedgerExported, Tier
from ledger.domain.ids import CommandId
from ledger.identity.people import Record, commitment
from ledger.sealing.notes import checkpoint_in
from ledger.sealing.retention import sweep
from ledger.sealing.rows import last_checkpoint
from ledger.store import openings
from ledger.store.envelope import open_envelope
from ledger.store.ledger import export_stream
from ledger.store.streams import read_stream, recorded
from tests.api.answers import assert_refused, submit, together, wrong_fields
from tests.identity.house import MovingClock
from tests.support.http import Api
from tests.support.sealed_log import seal

EXPORTS = "/api/audit/exports"


async def asked(api: Api, by: dict[str, str], **body: object) -> Response:
    last = await sealed_up_to(api)
    if last < await api.ledger.head():
        await seal(api.ledger)
    return await api.client.post(EXPORTS, headers=by, json={"tier": "payload", **body})


async def sealed_up_to(api: Api) -> int:
    async with api.ledger.pool.acquire() as conn:
        found = await last_checkpoint(conn, api.ledger.ledger_id)
    return found.size if found else 0


async def begun(api: Api, by: dict[str, str], **body: object) -> str:
    answer = await asked(api, by, **body)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["export_id"])


async def fetched(api: Api, by: dict[str, str], export: str, what: str = "payloads") -> Response:
    return await api.client.get(f"{EXPORTS}/{export}/{what}", headers=by)


def lines(answer: Response) -> list[dict]:
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("application/x-ndjson")
    return [msgspec.json.decode(line) for line in answer.content.splitlines()]


async def stored(api: Api) -> list[tuple[bytes, bytes, bytes]]:
    async with api.ledger.pool.acquire() as conn:
        rows = await conn.fetch("select envelope, salt, payload from ledger.events order by position")
    return [(row["envelope"], row["salt"], row["payload"]) for row in rows]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def auditor(shared: Api) -> dict[str, str]:
    return await shared.newcomer("audrey", "auditor")


@together
async def test_an_export_is_an_event_before_anything_goes(shared: Api, auditor: dict[str, str]) -> None:
    answer = await asked(shared, auditor)
    head = await sealed_up_to(shared)
    assert answer.json() == {
        "export_id": answer.json()["export_id"],
        "tier": "payload",
        "from": 1,
        "to": head,
        "size": head,
        "checkpoint": answer.json()["checkpoint"],
    }
    assert checkpoint_in(answer.json()["checkpoint"]).size == head
    stream = await read_stream(shared.ledger, export_stream(CommandId(answer.json()["export_id"])))
    event = recorded(stream.events[0], (LedgerExported,)).event
    assert (event.tier, event.first, event.last, event.size) == (Tier.PAYLOAD, 1, head, head)
    assert stream.position() == int(answer.headers["ledger-position"]) == head + 1


@together
async def test_every_payload_comes_as_it_is_stored_with_its_salt(
    shared: Api, auditor: dict[str, str], admin: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(openings, "PAGE", 3)
    await submit(shared, admin, "<script>“quoted” \\ é", forensic_summary="two\nlines\ttab\u2028")
    head = await shared.ledger.head()
    found = lines(await fetched(shared, auditor, await begun(shared, auditor, to=head)))
    expected = (await stored(shared))[:head]
    assert [line["position"] for line in found] == list(range(1, head + 1))
    assert [(line["salt"], line["payload"].encode()) for line in found] == [
        (salt.hex(), payload) for _, salt, payload in expected
    ]
    digests = [
        hashlib.sha256(bytes.fromhex(line["salt"]) + line["payload"].encode()).hexdigest() for line in found
    ]
    assert digests == [open_envelope(envelope).data for envelope, _, _ in expected]


@together
async def test_pages_end_where_they_would_become_too_large(
    shared: Api, auditor: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(openings, "PAGE_BYTES", 1)
    head = await shared.ledger.head()
    found = lines(await fetched(shared, auditor, await begun(shared, auditor, to=head)))
    assert [line["position"] for line in found] == list(range(1, head + 1))


@together
async def test_a_part_of_what_was_asked_for_is_fetched(shared: Api, auditor: dict[str, str]) -> None:
    export = await begun(shared, auditor, **{"from": 2, "to": 4})
    assert [line["position"] for line in lines(await fetched(shared, auditor, export))] == [2, 3, 4]
    part = await fetched(shared, auditor, export, "payloads?from=3&to=3")
    assert [line["position"] for line in lines(part)] == [3]


@together
@pytest.mark.parametrize("query", ["from=1", "to=5", "from=4&to=3"])
async def test_no_more_than_what_was_asked_for_is_fetched(
    shared: Api, auditor: dict[str, str], query: str
) -> None:
    export = await begun(shared, auditor, **{"from": 2, "to": 4})
    refused = await fetched(shared, auditor, export, f"payloads?{query}")
    assert_refused(refused, 409, "is of less than that")


@together
async def test_asking_for_the_head_alone_reads_nothing(shared: Api, auditor: dict[str, str]) -> None:
    export = await begun(shared, auditor, tier="disclosed")
    for what in ("payloads", "people", "keys"):
        answer = await shared.client.head(f"{EXPORTS}/{export}/{what}", headers=auditor)
        assert (answer.status_code, answer.content) == (200, b"")


@together
async def test_as_many_are_sent_at_once_as_there_may_be(shared: Api, auditor: dict[str, str]) -> None:
    export, places = await begun(shared, auditor), shared.services.file_places
    with ExitStack() as busy:
        for _ in range(MOST):
            busy.enter_context(places.one())
        refused = await fetched(shared, auditor, export)
    assert_refused(refused, 503)
    assert refused.headers["retry-after"]
    assert (await fetched(shared, auditor, export)).status_code == 200


@together
async def test_an_export_of_envelopes_opens_nothing(shared: Api, auditor: dict[str, str]) -> None:
    export = await begun(shared, auditor, tier="envelope")
    assert_refused(await fetched(shared, auditor, export), 409, "is of less than that")
    assert_refused(await fetched(shared, auditor, export, "people"), 409, "is of less than that")


@together
async def test_people_come_with_what_opens_their_commitment(
    shared: Api, auditor: dict[str, str], admin: dict[str, str]
) -> None:
    payload_only = await begun(shared, auditor)
    assert_refused(await fetched(shared, auditor, payload_only, "people"), 409)
    export = await begun(shared, auditor, tier="disclosed")
    people = lines(await fetched(shared, auditor, export, "people"))
    events = [msgspec.json.decode(payload) for _, _, payload in await stored(shared)]
    committed = {one["person"]: one["commitment"] for one in events if one["type"] == "account-registered"}
    assert {one["person"] for one in people} == committed.keys()
    for one in people:
        record = Record(username=one["username"], email=one["email"], full_name=one["full_name"])
        assert commitment(bytes.fromhex(one["salt"]), record) == committed[one["person"]]


@together
async def test_people_come_in_pages(
    shared: Api, auditor: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ledger.history.disclosing.PAGE", 1)
    export = await begun(shared, auditor, tier="disclosed")
    names = [one["username"] for one in lines(await fetched(shared, auditor, export, "people"))]
    assert len(set(names)) == len(names) > 1


@together
@pytest.mark.parametrize("role", ["analyst", "viewer", "service"])
async def test_only_auditors_and_administrators_take_the_ledger(shared: Api, role: str) -> None:
    headers = await shared.newcomer(f"takes-{role}", role)
    assert_refused(await asked(shared, headers), 403)
    assert_refused(await fetched(shared, headers, str(uuid4())), 403)


@together
async def test_an_export_is_for_whoever_asked(
    shared: Api, auditor: dict[str, str], admin: dict[str, str]
) -> None:
    export = await begun(shared, auditor)
    assert_refused(await fetched(shared, admin, export), 404, "not found")
    assert_refused(await fetched(shared, auditor, "none"), 404, "not found")


@together
async def test_what_is_not_there_cannot_be_taken(shared: Api, auditor: dict[str, str]) -> None:
    for body in ({"to": 10_000}, {"from": 10_000}, {"from": 5, "to": 4}):
        assert_refused(await asked(shared, auditor, **body), 422, "not in the sealed part")


@together
@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"tier": "all"}, "tier"),
        ({"from": 0}, "from"),
        ({"to": 2**63}, "to"),
        ({"covering": "1"}, "covering"),
        ({"other": 1}, "body"),
    ],
)
async def test_a_wrong_wish_is_refused(
    shared: Api, auditor: dict[str, str], body: dict[str, object], field: str
) -> None:
    assert wrong_fields(await asked(shared, auditor, **body)) == {field}


@together
async def test_the_same_request_is_the_same_export(shared: Api, auditor: dict[str, str]) -> None:
    keyed = {**auditor, "Idempotency-Key": "once"}
    first, second = await asked(shared, keyed, to=3), await asked(shared, keyed, to=3)
    assert first.json() == second.json()
    assert_refused(await asked(shared, keyed, to=2), 422)


@together
async def test_an_export_is_told_again_however_old_its_checkpoint(
    shared: Api, auditor: dict[str, str]
) -> None:
    keyed = {**auditor, "Idempotency-Key": "later"}
    first = await asked(shared, keyed)
    await seal(shared.ledger)
    assert await sweep(shared.ledger, datetime.now(UTC) + timedelta(days=2), lately=0)

    again = await shared.client.post(EXPORTS, headers=keyed, json={"tier": "payload"})

    assert again.json() == first.json()


async def test_an_export_is_over_after_a_day(timed: Api, clock: MovingClock) -> None:
    auditor = await timed.newcomer("audrey", "auditor")
    export = await begun(timed, auditor)
    assert (await fetched(timed, auditor, export)).status_code == 200
    clock.forward(hours=25)
    again = await timed.login("audrey")
    assert_refused(await fetched(timed, again, export), 409, "more than a day ago")


@together
async def test_people_and_keys_are_those_of_the_part_that_was_asked_for(
    shared: Api, auditor: dict[str, str]
) -> None:
    await shared.newcomer("somebody-else")
    export = await begun(shared, auditor, tier="disclosed", **{"from": 1, "to": 1})

    people = lines(await fetched(shared, auditor, export, "people"))

    assert [one["username"] for one in people] == ["admin"]
    assert lines(await fetched(shared, auditor, export, "keys")) == []
