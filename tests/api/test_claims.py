"""Claims: two people never do the same item, and whoever comes second is told who was first."""

from datetime import datetime, timedelta

import pytest
from httpx import Response
from msgspec.structs import replace

from ledger.domain.decision.events import ClaimReleased, DecisionAssigned, DecisionClaimed, ReleaseCause
from tests.api.answers import assert_refused, together, wrong_fields
from tests.builders.decision_events import policy
from tests.support.desk import Desk
from tests.support.http import ADMIN

pytestmark = together

CALLS = ("claim", "renew", "release", "hand-over", "accept", "assign", "reprioritise")


async def lead(desk: Desk, name: str) -> None:
    """Make an analyst a lead."""
    answer = await desk.api.client.post(
        f"/api/auth/users/{name}/lead",
        headers=desk.people[ADMIN].headers,
        json={"lead": True, "reason": "x"},
    )
    assert answer.status_code == 200, answer.text


async def claimed(desk: Desk, analysis_id: str, who: str = "ana", **body: object) -> dict:
    answer = await desk.post(who, f"{analysis_id}/claim", body or None)
    assert answer.status_code == 200, answer.text
    return answer.json()["lease"]


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


async def test_whoever_claims_is_shown_the_item_with_their_lease(desk: Desk) -> None:
    digest = await desk.ask("shown")

    answer = await desk.post("ana", "shown/claim")

    assert answer.status_code == 200, answer.text
    item = answer.json()
    assert (item["analysis_id"], item["status"], item["subject_digest"]) == ("shown", "in_review", digest)
    assert (item["lease"]["holder"], item["lease"]["fencing_token"]) == ("ana", 1)
    assert timedelta(minutes=4) < moment(item["lease"]["expires_at"]) - desk.now() <= timedelta(minutes=5)
    assert answer.headers["etag"] == '"2"'
    assert (await desk.get("ben", "shown")).json() == item


async def test_the_second_one_hears_who_holds_it_and_until_when(desk: Desk) -> None:
    await desk.ask("held")
    lease = await claimed(desk, "held")

    answer = await desk.post("ben", "held/claim")

    assert_refused(answer, 409, "Somebody else is reviewing it")
    assert answer.json()["context"] == {
        "decision_id": "held",
        "holder": "ana",
        "expires_at": lease["expires_at"],
    }
    assert answer.json()["code"] == "lease-held"


async def test_what_the_same_session_holds_it_may_claim_again(desk: Desk) -> None:
    await desk.ask("again")
    lease = await claimed(desk, "again")

    assert await claimed(desk, "again") == lease
    assert len(await desk.events("again")) == 2


async def test_another_session_of_the_same_person_takes_over_with_a_reason(desk: Desk) -> None:
    await desk.ask("two-screens")
    first = await claimed(desk, "two-screens")
    elsewhere = {"headers": await desk.api.login("ana")}
    path = "/api/decisions/two-screens/claim"

    refused = await desk.api.client.post(path, **elsewhere)
    taken = await desk.api.client.post(path, **elsewhere, json={"reason": "the other one is at home"})

    assert_refused(refused, 409)
    assert taken.status_code == 200, taken.text
    assert taken.json()["lease"]["fencing_token"] == 2
    assert taken.json()["lease"]["lease_id"] != first["lease_id"]


async def test_a_lead_takes_over_and_the_first_holder_hears_who_has_it(desk: Desk) -> None:
    await desk.seat("lea")
    await lead(desk, "lea")
    await desk.ask("taken-over")
    lease = await claimed(desk, "taken-over")

    without_reason = await desk.post("lea", "taken-over/claim")
    taken = await claimed(desk, "taken-over", "lea", reason="Ana is at lunch.")

    assert_refused(without_reason, 409)
    assert (taken["holder"], taken["fencing_token"]) == ("lea", 2)
    late = await desk.post("ana", "taken-over/renew", {"lease_id": lease["lease_id"]})
    assert_refused(late, 409, "You do not hold it any more")
    assert late.json()["context"] == {"decision_id": "taken-over", "holder": "lea"}


async def test_renewing_moves_the_end_and_releasing_gives_it_back(desk: Desk) -> None:
    await desk.ask("kept")
    lease = await claimed(desk, "kept")
    named = {"lease_id": lease["lease_id"]}

    renewed = await desk.post("ana", "kept/renew", named)
    released = await desk.post("ana", "kept/release", named)

    assert renewed.status_code == released.status_code == 200
    assert moment(renewed.json()["lease"]["expires_at"]) > moment(lease["expires_at"])
    assert released.json()["status"] == "pending"
    assert "lease" not in released.json()
    assert (await claimed(desk, "kept", "ben"))["fencing_token"] == 2
    assert_refused(await desk.post("ana", "kept/release", named), 409)


