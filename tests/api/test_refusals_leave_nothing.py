"""Every refusal has its own code and status, says what it is about, and leaves no event."""

from collections.abc import Awaitable, Callable
from typing import Final

import msgspec
import pytest
from msgspec.structs import replace

from ledger.domain.decision.events import Outcome
from tests.api.answers import assert_refused, together
from tests.builders.decision_events import DIGEST as SUBJECT
from tests.builders.decision_events import policy, resolved, voted
from tests.builders.workflow_events import (
    cancelled,
    countersigned,
    information_requested,
    outcome_reported,
    overridden,
    redeemed,
    timed_out,
)
from tests.support.desk import Desk
from tests.support.http import submission

LEASE: Final = "00000000-0000-0000-0000-000000000001"
OVERRIDE: Final = {"outcome": "approved", "approved_actions": [], "reason": "now", "ticket": "INC-7"}
VERDICT: Final = {"status": "approved", "approved_actions": [], "notes": ""}

Scene = Callable[[Desk, str], Awaitable[None]]


async def nothing(desk: Desk, analysis_id: str) -> None:
    """Nobody submitted it."""


async def waiting(desk: Desk, analysis_id: str) -> None:
    await desk.ask(analysis_id)


async def approved(desk: Desk, analysis_id: str) -> None:
    await desk.ask(analysis_id)
    await desk.happened(analysis_id, voted(_sam(desk)), resolved(_sam(desk), at=desk.now()))


async def rejected(desk: Desk, analysis_id: str) -> None:
    await desk.ask(analysis_id)
    await desk.happened(analysis_id, voted(_sam(desk)), resolved(_sam(desk), outcome=Outcome.REJECTED))


async def counted(desk: Desk, analysis_id: str) -> None:
    await desk.ask(analysis_id, policy=policy(approvals=2))
    await desk.happened(analysis_id, voted(_sam(desk)))


async def used_up(desk: Desk, analysis_id: str) -> None:
    await approved(desk, analysis_id)
    engine = desk.people["engine"].person
    await desk.happened(analysis_id, redeemed(engine, at=desk.now()), outcome_reported(engine))


async def closed(desk: Desk, analysis_id: str) -> None:
    await desk.ask(analysis_id)
    await desk.happened(analysis_id, cancelled(_ada(desk)))


async def expired(desk: Desk, analysis_id: str) -> None:
    await desk.ask(analysis_id)
    await desk.happened(analysis_id, timed_out(at=desk.now()))


async def overdue(desk: Desk, analysis_id: str) -> None:
    await desk.ask(analysis_id, policy=replace(policy(), deadline_seconds=60), ago=61)


async def asked(desk: Desk, analysis_id: str) -> None:
    await desk.ask(analysis_id)
    await desk.claim(analysis_id, "sam")
    await desk.happened(analysis_id, information_requested(_sam(desk), at=desk.now()))


async def held(desk: Desk, analysis_id: str) -> None:
    await desk.ask(analysis_id)
    await desk.claim(analysis_id, "ana")


async def overruled(desk: Desk, analysis_id: str) -> None:
    await desk.ask(analysis_id)
    await desk.happened(analysis_id, overridden(_ada(desk), at=desk.now(), countersign_by=desk.now()))


async def signed(desk: Desk, analysis_id: str) -> None:
    await overruled(desk, analysis_id)
    await desk.happened(analysis_id, countersigned(desk.people["admin"].person))


def _sam(desk: Desk):
    return desk.people["sam"].person


def _ada(desk: Desk):
    return desk.people["ada"].person


class Refusal(msgspec.Struct, frozen=True):
    """Who calls what in which scene, and what they are told."""

    call: str
    who: str
    scene: Scene
    body: dict[str, object]
    status: int
    code: str

    def __str__(self) -> str:
        return f"{self.call}-{self.scene.__name__}-{self.code}"


DIGEST: Final = {"digest": "0" * 64}
SUPERSEDE: Final = {"successor": "no-such-decision"}
WHY: Final = {"reason": "a drill"}
ASK: Final = {"lease_id": LEASE, "question": "Which host?"}
ANSWER: Final = {"answer": "The build host."}
TEXT: Final = {"text": "Seen before."}
ENDED: Final = ((approved, "already-made"), (closed, "decision-closed"), (overdue, "deadline-passed"))

