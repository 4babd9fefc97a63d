"""Submissions are tried without reading first; what they relied on is checked all the same."""

import asyncio
from contextlib import AsyncExitStack

from ledger.command_handling.beginning import Unread, begin
from ledger.command_handling.context import CommandContext
from ledger.domain.decision.decide import DECISION
from ledger.domain.ids import StreamName
from ledger.identity.identity import utc_now
from ledger.store.lately import Lately
from ledger.store.streams import Stream
from tests.api.answers import submit, together
from tests.support.events import by_somebody
from tests.support.http import Api, submission

SUBMIT = "/api/decisions/submit"
CUT_THE_FOLLOWER = """
select bool_or(pg_terminate_backend(pid)) from pg_stat_activity
where datname = current_database() and ltrim(query, E'\\n') like 'select count(*) as found%'
"""


@together
async def test_a_submission_reads_nothing_once_its_caller_is_known(
    shared: Api, admin: dict[str, str]
) -> None:
    """Every connection that reads could be made by is taken."""
    await submit(shared, admin, "known")
    pool = shared.ledger.pool

    async with AsyncExitStack() as taken:
        for _ in range(pool.get_max_size()):
            await taken.enter_async_context(pool.acquire())
        async with asyncio.timeout(10):
            answer = await submit(shared, admin, "unread")

    assert answer.headers["etag"] == '"1"'


@together
async def test_an_id_that_is_taken_is_refused_without_a_trace(shared: Api, admin: dict[str, str]) -> None:
    first = await submit(shared, admin, "taken")

    answer = await shared.client.post(SUBMIT, headers=admin, json=submission("taken", confidence=1))

    assert answer.json()["code"] == "already-exists"
    again = await submit(shared, admin, "free")
    assert int(again.headers["ledger-position"]) == int(first.headers["ledger-position"]) + 1


@together
async def test_what_streams_said_is_forgotten_when_another_server_may_answer(shared: Api) -> None:
    """An append checks versions, and a standby that had not received all gives them to other events."""
    said = Stream(name=StreamName("policy-of-a-lost-log"), events=())
    lately, following = shared.services.lookups.lately, shared.services.identity.following
    assert following is not None
    async with asyncio.timeout(60):
        lately.note([said])
        while lately.all_of([said.name]) is None:  # nobody has followed yet
            await asyncio.sleep(0.01)

        while not await shared.ledger.pool.fetchval(
            CUT_THE_FOLLOWER
        ):  # what it asked last was something else
            await asyncio.sleep(0.01)

        while lately.all_of([said.name]) is not None:
            await asyncio.sleep(0.01)
        while not following.is_current():
            await asyncio.sleep(0.01)
    assert lately.all_of([said.name]) is None


@together
async def test_what_was_read_while_all_was_forgotten_is_not_held(shared: Api) -> None:
    """It may be of the log before."""
    lately = Lately(lambda: True)
    unread = Unread(lately=lately, may=lambda _: False)
    target, read = StreamName("decision-of-now"), StreamName("policy-of-then")

    beginning = asyncio.create_task(
        begin(
            shared.ledger,
            CommandContext(
                decider=DECISION, target=target, clock=utc_now, provenance=by_somebody(), reads=[read]
            ),
            lambda _: None,
            unread,
        )
    )
    await asyncio.sleep(0)
    lately.clear()

    assert await beginning is None
    assert lately.all_of([read]) is None