async def test_a_colleague_takes_over_what_was_offered_to_them(desk: Desk) -> None:
    await desk.ask("offered")
    lease = await claimed(desk, "offered")

    too_soon = await desk.post("ben", "offered/accept")
    offered = await desk.post("ana", "offered/hand-over", {"lease_id": lease["lease_id"], "to": "BEN"})
    somebody_else = await desk.post("sam", "offered/accept")
    accepted = await desk.post("ben", "offered/accept", {})

    assert too_soon.json()["code"] == somebody_else.json()["code"] == "nothing-offered"
    assert offered.status_code == accepted.status_code == 200
    assert offered.json()["lease"]["holder"] == "ana"
    assert (accepted.json()["lease"]["holder"], accepted.json()["lease"]["fencing_token"]) == ("ben", 2)


@pytest.mark.parametrize(
    ("to", "status", "code"),
    [
        ("vic", 409, "colleague-cannot-review"),
        ("engine", 409, "colleague-cannot-review"),
        ("ana", 409, "handover-to-yourself"),
        ("nobody", 422, "invalid-request"),
    ],
)
async def test_it_is_handed_to_a_colleague_who_can_decide_it(
    desk: Desk, to: str, status: int, code: str
) -> None:
    await desk.ask(f"to-{to}")
    lease = await claimed(desk, f"to-{to}")

    answer = await desk.post("ana", f"to-{to}/hand-over", {"lease_id": lease["lease_id"], "to": to})

    assert_refused(answer, status)
    assert answer.json()["code"] == code
    assert len(await desk.events(f"to-{to}")) == 2


async def test_what_is_assigned_is_for_one_person_and_others_hear_for_whom(desk: Desk) -> None:
    await desk.ask("assigned")
    await claimed(desk, "assigned", "sam")

    answer = await desk.post("ada", "assigned/assign", {"to": "ben", "reason": "He knows the host."})

    assert answer.status_code == 200, answer.text
    assert (answer.json()["assigned_to"], answer.json()["status"]) == ("ben", "pending")
    *_, released, assigned = await desk.events("assigned")
    assert isinstance(released, ClaimReleased)
    assert released.cause is ReleaseCause.ASSIGNED
    assert isinstance(assigned, DecisionAssigned)
    refused = await desk.post("ana", "assigned/claim")
    assert_refused(refused, 409, "assigned to somebody else")
    assert refused.json()["context"]["assigned_to"] == "ben"
    await claimed(desk, "assigned", "ben")

    free = await desk.post("ada", "assigned/assign", {"to": None, "reason": "No hurry."})
    assert "assigned_to" not in free.json()


async def test_a_higher_priority_is_shown_beside_the_one_that_was_asked(desk: Desk) -> None:
    digest = await desk.ask("urgent")

    answer = await desk.post("ada", "urgent/reprioritise", {"priority": "critical", "reason": "It spreads."})

    item = answer.json()
    assert (item["priority"], item["asked_priority"], item["subject_digest"]) == ("critical", "high", digest)


@pytest.mark.parametrize(
    ("path", "body"),
    [("assign", {"to": "ben", "reason": "x"}), ("reprioritise", {"priority": "low", "reason": "x"})],
)
async def test_leads_and_administrators_assign_and_reprioritise(desk: Desk, path: str, body: dict) -> None:
    await desk.ask(f"led-{path}")

    answer = await desk.post("ana", f"led-{path}/{path}", body)

    assert_refused(answer, 403, "lead")
    assert answer.json()["code"] == "lead-required"


async def test_four_eyes_keep_the_submitter_from_claiming(desk: Desk) -> None:
    await desk.ask("own", by="ana", policy=policy(four_eyes=True))

    answer = await desk.post("ana", "own/claim")

    assert_refused(answer, 403)
    assert answer.json()["code"] == "self-review"


async def test_it_is_for_members_of_its_groups(desk: Desk) -> None:
    await desk.ask("for-the-lab", policy=replace(policy(), reviewers=("lab", "night")))
    refused = await desk.post("ana", "for-the-lab/claim")
    placed = await desk.api.client.post(
        "/api/auth/users/ana/groups",
        headers=desk.people[ADMIN].headers,
        json={"groups": ["night"], "reason": "x"},
    )
    assert placed.status_code == 200, placed.text

    assert_refused(refused, 403)
    assert refused.json()["context"]["groups"] == "lab, night"
    await claimed(desk, "for-the-lab", "ana")