OF_EVERY_END: Final = tuple(
    Refusal(call, who, scene, body, 409, code)
    for scene, code in ENDED
    for call, who, body in (
        ("withdraw", "engine", {}),
        ("supersede", "engine", SUPERSEDE),
        ("cancel", "ada", WHY),
        ("override", "ada", OVERRIDE),
        ("request-information", "sam", ASK),
        ("provide-information", "engine", ANSWER),
    )
)
OF_NOTHING: Final = tuple(
    Refusal(call, who, nothing, body, 404, "decision-not-found")
    for call, who, body in (
        ("withdraw", "engine", {}),
        ("supersede", "engine", SUPERSEDE),
        ("cancel", "ada", WHY),
        ("override", "ada", OVERRIDE),
        ("countersign", "ada", {}),
        ("comment", "sam", TEXT),
        ("request-information", "sam", ASK),
        ("provide-information", "engine", ANSWER),
        ("redeem", "engine", DIGEST),
        ("outcome", "engine", {"succeeded": True}),
        ("decide", "sam", VERDICT),
    )
)
OF_OTHERS: Final = tuple(
    Refusal(call, who, scene, body, *told)
    for who, told in (("other-engine", (404, "decision-not-found")), ("sam", (403, "not-the-submitter")))
    for call, scene, body in (
        ("withdraw", waiting, {}),
        ("supersede", waiting, SUPERSEDE),
        ("provide-information", asked, ANSWER),
        ("redeem", approved, DIGEST),
        ("outcome", approved, {"succeeded": True}),
    )
)
OF_ROLES: Final = tuple(
    Refusal(call, who, waiting, body, 403, code)
    for call, who, body, code in (
        ("withdraw", "vic", {}, "insufficient-permissions"),
        ("comment", "vic", TEXT, "insufficient-permissions"),
        ("cancel", "sam", WHY, "admin-required"),
        ("override", "sam", OVERRIDE, "admin-required"),
        ("countersign", "engine", {}, "admin-required"),
        ("request-information", "engine", ASK, "insufficient-permissions"),
        ("decide", "engine", VERDICT, "insufficient-permissions"),
    )
)
REFUSALS: Final = (
    *OF_EVERY_END,
    *OF_NOTHING,
    *OF_OTHERS,
    *OF_ROLES,
    Refusal("withdraw", "engine", expired, {}, 409, "decision-closed"),
    Refusal("supersede", "engine", waiting, SUPERSEDE, 409, "no-successor"),
    Refusal("withdraw", "engine", waiting, {"reason": " \n"}, 422, "reason-missing"),
    Refusal("supersede", "engine", waiting, {**SUPERSEDE, "reason": " "}, 422, "reason-missing"),
    Refusal("cancel", "ada", waiting, {"reason": "  "}, 422, "reason-missing"),
    Refusal("cancel", "ada", waiting, {}, 422, "invalid-request"),
    Refusal("override", "ada", waiting, {**OVERRIDE, "reason": " "}, 422, "reason-missing"),
    Refusal("override", "ada", waiting, {**OVERRIDE, "ticket": " "}, 422, "ticket-required"),
    Refusal("override", "ada", waiting, {**OVERRIDE, "outcome": "escalated"}, 422, "invalid-request"),
    Refusal("override", "ada", waiting, OVERRIDE, 401, "step-up-required"),
    Refusal("countersign", "admin", approved, {}, 409, "nothing-to-countersign"),
    Refusal("countersign", "admin", signed, {}, 409, "nothing-to-countersign"),
    Refusal("countersign", "admin", overruled, {}, 409, "countersign-too-late"),
    Refusal("comment", "sam", waiting, {"text": " \n"}, 422, "nothing-said"),
    Refusal("comment", "sam", waiting, {"text": ""}, 422, "invalid-request"),
    Refusal("comment", "sam", waiting, {**TEXT, "colour": "red"}, 422, "invalid-request"),
    Refusal("comment", "other-engine", waiting, TEXT, 404, "decision-not-found"),
    Refusal("request-information", "sam", waiting, ASK, 409, "lease-lost"),
    Refusal("assign", "ada", counted, {"to": "sam", **WHY}, 409, "already-voted"),
    Refusal("request-information", "sam", held, ASK, 409, "lease-lost"),
    Refusal("provide-information", "engine", waiting, ANSWER, 409, "nothing-was-asked"),
    Refusal("provide-information", "engine", asked, {"answer": " "}, 422, "nothing-said"),
    Refusal("redeem", "engine", waiting, DIGEST, 409, "not-approved"),
    Refusal("redeem", "engine", rejected, DIGEST, 409, "not-approved"),
    Refusal("redeem", "engine", closed, DIGEST, 409, "not-approved"),
    Refusal("redeem", "engine", approved, DIGEST, 409, "digest-differs"),
    Refusal("redeem", "engine", overruled, {"digest": SUBJECT}, 409, "override-not-countersigned"),
    Refusal("redeem", "engine", used_up, DIGEST, 409, "already-redeemed"),
    Refusal("redeem", "engine", approved, {"digest": "short"}, 422, "invalid-request"),
    Refusal("outcome", "engine", waiting, {"succeeded": True}, 409, "not-approved"),
    Refusal("outcome", "engine", used_up, {"succeeded": True}, 409, "outcome-already-reported"),
    Refusal("outcome", "engine", approved, {"succeeded": "yes"}, 422, "invalid-request"),
    Refusal("decide", "sam", approved, VERDICT, 400, "already-made"),
    Refusal("decide", "sam", closed, VERDICT, 400, "decision-closed"),
    Refusal("decide", "sam", overdue, VERDICT, 400, "deadline-passed"),
    Refusal("decide", "sam", held, VERDICT, 409, "lease-held"),
)


