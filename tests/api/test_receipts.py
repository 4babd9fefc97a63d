"""Receipts: a command's answer says where its proof is, and with wait=sealed brings it."""

import asyncio
from base64 import b64decode
from pathlib import Path

import metamorphic_log as referee
import pytest
from httpx import Response

from ledger.domain.ids import DecisionId
from ledger.store.ledger import Ledger
from ledger.store.streams import read_stream
from tests.api.answers import assert_refused, together, wrong_fields
from tests.api.test_keys import key_of, machine
from tests.support.databases import Database
from tests.support.desk import Desk
from tests.support.http import Api, bearer, cheap_passwords, serving, submission
from tests.support.sealing import sealed_in
from tests.support.tlog_proof import Proof, vkeys_in

LINK = '>; rel="https://c2sp.org/tlog-proof"'


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the notary of this module keeps its key and its guard."""
    return tmp_path_factory.mktemp("notary")


def place_of(answer: Response) -> str:
    """Where an answer says that the proof of its event is."""
    link = answer.headers["link"]
    assert link.startswith("</")
    assert link.endswith(LINK)
    return link.removeprefix("<").removesuffix(LINK)


def accept(proof: str, answer: Response, vkeys: list[str]) -> None:
    """Let a referee check the proof against what the command's answer said of its event."""
    read = Proof.parse(proof)
    assert read.index == int(answer.headers["ledger-position"]) - 1
    leaf = bytes.fromhex(answer.headers["ledger-leaf-hash"])
    referee.checkpoint_verify_inclusion(read.note, vkeys, read.index, leaf, list(read.path))


async def submit(api: Api, by: dict[str, str], analysis_id: str, wait: str, **headers: str) -> Response:
    return await api.client.post(
        f"/api/decisions/submit?wait={wait}", headers={**by, **headers}, json=submission(analysis_id)
    )


async def sealed_when_written(ledger: Ledger, folder: Path, beyond: int) -> None:
    """Seal once the log reaches beyond a position."""
    while await ledger.head() <= beyond:
        rings = ledger.appended.rings()
        await ledger.appended.wait_past(rings, 0.1)
    await sealed_in(ledger, folder)


@together
async def test_a_command_says_where_its_proof_is_and_there_it_is_once_it_is_sealed(
    desk: Desk, folder: Path
) -> None:
    answer = await desk.post("engine", "submit", submission("receipt"))
    place, headers = place_of(answer), desk.people["engine"].headers

    early = await desk.api.client.get(place, headers=headers)
    assert_refused(early, 404, "not sealed yet")
    assert early.headers["retry-after"] == "1"

    await sealed_in(desk.api.ledger, folder)
    proof = await desk.api.client.get(place, headers=headers)
    assert proof.headers["content-type"] == "text/plain; charset=utf-8"
    accept(proof.text, answer, vkeys_in(desk.api.ledger, folder))


@together
async def test_others_are_proved_their_own_events_and_auditors_all(desk: Desk, folder: Path) -> None:
    answer = await desk.post("engine", "submit", submission("whose"))
    await desk.seat("olga", "auditor")
    await sealed_in(desk.api.ledger, folder)
    place = place_of(answer)

    for name in ("engine", "admin", "olga"):
        found = await desk.api.client.get(place, headers=desk.people[name].headers)
        accept(found.text, answer, vkeys_in(desk.api.ledger, folder))
    for name in ("other-engine", "ana", "vic"):
        refused = await desk.api.client.get(place, headers=desk.people[name].headers)
        assert_refused(refused, 404, "Event not found")
        assert refused.json()["code"] == "no-such-event"
    assert_refused(await desk.api.client.get(place), 401)


@together
@pytest.mark.parametrize("query", ["", "?wait=5"])
async def test_the_answer_says_to_its_submitter_where_the_proof_of_the_verdict_is(
    desk: Desk, folder: Path, query: str
) -> None:
    name = f"verdict{len(query)}"
    await desk.ask(name)
    body = {"decision_id": name, "status": "rejected", "approved_actions": [], "notes": "No."}
    verdict = await desk.post("ana", f"{name}/decide", body)
    comment = await desk.post("ana", f"{name}/comment", {"text": "Somebody says something later."})
    assert comment.status_code == 200, comment.text
    await sealed_in(desk.api.ledger, folder)

    answer = await desk.get("engine", f"{name}/response{query}")

    assert place_of(answer) == place_of(verdict)
    proof = await desk.api.client.get(place_of(answer), headers=desk.people["engine"].headers)
    accept(proof.text, verdict, vkeys_in(desk.api.ledger, folder))
    assert "link" not in (await desk.get("ana", f"{name}/response{query}")).headers


@together
async def test_who_waits_is_told_where_the_proof_of_the_verdict_is_when_it_comes(desk: Desk) -> None:
    await desk.ask("awaited")
    waiting = asyncio.create_task(desk.get("engine", "awaited/response?wait=10"))
    while not desk.api.services.live.waiters.waiting():
        await asyncio.sleep(0.01)
    body = {"decision_id": "awaited", "status": "rejected", "approved_actions": [], "notes": "No."}
    verdict = await desk.post("ana", "awaited/decide", body)

    assert place_of(await waiting) == place_of(verdict)