async def test_a_verdict_needs_the_lease_once_others_have_held_it(desk: Desk) -> None:
    await desk.ask("overtaken")
    mine = await claimed(desk, "overtaken")
    await desk.post("ana", "overtaken/release", {"lease_id": mine["lease_id"]})
    theirs = await claimed(desk, "overtaken", "ben")
    await desk.post("ben", "overtaken/release", {"lease_id": theirs["lease_id"]})
    verdict = {"decision_id": "overtaken", "status": "approved", "approved_actions": [], "notes": ""}

    stale = await desk.post("ana", "overtaken/decide", verdict)
    again = await claimed(desk, "overtaken")
    named = {"lease_id": again["lease_id"], "fencing_token": again["fencing_token"]}
    good = await desk.post("ana", "overtaken/decide", {**verdict, **named})

    assert_refused(stale, 409)
    assert stale.json()["code"] == "lease-lost"
    assert good.status_code == 200, good.text


async def test_what_is_decided_cannot_be_claimed(desk: Desk) -> None:
    await desk.ask("decided")
    verdict = {"decision_id": "decided", "status": "rejected", "approved_actions": [], "notes": ""}
    await desk.post("ben", "decided/decide", verdict)

    answer = await desk.post("ana", "decided/claim")

    assert_refused(answer, 409, "already made")
    assert answer.json()["context"]["decided_by"] == "ben"


async def test_a_claim_sent_again_gets_the_first_answer_after_all_that_came_since(desk: Desk) -> None:
    await desk.ask("keyed")
    first = await desk.post("ana", "keyed/claim", {}, Idempotency_Key="claim-1")
    lease = {"lease_id": first.json()["lease"]["lease_id"]}
    await desk.post("ana", "keyed/release", lease, Idempotency_Key="release-1")
    await claimed(desk, "keyed", "ben")

    again = await desk.post("ana", "keyed/claim", {}, Idempotency_Key="claim-1")

    assert (again.status_code, again.content) == (first.status_code, first.content)
    assert again.headers["etag"] == first.headers["etag"]
    assert [type(event) for event in await desk.events("keyed")].count(DecisionClaimed) == 2


async def test_a_claim_of_another_version_is_refused(desk: Desk) -> None:
    await desk.ask("versioned")
    await claimed(desk, "versioned")

    answer = await desk.post("ben", "versioned/claim", {}, If_Match='"1"')

    assert_refused(answer, 412)
    assert answer.json()["context"]["since"] == "decision-claimed"


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("who", ["engine", "vic"])
async def test_machines_and_viewers_work_on_nothing(desk: Desk, call: str, who: str) -> None:
    assert_refused(await desk.post(who, f"anything/{call}", {}), 403)


@pytest.mark.parametrize(
    ("call", "body"),
    [
        ("claim", None),
        ("renew", {"lease_id": "00000000-0000-4000-8000-000000000001"}),
        ("accept", None),
        ("assign", {"to": None, "reason": "x"}),
        ("reprioritise", {"priority": "low", "reason": "x"}),
    ],
)
async def test_what_nobody_submitted_is_not_there(desk: Desk, call: str, body: object) -> None:
    assert_refused(await desk.post("ada", f"nowhere/{call}", body), 404, "not found")


@pytest.mark.parametrize(
    ("call", "body", "fields"),
    [
        ("claim", {"reason": 1}, {"reason"}),
        ("claim", {"raeson": ""}, {"body"}),
        ("renew", {}, {"lease_id"}),
        ("renew", {"lease_id": "7"}, {"lease_id"}),
        ("hand-over", {"lease_id": "7", "to": ""}, {"lease_id", "to"}),
        ("assign", {"reason": ""}, {"to", "reason"}),
        ("reprioritise", {"priority": "urgent", "reason": "x"}, {"priority"}),
    ],
)
async def test_every_wrong_field_is_named(desk: Desk, call: str, body: dict, fields: set[str]) -> None:
    await desk.ask("strict") if not await desk.events("strict") else None

    answer: Response = await desk.post("ada", f"strict/{call}", body)

    assert wrong_fields(answer) == fields
    assert len(await desk.events("strict")) == 1
