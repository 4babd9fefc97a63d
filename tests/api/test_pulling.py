"""The next item: the best one that somebody may work on, never one that anybody holds, and never the same for two."""

import asyncio
from collections import Counter
from uuid import uuid4

import pytest
from httpx import Response
from msgspec.structs import replace

from ledger.domain.decision.events import (
    Choice,
    EscalationCause,
    InvalidationCause,
    Priority,
)
from ledger.domain.decision.item import KindItem
from ledger.domain.terms import Policy
from tests.api.answers import assert_refused, together, wrong_fields
from tests.builders.decision_events import escalated, policy, submitted, voted
from tests.builders.workflow_events import (
    assigned,
    information_provided,
    information_requested,
    reprioritised,
    votes_invalidated,
)
from tests.support.databases import Database
from tests.support.desk import Desk
from tests.support.events import an_event
from tests.support.http import ADMIN, Api, cheap_passwords, serving

NEXT = "next"


class Pile:
    """Items of a kind of their own, so that tests of one application do not take each other's."""

    def __init__(self, desk: Desk) -> None:
        self.desk, self.kind = desk, f"pile-{uuid4().hex[:10]}"

    async def add(
        self,
        name: str,
        *,
        by: str = "engine",
        priority: Priority = Priority.HIGH,
        policy: Policy | None = None,
    ) -> str:
        """Let an item wait; its id."""
        analysis_id = f"{self.kind}-{name}"
        asked = submitted(
            self.desk.people[by].person,
            decision_id=analysis_id,
            priority=priority,
            item=KindItem(name=self.kind, payload="{}"),
            at=self.desk.now(),
            **({} if policy is None else {"policy": policy}),
        )
        await self.desk.happened(analysis_id, asked)
        return analysis_id

    async def shown(self) -> None:
        """Wait until the queue shows all that has happened."""
        head = await self.desk.api.ledger.head()
        assert await self.desk.api.services.progress.wait_for(["queue"], head, 10.0) == ()

    async def pull(self, who: str = "ana", **body: object) -> Response:
        await self.shown()
        return await self.desk.post(who, NEXT, {"kind": self.kind, **body})

    async def name(self, who: str = "ana", **body: object) -> str:
        """What somebody gets; nothing: an empty name."""
        answer = await self.pull(who, **body)
        assert answer.status_code in {200, 204}, answer.text
        return answer.json()["analysis_id"].removeprefix(f"{self.kind}-") if answer.content else ""


@pytest.fixture
def pile(desk: Desk) -> Pile:
    return Pile(desk)


@together
async def test_the_next_item_comes_with_a_lease_and_is_nobody_elses(pile: Pile) -> None:
    await pile.add("only")

    answer = await pile.pull()

    assert answer.status_code == 200, answer.text
    item = answer.json()
    assert (item["status"], item["kind"], item["payload"]) == ("in_review", pile.kind, {})
    assert set(item["lease"]) == {"lease_id", "fencing_token", "holder", "expires_at"}
    assert (item["lease"]["holder"], item["lease"]["fencing_token"]) == ("ana", 1)
    assert len(item["subject_digest"]) == 64
    assert answer.headers["etag"] == '"2"'
    assert [await pile.name(who) for who in ("ana", "ben", ADMIN)] == ["", "", ""]


@together
async def test_nothing_waiting_is_204_without_a_body(pile: Pile) -> None:
    answer = await pile.pull()

    assert (answer.status_code, answer.content) == (204, b"")
    assert "content-type" not in answer.headers


@together
async def test_the_most_urgent_and_then_the_oldest_comes_first(pile: Pile) -> None:
    for name, priority in (("low", "low"), ("high", "high"), ("critical", "critical"), ("high too", "high")):
        await pile.add(name, priority=Priority(priority))
    await pile.desk.happened(
        f"{pile.kind}-low", reprioritised(Priority.CRITICAL, by=pile.desk.people["ada"].person)
    )

    assert [await pile.name() for _ in range(5)] == ["low", "critical", "high", "high too", ""]