@together
async def test_the_submitter_is_proved_all_that_becomes_of_the_decision_and_nobody_elses(
    desk: Desk, folder: Path
) -> None:
    await desk.ask("whose-verdict")
    body = {"decision_id": "whose-verdict", "status": "rejected", "approved_actions": [], "notes": "No."}
    verdict = await desk.post("ana", "whose-verdict/decide", body)
    await sealed_in(desk.api.ledger, folder)

    stream = desk.api.ledger.decision_stream(DecisionId("whose-verdict"))
    for stored in (await read_stream(desk.api.ledger, stream)).events:
        place = f"/api/audit/events/{stored.event_id}/proof"
        found = await desk.api.client.get(place, headers=desk.people["engine"].headers)
        assert Proof.parse(found.text).index == stored.position - 1
    for name in ("other-engine", "vic"):
        refused = await desk.api.client.get(place_of(verdict), headers=desk.people[name].headers)
        assert refused.json()["code"] == "no-such-event"


@together
async def test_there_is_no_proof_of_an_event_that_is_none(desk: Desk) -> None:
    for event in ("nothing", "00000000-0000-0000-0000-000000000000", "{}", "x" * 300):
        answer = await desk.api.client.get(
            f"/api/audit/events/{event}/proof", headers=desk.people["admin"].headers
        )
        assert_refused(answer, 404, "Event not found")


@together
async def test_a_key_that_submits_fetches_the_proofs_of_what_it_submitted(desk: Desk, folder: Path) -> None:
    api, admin = desk.api, desk.people["admin"].headers
    await machine(api, "press", admin)
    writes = bearer(str((await key_of(api, "press", admin, scopes=["decisions:submit"]))["key"]))
    answer = await submit(api, writes, "by-key", "")
    assert wrong_fields(answer) == {"wait"}

    answer = await api.client.post("/api/decisions/submit", headers=writes, json=submission("by-key"))
    await sealed_in(api.ledger, folder)

    accept(
        (await api.client.get(place_of(answer), headers=writes)).text,
        answer,
        vkeys_in(desk.api.ledger, folder),
    )


@together
async def test_who_waits_for_the_seal_is_given_the_proof(desk: Desk, folder: Path) -> None:
    api, by = desk.api, desk.people["engine"].headers
    head = await api.ledger.head()

    answer, _ = await asyncio.gather(
        submit(api, by, "waits", "sealed"), sealed_when_written(api.ledger, folder, head)
    )

    assert answer.json() == {"message": "Decision submitted successfully", "analysis_id": "waits"}
    assert answer.headers["ledger-sealed"] == "true"
    accept(
        b64decode(answer.headers["ledger-proof"], validate=True).decode(),
        answer,
        vkeys_in(desk.api.ledger, folder),
    )


@together
async def test_who_does_not_wait_is_told_nothing_of_seals(desk: Desk) -> None:
    answer = await desk.post("engine", "submit", submission("hurries"))

    assert {"ledger-sealed", "ledger-proof"} & set(answer.headers) == set()


@together
async def test_waiting_for_anything_else_is_refused_before_anything_is_written(desk: Desk) -> None:
    head = await desk.api.ledger.head()

    for wait in ("true", "", "sealed&wait=sealed", "5"):
        answer = await submit(desk.api, desk.people["engine"].headers, "never", wait)
        assert wrong_fields(answer) == {"wait"}
    assert await desk.api.ledger.head() == head


@together
async def test_the_same_command_sent_again_may_wait_for_its_seal(desk: Desk, folder: Path) -> None:
    api, key = desk.api, {"Idempotency-Key": "once-more"}
    first = await desk.post("engine", "submit", submission("again"), Idempotency_Key="once-more")
    await sealed_in(api.ledger, folder)

    again = await submit(api, desk.people["engine"].headers, "again", "sealed", **key)

    assert again.json() == first.json()
    assert again.headers["ledger-position"] == first.headers["ledger-position"]
    assert again.headers["link"] == first.headers["link"]
    accept(b64decode(again.headers["ledger-proof"]).decode(), first, vkeys_in(desk.api.ledger, folder))


@together
async def test_people_who_decide_get_receipts_too(desk: Desk, folder: Path) -> None:
    await desk.ask("decided")
    head = await desk.api.ledger.head()
    body = {"decision_id": "decided", "status": "rejected", "approved_actions": [], "notes": "No."}

    answer, _ = await asyncio.gather(
        desk.post("ana", "decided/decide?wait=sealed", body),
        sealed_when_written(desk.api.ledger, folder, head),
    )

    assert answer.status_code == 200, answer.text
    accept(b64decode(answer.headers["ledger-proof"]).decode(), answer, vkeys_in(desk.api.ledger, folder))


async def test_an_answer_that_cannot_wait_longer_says_that_it_is_not_sealed(database: Database) -> None:
    async with serving(database, passwords=cheap_passwords(), settings={"seal_wait_seconds": 0.05}) as api:
        answer = await submit(api, await api.login(), "unsealed", "sealed")

        assert answer.status_code == 200
        assert answer.headers["ledger-sealed"] == "false"
        assert "ledger-proof" not in answer.headers
        assert answer.json()["analysis_id"] == "unsealed"
        assert place_of(answer)


async def test_what_another_process_seals_ends_the_waiting_here(
    api: Api, database: Database, tmp_path: Path
) -> None:
    by, head = await api.login(), await api.ledger.head()
    async with await Ledger.open(database.service_url) as elsewhere:
        answer, _ = await asyncio.gather(
            submit(api, by, "sealed-elsewhere", "sealed"), sealed_when_written(elsewhere, tmp_path, head)
        )

    assert answer.headers["ledger-sealed"] == "true"
