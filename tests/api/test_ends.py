"""How a decision ends without a vote, and what its submitter does with the answer."""

import asyncio
from collections import Counter
from datetime import timedelta

from msgspec.structs import replace

from ledger.domain.decision.events import Choice
from ledger.domain.terms import DefaultOutcome, Risk
from tests.api.answers import assert_refused, together
from tests.builders.decision_events import policy, resolved, voted
from tests.builders.workflow_events import timed_out
from tests.support.desk import Desk

pytestmark = together

OVERRIDE = {
    "outcome": "approved",
    "approved_actions": ["block_ip"],
    "reason": "it spreads",
    "ticket": "INC-7",
}


async def approved(desk: Desk, analysis_id: str, **terms: object) -> str:
    """A decision that has been approved; what may be redeemed."""
    await desk.ask(analysis_id, policy=replace(policy(), **terms))
    answer = await desk.post(
        "sam",
        f"{analysis_id}/decide",
        {"decision_id": analysis_id, "status": "approved", "approved_actions": ["block_ip"], "notes": ""},
    )
    assert answer.status_code == 200, answer.text
    return str(answer.json()["approved_digest"])


async def test_a_submitter_withdraws_what_they_asked(desk: Desk) -> None:
    await desk.ask("withdrawn")

    answer = await desk.post("engine", "withdrawn/withdraw", {"reason": "false alarm"})

    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert (told["status"], told["notes"], told["decided_by"]) == ("withdrawn", "false alarm", "engine")
    assert (await desk.get("engine", "withdrawn/response")).json() == told
    item = (await desk.get("sam", "withdrawn")).json()
    assert item["status"] == "withdrawn"
    assert answer.headers["etag"] == '"2"'


async def test_a_withdrawal_needs_no_reason_and_no_body(desk: Desk) -> None:
    await desk.ask("withdrawn-plainly")

    assert (await desk.post("engine", "withdrawn-plainly/withdraw")).status_code == 200


async def test_a_superseded_decision_names_its_successor(desk: Desk) -> None:
    await desk.ask("older")
    await desk.ask("newer")

    answer = await desk.post("engine", "older/supersede", {"successor": "newer"})

    assert answer.status_code == 200, answer.text
    assert (answer.json()["status"], answer.json()["successor"]) == ("superseded", "newer")


async def test_an_administrator_cancels(desk: Desk) -> None:
    await desk.ask("cancelled")

    answer = await desk.post("ada", "cancelled/cancel", {"reason": "a drill"})

    assert answer.status_code == 200, answer.text
    assert (answer.json()["status"], answer.json()["decided_by"]) == ("cancelled", "ada")


async def test_an_override_asks_for_a_fresh_factor_and_opens_a_duty(desk: Desk) -> None:
    await desk.ask("broken-glass", policy=policy(approvals=3))

    refused = await desk.post("ada", "broken-glass/override", OVERRIDE)
    assert_refused(refused, 401, "second factor")
    challenge = 'Bearer error="insufficient_user_authentication", max_age="300"'
    assert refused.headers["www-authenticate"] == challenge

    await desk.with_fresh_factor("ada")
    other = await desk.post("ada", "broken-glass/override", {**OVERRIDE, "subject_digest": "0" * 64})
    assert_refused(other, 409, "not what you were shown")

    answer = await desk.post("ada", "broken-glass/override", OVERRIDE)
    assert answer.status_code == 200, answer.text
    assert (answer.json()["status"], answer.json()["decided_by"]) == ("approved", "ada")
    duty = (await desk.get("sam", "broken-glass")).json()["override"]
    assert (duty["by"], duty["ticket"], duty["standing"], duty["countersigned_by"]) == (
        "ada",
        "INC-7",
        "open",
        None,
    )

    assert_refused(await desk.post("ada", "broken-glass/countersign", {}), 403)
    assert_refused(await desk.post("admin", "broken-glass/countersign"), 401, "second factor")
    await desk.with_fresh_factor("admin")
    signed = await desk.post("admin", "broken-glass/countersign", {"notes": "agreed"})
    assert signed.status_code == 200, signed.text
    duty = (await desk.get("sam", "broken-glass")).json()["override"]
    assert (duty["standing"], duty["countersigned_by"]) == ("countersigned", "admin")
    assert "override" not in (await desk.get("engine", "broken-glass")).json()


