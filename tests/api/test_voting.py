"""Votes over HTTP: quorum, four eyes, leases, digests, other parameters; and races for the last vote."""

import asyncio
from collections import Counter

from msgspec.structs import replace

from ledger.domain.terms import Action, ReasonMode
from tests.api.answers import assert_refused, fixed, together, wrong_fields
from tests.builders.decision_events import ITEM, policy
from tests.support.desk import Desk

pytestmark = together

EDITABLE = replace(policy(), editable_parameters=("/source_ip", "/confidence", "/iocs"))


def says(analysis_id: str, status: str = "approved", **more: object) -> dict[str, object]:
    return {
        "decision_id": analysis_id,
        "status": status,
        "approved_actions": ["block_ip"],
        "notes": "Seen.",
        **more,
    }


async def vote(desk: Desk, who: str, analysis_id: str, status: str = "approved", **more: object):
    return await desk.post(who, f"{analysis_id}/decide", says(analysis_id, status, **more))


async def test_votes_below_the_quorum_leave_it_open_and_are_shown_to_people(desk: Desk) -> None:
    await desk.ask("two-of-three", policy=replace(policy(approvals=2, rejections=2), voters=3))

    first = await vote(desk, "sam", "two-of-three")
    assert first.status_code == 200, first.text
    assert (first.json()["status"], first.json()["decided_by"]) == ("pending", "sam")
    item = (await desk.get("ana", "two-of-three")).json()
    assert [(cast["voter"], cast["status"]) for cast in item["votes"]] == [("sam", "approved")]
    assert "votes" not in (await desk.get("engine", "two-of-three")).json()
    assert (await desk.get("engine", "two-of-three/response")).json()["code"] == "decision-pending"

    abstention = await vote(desk, "ana", "two-of-three", "abstained", approved_actions=[])
    assert abstention.json()["status"] == "pending"
    last = await vote(desk, "ben", "two-of-three")
    assert (last.json()["status"], last.json()["decided_by"]) == ("approved", "ben")


async def test_nobody_votes_twice(desk: Desk) -> None:
    await desk.ask("once", policy=policy(approvals=2, rejections=2))
    await vote(desk, "sam", "once")

    again = await vote(desk, "sam", "once", "rejected")

    assert_refused(again, 409)
    assert again.json()["code"] == "already-voted"


async def test_four_eyes_keep_the_submitter_from_approving(desk: Desk) -> None:
    await desk.ask("my-own", by="sam", policy=policy(four_eyes=True))

    refused = await vote(desk, "sam", "my-own")

    assert_refused(refused, 403)
    assert refused.json()["code"] == "self-review"
    assert (await vote(desk, "ana", "my-own")).status_code == 200


async def test_a_policy_may_ask_for_a_reason_and_forbid_actions(desk: Desk) -> None:
    await desk.ask("reasoned", policy=policy(reason=ReasonMode.ALWAYS, allowed=(Action.BLOCK_IP,)))

    unreasoned = await vote(desk, "sam", "reasoned", notes="  ")
    assert (unreasoned.status_code, unreasoned.json()["code"]) == (400, "reason-required")
    excessive = await vote(desk, "sam", "reasoned", approved_actions=["activate_killswitch"])
    assert (excessive.status_code, excessive.json()["code"]) == (400, "action-not-allowed")
    assert excessive.json()["context"]["actions"] == "activate_killswitch"


async def test_a_policy_may_ask_for_a_fresh_factor(desk: Desk) -> None:
    await desk.ask("stepped-up", policy=policy(step_up_seconds=120))

    refused = await vote(desk, "sam", "stepped-up")

    assert_refused(refused, 401, "second factor")
    assert 'max_age="120"' in refused.headers["www-authenticate"]


async def test_a_verdict_names_the_lease_and_what_was_shown(desk: Desk) -> None:
    digest = await desk.ask("held")
    lease_id = await desk.claim("held", "sam")
    lease = (await desk.get("ana", "held")).json()["lease"]
    assert (lease["holder"], lease["lease_id"], lease["fencing_token"]) == ("sam", str(lease_id), 1)

    other = await vote(desk, "sam", "held", lease_id=str(lease_id), fencing_token=2)
    assert (other.status_code, other.json()["code"]) == (409, "lease-lost")
    stale = await vote(desk, "sam", "held", subject_digest="0" * 64)
    assert (stale.status_code, stale.json()["code"]) == (409, "subject-changed")
    assert stale.json()["context"]["current"] == digest

    answer = await vote(desk, "sam", "held", lease_id=str(lease_id), fencing_token=1, subject_digest=digest)
    assert answer.status_code == 200, answer.text
    assert answer.json()["subject_digest"] == answer.json()["approved_digest"] == digest


async def test_an_approval_with_other_parameters_shows_both_values(desk: Desk) -> None:
    digest = await desk.ask("edited", policy=EDITABLE)
    wishes = {"/source_ip": "198.51.100.7", "/confidence": 10, "/iocs/0": "other.example"}

    answer = await vote(desk, "sam", "edited", changed_parameters=wishes)

    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert told["changes"] == [
        {"pointer": "/source_ip", "before": "203.0.113.9", "after": "198.51.100.7"},
        {"pointer": "/confidence", "before": 89.5, "after": 10},
        {"pointer": "/iocs/0", "before": "evil.example", "after": "other.example"},
    ]
    assert told["subject_digest"] == digest != told["approved_digest"]
    assert (await desk.get("engine", "edited/response")).json() == told

    refused = await desk.post("engine", "edited/redeem", {"digest": digest})
    assert (refused.status_code, refused.json()["code"]) == (409, "digest-differs")
    assert (
        await desk.post("engine", "edited/redeem", {"digest": told["approved_digest"]})
    ).status_code == 200