@together
async def test_one_priority_can_be_asked_for(pile: Pile) -> None:
    for priority in Priority:
        await pile.add(priority.value, priority=priority)

    assert await pile.name(priority="medium") == "medium"
    assert await pile.name(priority="medium") == ""
    assert await pile.name() == "critical"


@together
async def test_what_is_assigned_to_somebody_is_their_first_and_nobody_elses(pile: Pile) -> None:
    await pile.add("urgent", priority=Priority.CRITICAL)
    mine = await pile.add("mine", priority=Priority.LOW)
    people = pile.desk.people
    await pile.desk.happened(mine, assigned(people["ben"].person, by=people["ada"].person))

    assert [await pile.name("ada"), await pile.name("ada")] == ["urgent", ""]
    assert await pile.name("ben") == "mine"


@together
async def test_the_groups_of_an_item_get_it_and_so_do_administrators(pile: Pile) -> None:
    await pile.desk.seat("lou")
    placed = await pile.desk.api.client.post(
        "/api/auth/users/lou/groups",
        headers=pile.desk.people[ADMIN].headers,
        json={"groups": ["lab", "tower"], "reason": "x"},
    )
    assert placed.status_code == 200, placed.text
    for name, groups in (("a", ("night",)), ("b", ("lab", "night")), ("c", ()), ("d", ("night",))):
        await pile.add(name, policy=replace(policy(), reviewers=groups))

    assert [await pile.name("ana") for _ in range(2)] == ["c", ""]
    assert [await pile.name("lou") for _ in range(2)] == ["b", ""]
    assert [await pile.name("ada") for _ in range(3)] == ["a", "d", ""]


@together
async def test_what_moved_up_is_for_the_group_of_its_level(pile: Pile) -> None:
    up = await pile.add("up", policy=replace(policy(), reviewers=("night",), ladder=("lab",)))
    await pile.desk.seat("lou")
    moved = replace(escalated(None, cause=EscalationCause.BREACH), group="lab")
    await pile.desk.happened(up, moved)

    assert [await pile.name("ana"), await pile.name("ada")] == ["", "up"]


@together
async def test_nobody_gets_what_they_may_not_decide(pile: Pile) -> None:
    people = pile.desk.people
    await pile.add("own", by="ana", policy=policy(four_eyes=True))
    up = await pile.add("escalated by ana")
    voted_on = await pile.add("voted on by ana", policy=policy(approvals=2))
    await pile.desk.happened(up, escalated(people["ana"].person))
    await pile.desk.happened(voted_on, voted(people["ana"].person))

    assert await pile.name("ana") == ""
    await pile.desk.happened(voted_on, votes_invalidated(InvalidationCause.SUBJECT_CHANGED))
    assert await pile.name("ana") == "voted on by ana"
    assert [await pile.name("ben") for _ in range(3)] == ["own", "escalated by ana", ""]


@together
async def test_nobody_gets_what_no_vote_can_settle_until_a_vote_can(pile: Pile) -> None:
    sam, ben = (pile.desk.people[name].person for name in ("sam", "ben"))
    tied = replace(policy(approvals=2, rejections=2, levels=0), voters=2, deadline_seconds=3_600)
    name = await pile.add("tied", priority=Priority.CRITICAL, policy=tied)
    await pile.add("other")
    await pile.desk.happened(name, voted(sam), voted(ben, choice=Choice.REJECT))

    assert [await pile.name(), await pile.name()] == ["other", ""]
    claimed = await pile.desk.post("ana", f"{name}/claim")
    lease = {"lease_id": claimed.json()["lease"]["lease_id"]}
    await pile.desk.post("ana", f"{name}/release", lease)
    await pile.desk.happened(name, votes_invalidated(InvalidationCause.SUBJECT_CHANGED))
    assert await pile.name() == "tied"


@together
async def test_an_administrator_gets_also_what_they_escalated(pile: Pile) -> None:
    up = await pile.add("up")
    await pile.desk.happened(up, escalated(pile.desk.people["ada"].person))

    assert await pile.name("ada") == "up"