async def test_an_approval_is_redeemed_once_and_its_outcome_told(desk: Desk) -> None:
    digest = await approved(desk, "redeemed")
    assert (await desk.get("engine", "redeemed/response")).json()["approved_digest"] == digest

    answer = await desk.post("engine", "redeemed/redeem", {"digest": digest})
    assert answer.status_code == 200, answer.text
    assert answer.json()["digest"] == digest
    again = await desk.post("engine", "redeemed/redeem", {"digest": digest})
    assert_refused(again, 409, "used")
    assert again.json()["code"] == "already-redeemed"

    told = await desk.post("engine", "redeemed/outcome", {"succeeded": False, "details": "host is gone"})
    assert told.status_code == 200, told.text
    item = (await desk.get("engine", "redeemed")).json()
    assert item["redeemed_at"] == answer.json()["redeemed_at"]
    assert (item["outcome"]["succeeded"], item["outcome"]["details"]) == (False, "host is gone")


async def test_a_lost_answer_to_a_redemption_is_asked_for_again_by_its_key(desk: Desk) -> None:
    digest = await approved(desk, "redeemed-again")

    first, again = [
        await desk.post("engine", "redeemed-again/redeem", {"digest": digest}, idempotency_key="one-use")
        for _ in range(2)
    ]

    assert (first.status_code, again.status_code) == (200, 200)
    assert first.json() == again.json()


async def test_of_fifty_who_redeem_at_once_one_succeeds(desk: Desk) -> None:
    digest = await approved(desk, "raced")

    answers = await asyncio.gather(
        *(desk.post("engine", "raced/redeem", {"digest": digest}) for _ in range(50))
    )

    assert Counter(answer.status_code for answer in answers) == {200: 1, 409: 49}
    refused = {answer.json()["code"] for answer in answers if answer.status_code == 409}
    assert refused <= {"already-redeemed", "version-conflict"}
    types = [type(event).__name__ for event in await desk.events("raced")]
    assert types.count("ResponseRedeemed") == 1


async def test_what_expired_by_a_default_that_approves_can_be_redeemed(desk: Desk) -> None:
    terms = replace(policy(), deadline_seconds=60, default_outcome=DefaultOutcome.APPROVE, risk=Risk.LOW)
    digest = await desk.ask("defaulted", policy=terms, ago=61)
    item = (await desk.get("sam", "defaulted")).json()
    assert item["status"] == "expired", "before anybody has written it down"
    await desk.happened("defaulted", timed_out(default=DefaultOutcome.APPROVE, at=desk.now()))

    response = (await desk.get("engine", "defaulted/response")).json()
    assert (response["status"], response["default_outcome"]) == ("expired", "approve")
    assert (response["decided_by"], response["approved_digest"]) == (None, digest)
    assert (await desk.post("engine", "defaulted/redeem", {"digest": digest})).status_code == 200


async def test_an_old_approval_says_until_when_it_was_good(desk: Desk) -> None:
    await desk.ask("stale", policy=replace(policy(), redeem_seconds=60), ago=300)
    at = desk.now() - timedelta(seconds=120)
    sam = desk.people["sam"].person
    verdict = resolved(sam, at=at)
    await desk.happened("stale", voted(sam, choice=Choice.APPROVE, at=at), verdict)

    refused = await desk.post("engine", "stale/redeem", {"digest": verdict.subject_digest})

    assert_refused(refused, 409)
    assert refused.json()["code"] == "approval-expired"
    assert "valid_until" in refused.json()["context"]