@together
@pytest.mark.parametrize("refusal", REFUSALS, ids=str)
async def test_a_refused_call_says_why_and_leaves_no_event(
    desk: Desk, refusal: Refusal, request: pytest.FixtureRequest
) -> None:
    analysis_id = f"refused-{REFUSALS.index(refusal)}"
    await refusal.scene(desk, analysis_id)
    before = await desk.events(analysis_id)
    body = {"decision_id": analysis_id} if refusal.call == "decide" else {}

    answer = await desk.post(refusal.who, f"{analysis_id}/{refusal.call}", {**body, **refusal.body})

    assert_refused(answer, refusal.status)
    assert answer.json()["code"] == refusal.code
    assert await desk.events(analysis_id) == before
    ids = {str(person.person) for person in desk.people.values()}
    assert not [one for one in ids if one in answer.text], "people are told by name"


@together
@pytest.mark.parametrize(
    ("call", "body"),
    [
        ("withdraw", {}),
        ("comment", TEXT),
        ("redeem", DIGEST),
        ("outcome", {"succeeded": True}),
    ],
)
async def test_if_match_tells_a_machine_nothing_of_what_others_submitted(
    desk: Desk, call: str, body: dict[str, object]
) -> None:
    await approved(desk, f"others-{call}")

    refused = await desk.post("other-engine", f"others-{call}/{call}", body, if_match='"1"')

    assert_refused(refused, 404, "Decision not found")


@together
async def test_if_match_tells_a_machine_nothing_of_who_has_taken_its_id(desk: Desk) -> None:
    await approved(desk, "taken")

    refused = await desk.post("other-engine", "submit", submission("taken"), if_match='"1"')

    assert_refused(refused, 400, "already exists")


@together
async def test_a_late_withdrawal_names_who_decided(desk: Desk) -> None:
    await approved(desk, "late")

    refused = await desk.post("engine", "late/withdraw")

    assert refused.json()["context"]["decided_by"] == "sam"


@together
@pytest.mark.parametrize("call", ["withdraw", "comment", "redeem", "outcome", "cancel"])
async def test_if_match_is_honoured_and_tells_what_happened_since(desk: Desk, call: str) -> None:
    analysis_id = f"conditional-{call}"
    await (approved if call in {"redeem", "outcome"} else waiting)(desk, analysis_id)
    await desk.post("sam", f"{analysis_id}/comment", TEXT)
    body = {"comment": TEXT, "redeem": DIGEST, "outcome": {"succeeded": True}, "cancel": WHY}.get(call, {})
    if call == "redeem":
        body = {"digest": (await desk.get("engine", analysis_id)).json()["approved_digest"]}
    before = await desk.events(analysis_id)

    stale = await desk.post(
        "ada" if call == "cancel" else "engine", f"{analysis_id}/{call}", body, if_match='"1"'
    )

    assert_refused(stale, 412)
    assert "comment-added" in stale.json()["context"]["since"]
    assert await desk.events(analysis_id) == before
    current = (await desk.get("sam", analysis_id)).headers["etag"]
    done = await desk.post(
        "ada" if call == "cancel" else "engine", f"{analysis_id}/{call}", body, if_match=current
    )
    assert done.status_code == 200, done.text


@together
async def test_a_repeated_key_gets_the_first_answer_and_has_one_effect(desk: Desk) -> None:
    await waiting(desk, "keyed")
    for call, who, body in (
        ("comment", "sam", TEXT),
        ("cancel", "ada", WHY),
    ):
        answers = [
            await desk.post(who, f"keyed/{call}", body, idempotency_key=f"key-of-{call}") for _ in range(2)
        ]
        assert [answer.status_code for answer in answers] == [200, 200]
        assert answers[0].json() == answers[1].json()
    reused = await desk.post("sam", "keyed/comment", {"text": "Other."}, idempotency_key="key-of-comment")
    assert (reused.status_code, reused.json()["code"]) == (422, "idempotency-key-reused")
    assert len(await desk.events("keyed")) == 3