async def test_a_value_that_stays_the_same_changes_nothing(desk: Desk) -> None:
    digest = await desk.ask("unedited", policy=EDITABLE)

    answer = await vote(desk, "sam", "unedited", changed_parameters={"/source_ip": ITEM.source_ip})

    assert "changes" not in answer.json()
    assert answer.json()["approved_digest"] == digest


async def test_parameters_that_could_not_be_submitted_cannot_be_approved(desk: Desk) -> None:
    await desk.ask("misfit", policy=EDITABLE)
    for wishes, place in (
        ({"/confidence": 101}, "/payload/confidence"),
        ({"/source_ip": "x" * 2_001}, "/payload/source_ip"),
        ({"/iocs": ["x"] * 1_001}, "/payload/iocs"),
    ):
        refused = await vote(desk, "sam", "misfit", changed_parameters=wishes)
        assert (refused.status_code, refused.json()["code"]) == (422, "invalid-payload")
        assert place in wrong_fields(refused)
    for wishes, code in (
        ({"/threat_level": "low"}, "parameter-not-editable"),
        ({"/source_ip": 7}, "parameter-does-not-fit"),
        ({"/iocs/7": "x"}, "unknown-parameter"),
    ):
        refused = await vote(desk, "sam", "misfit", changed_parameters=wishes)
        assert (refused.status_code, refused.json()["code"]) == (409, code)
    rejected = await vote(desk, "sam", "misfit", "rejected", changed_parameters={"/confidence": 1})
    assert (rejected.status_code, rejected.json()["code"]) == (409, "only-approvals-change")
    assert len(await desk.events("misfit")) == 1


async def test_what_comes_with_a_verdict_is_well_formed(desk: Desk) -> None:
    await desk.ask("ill-formed", policy=EDITABLE)
    lease = "00000000-0000-0000-0000-000000000001"
    for more, field in (
        ({"lease_id": lease}, "lease_id"),
        ({"fencing_token": 1}, "lease_id"),
        ({"lease_id": "no uuid", "fencing_token": 1}, "lease_id"),
        ({"lease_id": lease, "fencing_token": 2**31}, "fencing_token"),
        ({"subject_digest": "ABC"}, "subject_digest"),
        ({"changed_parameters": ["/source_ip"]}, "changed_parameters"),
        ({"changed_parameters": {"/source_ip": "a\0b"}}, "changed_parameters"),
        ({"changed_parameters": {f"/{number}": 1 for number in range(101)}}, "changed_parameters"),
    ):
        assert wrong_fields(await vote(desk, "sam", "ill-formed", **more)) == {field}
    assert len(await desk.events("ill-formed")) == 1


async def test_fifty_votes_at_once_settle_three_of_five_exactly_once(desk: Desk) -> None:
    terms = replace(policy(approvals=3, rejections=3), voters=5)
    await desk.ask("raced-for", policy=terms)
    voters = [f"voter-{number}" for number in range(10)]
    await asyncio.gather(*(desk.seat(name) for name in voters))

    answers = await asyncio.gather(
        *(
            vote(desk, voters[number % 10], "raced-for", ("approved", "rejected")[number // 5 % 2])
            for number in range(50)
        )
    )

    codes = Counter(answer.json().get("code", "voted") for answer in answers)
    assert set(codes) <= {"voted", "already-voted", "already-made", "version-conflict"}
    types = Counter(type(event).__name__ for event in await desk.events("raced-for"))
    assert types["DecisionResolved"] == 1
    assert codes["voted"] == types["VoteCast"] in {3, 4, 5}
    item = (await desk.get("ana", "raced-for")).json()
    assert len({cast["voter"] for cast in item["votes"]}) == len(item["votes"]) == types["VoteCast"]
    response = (await desk.get("engine", "raced-for/response")).json()
    settled = [answer for answer in answers if answer.json().get("status") in {"approved", "rejected"}]
    assert [fixed(answer) for answer in settled] == [fixed(response)]


async def test_an_escalation_holds_to_what_it_names(desk: Desk) -> None:
    digest = await desk.ask("moved-up")
    old = await desk.claim("moved-up", "ana")
    await desk.post("ana", "moved-up/release", {"lease_id": str(old)})
    lease_id = str(await desk.claim("moved-up", "sam", token=2))
    up = {"approved_actions": [], "escalation_reason": "beyond me"}

    for wrong, code in (
        ({"subject_digest": "0" * 64}, "subject-changed"),
        ({"lease_id": str(old), "fencing_token": 1}, "lease-lost"),
        ({"changed_parameters": {"/source_ip": "198.51.100.7"}}, "only-approvals-change"),
    ):
        refused = await vote(desk, "sam", "moved-up", "escalated", **up, **wrong)
        assert_refused(refused, 409)
        assert refused.json()["code"] == code
    named = {"lease_id": lease_id, "fencing_token": 2, "subject_digest": digest}
    assert (await vote(desk, "sam", "moved-up", "escalated", **up, **named)).status_code == 200
