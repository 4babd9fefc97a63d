"""A revoked session decides nothing more: no verdict of it lies behind its revocation."""

import asyncio
import random
from collections import Counter

import pytest

from ledger.command_handling.answering import Handled
from ledger.domain.authority import SessionNotLive
from ledger.domain.errors import VersionConflict
from ledger.domain.ids import StreamName
from ledger.store.ledger import Ledger
from tests.gates.desk import Desk, submission
from tests.support.databases import Database
from tests.support.torture_sizes import HANG, sizes

VERDICTS = 50


async def one_round(ledgers: tuple[Ledger, Ledger], turns: int) -> Counter[str]:
    """Revoke ``turns`` turns of the loop after the verdicts set out; what became of them."""
    here = ledgers[0]
    desk = await Desk.opened(here)
    decisions = await asyncio.gather(*(submission(here) for _ in range(VERDICTS)))

    async def revoke() -> int:
        for _ in range(turns):
            await asyncio.sleep(0)
        return (await desk.is_revoked(here)).position

    async def vote(number: int, decision: StreamName) -> Handled[object]:
        return await desk.votes(ledgers[number % 2], decision)

    revoked, *verdicts = await asyncio.gather(
        revoke(), *(vote(*one) for one in enumerate(decisions)), return_exceptions=True
    )
    assert isinstance(revoked, int), revoked
    became = Counter[str]()
    for verdict in verdicts:
        if isinstance(verdict, Handled):
            assert verdict.position < revoked, "a verdict behind the revocation of its session"
            became["landed"] += 1
        else:
            assert isinstance(verdict, SessionNotLive | VersionConflict), verdict
            became[type(verdict).__name__] += 1
    stored = await here.pool.fetchval(
        "select count(*) from ledger.events where stream = any($1) and type = 'vote-cast' and position > $2",
        decisions,
        revoked,
    )
    assert stored == 0
    return became


@pytest.mark.slow
@sizes(short=8, long=100, longest=400)
async def test_no_verdict_lies_behind_the_revocation_of_its_session(
    ledger: Ledger, database: Database, size: int
) -> None:
    chance = random.Random(7)  # noqa: S311 - where in the crowd the revocation sets out
    became = Counter[str]()
    async with asyncio.timeout(HANG), await Ledger.open(database.service_url) as other:
        for number in range(size):
            became += await one_round((ledger, other), chance.randrange(60) if number else 0)

    print(became)
    assert became["landed"] > 0
    assert became["SessionNotLive"] > 0