@together
async def test_an_item_waits_for_its_submitters_answer(pile: Pile) -> None:
    asked = await pile.add("asked", policy=replace(policy(), information_seconds=3600))
    people = pile.desk.people
    await pile.desk.happened(asked, information_requested(people["ana"].person, at=pile.desk.now()))
    waiting = await pile.name()
    await pile.desk.happened(asked, information_provided(people["engine"].person, at=pile.desk.now()))

    assert [waiting, await pile.name()] == ["", "asked"]


@together
async def test_what_is_given_back_comes_again_at_once(pile: Pile) -> None:
    await pile.add("only")
    lease = (await pile.pull()).json()["lease"]["lease_id"]

    given_back = await pile.desk.post("ana", f"{pile.kind}-only/release", {"lease_id": lease})

    assert given_back.status_code == 200, given_back.text
    assert await pile.name("ben") == "only"


@together
async def test_one_person_in_two_sessions_never_gets_the_same(pile: Pile) -> None:
    await pile.add("only")
    await pile.shown()
    elsewhere = await pile.desk.api.login("ana")
    await pile.pull()

    answer = await pile.desk.api.client.post(
        "/api/decisions/next", headers=elsewhere, json={"kind": pile.kind}
    )

    assert answer.status_code == 204


@together
async def test_a_call_sent_again_gets_the_same_item_also_at_once(pile: Pile) -> None:
    for name in "abc":
        await pile.add(name)
    await pile.shown()

    answers = [
        await asyncio.gather(
            *(pile.desk.post("ana", NEXT, {"kind": pile.kind}, Idempotency_Key="next-1") for _ in range(4))
        )
        for _ in range(2)
    ]

    assert len({(answer.status_code, answer.content) for answer in (*answers[0], *answers[1])}) == 1
    assert [await pile.name("ben") for _ in range(3)] == ["b", "c", ""]


@together
async def test_a_key_of_another_request_is_refused(pile: Pile) -> None:
    await pile.add("only")
    await pile.shown()
    await pile.desk.post("ana", NEXT, {"kind": pile.kind}, Idempotency_Key="reused")

    answer = await pile.desk.post("ana", NEXT, {"kind": "another"}, Idempotency_Key="reused")

    assert_refused(answer, 422)
    assert answer.json()["code"] == "idempotency-key-reused"


@together
async def test_a_queue_that_is_behind_costs_nobody_a_refusal(pile: Pile) -> None:
    """What the read model still shows as free is tried, refused by the domain, and passed over."""
    for name in "abc":
        await pile.add(name)
    await pile.shown()
    await pile.desk.api.ledger.pool.execute(
        "update views.queue_v2 set lease_id = null, holder = null, session = null, fencing_token = null,"
        " expires_at = null"
    )
    for name in "ab":
        await pile.desk.claim(f"{pile.kind}-{name}", "ben")
    await pile.shown()
    await pile.desk.api.ledger.pool.execute(
        "update views.queue_v2 set lease_id = null, holder = null, session = null, fencing_token = null,"
        " expires_at = null where kind = $1",
        pile.kind,
    )

    assert [await pile.name(), await pile.name()] == ["c", ""]


@together
async def test_an_item_that_cannot_be_read_keeps_nobody_from_the_others(pile: Pile) -> None:
    broken = await pile.add("broken", priority=Priority.CRITICAL)
    await pile.add("whole")
    await pile.desk.happened(broken, an_event())

    assert [await pile.name(), await pile.name()] == ["whole", ""]
    assert_refused(await pile.desk.post("ana", f"{broken}/claim"), 503)


@together
async def test_whoever_died_between_reserving_and_claiming_holds_nothing_up_for_long(pile: Pile) -> None:
    only = await pile.add("only")
    pool = pile.desk.api.ledger.pool
    await pool.execute(
        "insert into work.reservations values (1, $1, gen_random_uuid(), now() + interval '10 seconds')",
        pile.desk.stream(only),
    )
    meanwhile = await pile.name()
    await pool.execute("update work.reservations set until = now() - interval '1 second'")

    assert [meanwhile, await pile.name()] == ["", "only"]
    assert await pool.fetchval("select count(*) from work.reservations") == 0


