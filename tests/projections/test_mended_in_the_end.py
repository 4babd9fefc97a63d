"""Random histories, random failures, random resolutions: in the end the view is what the log says, and all is counted."""

from typing import Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ledger.domain.ids import START, Position, StreamName
from ledger.projections import failures, retries
from ledger.projections.batch import Poisoned, run_batch, run_singly
from ledger.projections.checkpoints import read_checkpoint
from ledger.projections.failures import UNASKED, Ending, Resolution
from ledger.projections.replay import Range, replay
from ledger.projections.views.decisions import DECISIONS
from ledger.store.appends import Appended
from ledger.store.ledger import LEDGER_ID, Ledger
from ledger.store.pool import Connection
from ledger.store.snapshots import Snapshot
from ledger.store.streams import Stream, append_in, draft, read_log
from tests.projections.given import rows_of, views_undone
from tests.projections.histories import History, histories
from tests.support.chaos import Chaos
from tests.support.events import by_somebody

some = settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

BY_HAND: Final = Ending(resolution=Resolution.MANUAL_REPLAY, by="operator")
SKIPPED: Final = Ending(resolution=Resolution.MANUAL_SKIP, by="operator", reason="given up")
ACCOUNTS: Final = """
select c.position, c.events_applied as applied, c.events_not_wanted as not_wanted, c.events_parked as parked,
       c.events_skipped as skipped,
       (select count(*) from views.parked) as in_parking,
       (select count(*) from views.skipped) as in_skipped,
       (select count(distinct sequence) from views.parked) as sequences,
       (select count(*) from views.failures where state <> 'resolved') as active
from views.checkpoints c where c.projection = 'decisions'
"""


async def happen_in(conn: Connection, history: History) -> Position:
    """Append what happened in the transaction of the test; return the last position."""
    streams: dict[StreamName, Stream] = {}
    head = START
    for name, event in history.events:
        drafted = draft(streams.get(name, Stream(name=name, events=())), [event], by_somebody())
        landed = await append_in(conn, LEDGER_ID, drafted)
        assert isinstance(landed, Appended)
        head = landed.first_position
        end = Snapshot(stream=name, version=landed.version, position=head, leaf=landed.leaves[-1], state=b"")
        streams[name] = Stream(name=name, events=(), snapshot=end)
    return Position(head)


async def clean(conn: Connection) -> list[tuple[object, ...]]:
    """What a clean rebuild gives."""
    await conn.execute("delete from views.decisions_v2")
    log = await read_log(conn, LEDGER_ID, after=START, wanted=DECISIONS.wanted(), limit=10_000)
    await DECISIONS.feed(conn, LEDGER_ID, [one for one in log if one.type in DECISIONS.wanted()])
    return await rows_of(conn, DECISIONS)


class Play:
    """A view that fails, and somebody who does something about it now and then."""

    def __init__(self, conn: Connection, data: st.DataObject, head: Position) -> None:
        self.conn, self.data, self.head = conn, data, head
        self.chaos = Chaos(DECISIONS)

    async def goes_on(self) -> None:
        """Feed the next batch, as the runner does."""
        after = (await read_checkpoint(self.conn, LEDGER_ID, self.chaos)).position
        limit = self.data.draw(st.integers(1, 20))
        try:
            async with self.conn.transaction():
                await run_batch(self.conn, LEDGER_ID, self.chaos, after=after, limit=limit)
        except Poisoned:
            await run_singly(self.conn, LEDGER_ID, self.chaos, after=after, limit=limit)

    async def breaks(self) -> None:
        """Let other events fail than before."""
        self.chaos.heal()
        self.chaos.fail_on(*self.data.draw(st.sets(st.integers(1, max(1, self.head)), max_size=6)))

    async def retries(self) -> None:
        await self._mends(retries.retry, self.data.draw(st.sampled_from((UNASKED, BY_HAND))))

    async def gives_up(self) -> None:
        await self._mends(retries.give_up, SKIPPED)

    async def _mends(self, way: object, ending: Ending) -> None:
        active = await failures.list_of(self.conn, LEDGER_ID, self.chaos)
        if active:
            chosen = self.data.draw(st.sampled_from(active))
            assert callable(way)
            await way(self.conn, LEDGER_ID, self.chaos, chosen.failure_id, ending)

    async def replays(self) -> None:
        first = self.data.draw(st.integers(1, max(1, self.head)))
        last = self.data.draw(st.integers(first, max(first, self.head)))
        asked = Range(first=Position(first), last=Position(last), skip_failed=self.data.draw(st.booleans()))
        await replay(self.conn, LEDGER_ID, self.chaos, asked, ending=BY_HAND)

    async def all_is_counted(self) -> None:
        row = await self.conn.fetchrow(ACCOUNTS)
        if row is None:
            return
        assert row["position"] == row["applied"] + row["not_wanted"] + row["parked"] + row["skipped"]
        assert (row["parked"], row["skipped"]) == (row["in_parking"], row["in_skipped"])
        assert row["sequences"] == row["active"], "a culprit for every parked sequence, and no other"


@pytest.mark.slow
@some
@given(history=histories, data=st.data())
async def test_whatever_failed_and_however_it_was_mended_the_view_ends_as_a_clean_rebuild(
    ledger: Ledger, history: History, data: st.DataObject
) -> None:
    async with views_undone(ledger) as conn:
        head = await happen_in(conn, history)
        play = Play(conn, data, head)
        await read_checkpoint(conn, LEDGER_ID, play.chaos)
        acts = (play.goes_on, play.goes_on, play.breaks, play.retries, play.gives_up, play.replays)
        for act in data.draw(st.lists(st.sampled_from(acts), max_size=25)):
            await act()
            await play.all_is_counted()

        play.chaos.heal()
        while (await read_checkpoint(conn, LEDGER_ID, play.chaos)).position < head:
            await play.goes_on()
        everything = Range(first=Position(1), last=Position(max(1, head)), skip_failed=False)
        await replay(conn, LEDGER_ID, play.chaos, everything, ending=BY_HAND)
        await play.all_is_counted()
        row = await conn.fetchrow(ACCOUNTS)
        assert row is not None
        assert (row["position"], row["parked"], row["skipped"], row["active"]) == (head, 0, 0, 0)
        mended = await rows_of(conn, DECISIONS)
        assert mended == await clean(conn)
