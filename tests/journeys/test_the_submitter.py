"""The submitter's story: a machine asks, waits, and acts on what a person answered.

Read this first. A security engine has an account of the role ``service``. It sees something, is not
sure enough to act alone, and asks.
"""

from base64 import b64decode
from pathlib import Path

import metamorphic_log as referee

from tests.api.answers import fixed
from tests.support.http import Api, submission, verdict
from tests.support.sealing import sealed_in
from tests.support.tlog_proof import Proof, vkeys_in


async def test_a_machine_asks_and_acts_on_the_answer(api: Api) -> None:
    engine = await api.newcomer("engine", "service")
    sam = await api.newcomer("sam", "analyst")

    # The engine chooses the id of what it asks about. Asking answers at once; deciding takes a person.
    asked = await api.client.post("/api/decisions/submit", headers=engine, json=submission("beacon-17"))
    assert asked.status_code == 200
    assert asked.json() == {"message": "Decision submitted successfully", "analysis_id": "beacon-17"}

    # Until somebody has decided there is nothing to fetch.
    waiting = await api.client.get("/api/decisions/beacon-17/response", headers=engine)
    assert waiting.status_code == 404
    assert waiting.json()["code"] == "decision-pending"

    # The engine is told how its item stands, word for word as it was sent.
    item = await api.client.get("/api/decisions/beacon-17", headers=engine)
    assert fixed(item) == {**submission("beacon-17"), "status": "pending"}

    # An analyst approves one of the actions.
    await api.client.post("/api/decisions/beacon-17/decide", headers=sam, json=verdict("beacon-17"))

    # The response says who decided what, and when.
    response = await api.client.get("/api/decisions/beacon-17/response", headers=engine)
    assert response.status_code == 200
    answer = response.json()
    assert answer["status"] == "approved"
    assert answer["approved_actions"] == ["block_ip"]
    assert answer["decided_by"] == "sam"
    assert answer["decided_at"] > "2026"


async def test_a_machine_that_lost_the_answer_asks_again_without_harm(api: Api) -> None:
    engine = await api.newcomer("engine", "service")
    once = {**engine, "Idempotency-Key": "beacon-17"}

    # The connection breaks after the first request: the engine cannot know whether it arrived …
    first = await api.client.post("/api/decisions/submit", headers=once, json=submission("beacon-17"))
    # … so it sends the same request with the same key again, and gets the first answer.
    again = await api.client.post("/api/decisions/submit", headers=once, json=submission("beacon-17"))

    assert (again.status_code, again.json()) == (200, first.json())
    assert again.headers["Ledger-Position"] == first.headers["Ledger-Position"]
    summary = await api.client.get("/api/decisions/stats/summary", headers=engine)
    assert summary.json()["total_pending"] == 1


async def test_a_machine_sees_its_own_items_and_no_others(api: Api) -> None:
    engine = await api.newcomer("engine", "service")
    scanner = await api.newcomer("scanner", "service")
    await api.client.post("/api/decisions/submit", headers=engine, json=submission("beacon-17"))

    answer = await api.client.get("/api/decisions/beacon-17", headers=scanner)

    # Not "you may not": to a stranger it does not exist.
    assert answer.status_code == 404


async def test_a_machine_keeps_a_receipt_that_convinces_whoever_trusts_nobody(
    api: Api, tmp_path: Path
) -> None:
    engine = await api.newcomer("engine", "service")
    once = {**engine, "Idempotency-Key": "beacon-17"}

    # The answer says what was written down hashes to. From here on it cannot be changed without the engine knowing.
    asked = await api.client.post("/api/decisions/submit", headers=once, json=submission("beacon-17"))
    leaf = bytes.fromhex(asked.headers["Ledger-Leaf-Hash"])

    # A moment later the notary has signed a checkpoint over it.
    await sealed_in(api.ledger, tmp_path)

    # Sent again, to wait for the seal this time, the same request brings the proof.
    sealed = await api.client.post(
        "/api/decisions/submit?wait=sealed", headers=once, json=submission("beacon-17")
    )
    receipt = b64decode(sealed.headers["Ledger-Proof"]).decode()

    # Years later, with the log's public key from the auditor and a program that nobody here wrote: it was in the log.
    proof, keys = Proof.parse(receipt), vkeys_in(api.ledger, tmp_path)
    referee.checkpoint_verify_inclusion(proof.note, keys, proof.index, leaf, list(proof.path))