@together
async def test_a_paused_session_pulls_nothing(pile: Pile) -> None:
    await pile.add("only")
    await pile.desk.seat("pat")
    headers = pile.desk.people["pat"].headers
    await pile.desk.api.client.post("/api/sessions/current/pause", headers=headers)

    assert_refused(await pile.pull("pat"), 409, "paused")
    assert await pile.name("ana") == "only"


@together
@pytest.mark.parametrize("who", ["engine", "vic"])
async def test_machines_and_viewers_pull_nothing(desk: Desk, who: str) -> None:
    assert_refused(await desk.post(who, NEXT), 403)


@together
@pytest.mark.parametrize(
    ("body", "fields"),
    [({"priority": "urgent"}, {"priority"}), ({"kind": 7}, {"kind"}), ({"x": 1}, {"body"})],
)
async def test_every_wrong_field_is_named(desk: Desk, body: dict, fields: set[str]) -> None:
    assert wrong_fields(await desk.post("ana", NEXT, body)) == fields


@together
async def test_if_match_is_not_passed_over(desk: Desk) -> None:
    assert wrong_fields(await desk.post("ana", NEXT, {}, If_Match='"1"')) == {"If-Match"}


async def test_fifty_analysts_who_pull_from_two_hundred_items_never_share_one(api: Api, second: Api) -> None:
    desk = Desk(api)
    await desk.seat("engine", "service")
    names = [f"analyst-{number}" for number in range(50)]
    await asyncio.gather(*(desk.seat(name) for name in names))
    await asyncio.gather(*(desk.ask(f"item-{number}") for number in range(200)))
    head = await api.ledger.head()
    for instance in (api, second):
        assert await instance.services.progress.wait_for(["queue"], head, 25.0) == ()

    async def work(number: int, name: str) -> list[str]:
        """Pull until there is nothing more."""
        mine = []
        instance = (api, second)[number % 2]
        while True:
            answer = await instance.client.post("/api/decisions/next", headers=desk.people[name].headers)
            assert answer.status_code in {200, 204}, answer.text
            if not answer.content:
                return mine
            assert answer.json()["lease"]["holder"] == name
            mine.append(answer.json()["analysis_id"])

    pulled = await asyncio.gather(*(work(number, name) for number, name in enumerate(names)))

    shares = Counter(item for mine in pulled for item in mine)
    assert len(shares) == 200
    assert set(shares.values()) == {1}


async def test_as_many_as_one_person_may_hold(database: Database) -> None:
    async with serving(database, passwords=cheap_passwords(), settings={"max_claims": 2}) as api:
        desk = Desk(api)
        await desk.seat("engine", "service")
        await desk.seat("ana")
        for number in range(4):
            await desk.ask(f"item-{number}")
        await api.services.progress.wait_for(["queue"], await api.ledger.head(), 10.0)

        first = await desk.post("ana", "item-0/claim", {}, Idempotency_Key="claim-0")
        await desk.post("ana", "item-0/release", {"lease_id": first.json()["lease"]["lease_id"]})
        answers = await asyncio.gather(
            *(desk.post("ana", NEXT) for _ in range(3)), desk.post("ana", "item-3/claim")
        )
        again = await desk.post("ana", "item-0/claim", {}, Idempotency_Key="claim-0")
        assert (again.status_code, again.content) == (200, first.content)
        refused = [answer for answer in answers if answer.status_code != 200]

        assert len(refused) == 2
        for answer in refused:
            assert_refused(answer, 409, "as many items as one person may")
            assert (answer.json()["code"], answer.json()["context"]) == ("too-many-claims", {"most": "2"})
        held = next(answer.json() for answer in answers if answer.status_code == 200)
        path = f"{held['analysis_id']}/claim"
        assert (await desk.post("ana", path)).json()["lease"] == held["lease"], "it is not one more"
        lease = {"lease_id": held["lease"]["lease_id"]}
        await desk.post("ana", f"{held['analysis_id']}/release", lease)
        assert (await desk.post("ana", NEXT)).status_code == 200
