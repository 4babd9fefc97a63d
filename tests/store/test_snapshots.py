"""Snapshots: a shorter way to the same state, or no way at all."""

import asyncio
from collections.abc import AsyncIterator

import msgspec
import pytest
from hypothesis import given
from msgspec.structs import replace

from ledger.command_handling.context import CommandContext
from ledger.command_handling.facts import state_of
from ledger.command_handling.handler import handle
from ledger.domain.access.decide import ACCESS
from ledger.domain.account.decide import ACCOUNT
from ledger.domain.decider import C, Decider, E, S, fold
from ledger.domain.decision.decide import DECISION
from ledger.domain.decision.state import InReview
from ledger.domain.errors import Corrupt
from ledger.domain.ids import DecisionId, Position, StreamName, Version
from ledger.domain.login.decide import LOGIN
from ledger.domain.session.decide import SESSION
from ledger.store.appends import Appended, BrokenChainOfHashes
from ledger.store.ledger import ACCESS_STREAM, Ledger, login_stream
from ledger.store.pool import reading
from ledger.store.snapshot_sample import SnapshotSample, sample_snapshots
from ledger.store.snapshots import MAX_WAITING, Snapshot, fingerprint, fingerprint_of, freeze, thaw
from ledger.store.streams import Stream, append, draft, load_streams, read_stream
from tests.builders import ANA, NOW, claim, demanded, renew, submit
from tests.builders.logins import summed_up
from tests.projections.histories import History, histories
from tests.support.databases import Database
from tests.support.events import by_somebody

HANG = 60.0
EVERY = 5


@pytest.fixture
async def ledger(database: Database) -> AsyncIterator[Ledger]:
    async with await Ledger.open(database.service_url, snapshot_every=EVERY) as opened:
        yield opened


class Case:
    """A decision that somebody claims and renews, again and again."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.stream = ledger.decision_stream(DecisionId("A-1"))

    async def grow(self, events: int) -> None:
        for _ in range(events):
            version = (await read_stream(self.ledger, self.stream)).version()
            command = (submit(), claim(), renew())[min(version, 2)]
            await handle(
                self.ledger,
                CommandContext(
                    decider=DECISION, target=self.stream, clock=lambda: NOW, provenance=by_somebody()
                ),
                lambda _facts, command=command: command,
            )

    async def snapshot_version(self) -> int | None:
        return await self.ledger.pool.fetchval(
            "select version from work.snapshots where stream = $1", self.stream
        )

    async def written(self, version: int) -> None:
        """Wait until the snapshot of ``version`` is there."""
        async with asyncio.timeout(HANG):
            while await self.snapshot_version() != version:
                await asyncio.sleep(0.01)


@pytest.fixture
def case(ledger: Ledger) -> Case:
    return Case(ledger)


async def test_a_short_stream_has_none(case: Case) -> None:
    await case.grow(EVERY - 1)
    await case.ledger.snapshots.stop()

    assert await case.snapshot_version() is None


async def test_a_long_stream_is_loaded_as_its_snapshot_and_what_came_after(case: Case) -> None:
    await case.grow(EVERY)
    await case.written(EVERY)
    await case.grow(2)

    loaded = (await load_streams(case.ledger, [case.stream]))[case.stream]
    whole = await read_stream(case.ledger, case.stream)

    assert [stored.version for stored in loaded.events] == [EVERY + 1, EVERY + 2]
    assert loaded.snapshot is not None
    assert loaded.version() == whole.version()
    assert loaded.position() == whole.position()
    assert loaded.last_leaf() == whole.last_leaf()
    assert state_of(DECISION, loaded) == state_of(DECISION, whole)
    assert isinstance(state_of(DECISION, loaded), InReview)


async def test_a_stream_that_has_not_moved_since_is_its_snapshot_alone(case: Case) -> None:
    await case.grow(EVERY)
    await case.written(EVERY)

    loaded = (await load_streams(case.ledger, [case.stream]))[case.stream]
    whole = await read_stream(case.ledger, case.stream)

    assert loaded.events == ()
    assert (loaded.version(), loaded.last_leaf()) == (whole.version(), whole.last_leaf())
    assert state_of(DECISION, loaded) == state_of(DECISION, whole)


async def test_the_next_one_is_written_as_many_events_later(case: Case) -> None:
    await case.grow(EVERY)
    await case.written(EVERY)
    await case.grow(EVERY)

    await case.written(2 * EVERY)


async def test_one_of_another_shape_is_ignored_and_rewritten(case: Case) -> None:
    await case.grow(EVERY)
    await case.written(EVERY)
    await case.ledger.pool.execute(
        "update work.snapshots set fingerprint = 'of another release', state = 'nonsense'"
    )

    loaded = (await load_streams(case.ledger, [case.stream]))[case.stream]
    assert loaded.snapshot is None
    assert loaded.version() == EVERY

    await case.grow(1)
    await case.written(EVERY + 1)


async def test_one_that_lies_about_the_chain_cannot_be_built_upon(case: Case) -> None:
    """A snapshot is not the truth: the append compares the last leaf under its lock."""
    await case.grow(EVERY)
    await case.written(EVERY)
    await case.ledger.pool.execute("update work.snapshots set leaf_hash = sha256('x')")

    with pytest.raises(BrokenChainOfHashes):
        await case.grow(1)


async def test_none_is_written_where_the_interval_is_zero(database: Database) -> None:
    async with await Ledger.open(database.service_url, snapshot_every=0) as opened:
        case = Case(opened)
        await case.grow(EVERY + 1)
        await opened.snapshots.stop()

        assert await case.snapshot_version() is None


async def test_a_database_that_goes_away_costs_a_snapshot_and_nothing_else(case: Case) -> None:
    await case.grow(2)
    await case.ledger.pool.execute("alter table work.snapshots rename to gone")
    offered = Snapshot(stream=case.stream, version=1, position=1, leaf=b"", state=b"{}")
    for _ in range(MAX_WAITING + 5):
        case.ledger.snapshots.offer(offered)
    await case.ledger.snapshots.stop()
    await case.ledger.pool.execute("alter table work.gone rename to snapshots")

    assert await case.snapshot_version() is None


async def test_none_is_written_of_what_a_log_that_went_back_does_not_hold(
    case: Case,
) -> None:
    """It would be believed until the stream had grown past it, and after that too."""
    await case.grow(2)
    loaded = await read_stream(case.ledger, case.stream)
    offered = Snapshot(
        stream=case.stream, version=Version(9), position=Position(9), leaf=b"lost", state=b"lost"
    )
    case.ledger.snapshots.offer(offered)
    kept = replace(offered, version=loaded.version(), position=loaded.position(), leaf=loaded.last_leaf())
    case.ledger.snapshots.offer(kept)

    await case.written(2)

    assert await case.ledger.pool.fetchval("select count(*) from work.snapshots") == 1


async def test_one_of_a_lost_log_is_not_written_over_a_good_one(case: Case) -> None:
    await case.grow(EVERY)
    await case.written(EVERY)
    lost = Snapshot(stream=case.stream, version=Version(9), position=Position(9), leaf=b"lost", state=b"lost")
    case.ledger.snapshots.offer(lost)
    await case.ledger.snapshots.stop()

    assert await case.snapshot_version() == EVERY


async def test_a_writer_that_never_began_stops_at_once(database: Database) -> None:
    opened = await Ledger.open(database.service_url)
    await opened.snapshots.stop()
    await opened.pool.close()


def test_other_rules_make_another_fingerprint() -> None:
    newer = msgspec.structs.replace(DECISION, version=DECISION.version + 1)
    other_shape = msgspec.structs.replace(DECISION, state_type=SESSION.state_type)

    assert len({fingerprint(DECISION), fingerprint(newer), fingerprint(other_shape)}) == 3


def test_every_aggregate_has_a_fingerprint_and_other_streams_have_none() -> None:
    known = {fingerprint_of(StreamName(f"{decider.category}-x")) for decider in (DECISION, SESSION, ACCOUNT)}

    assert len(known) == 3
    assert fingerprint_of(StreamName("weather-x")) == ""


@given(histories)
def test_snapshot_and_tail_are_the_full_replay_wherever_it_was_taken(history: History) -> None:
    for decider, streams in (
        (DECISION, history.decisions),
        (SESSION, history.sessions),
        (ACCOUNT, history.accounts),
    ):
        for stream, events in streams.items():
            assert_every_cut_agrees(decider, stream, events)


def assert_every_cut_agrees(decider: Decider[C, S, E], stream: StreamName, events: list[E]) -> None:
    replayed = fold(decider, events)
    for cut in range(1, len(events) + 1):
        state = freeze(fold(decider, events[:cut]))
        taken = Snapshot(stream=stream, version=cut, position=cut, leaf=b"", state=state)

        assert fold(decider, events[cut:], thaw(decider, taken)) == replayed


async def looked_at(ledger: Ledger) -> SnapshotSample:
    async with reading(ledger.pool) as conn:
        return await sample_snapshots(conn, ledger.ledger_id)


async def test_a_sample_finds_nothing_wrong_with_what_was_written(case: Case) -> None:
    assert await looked_at(case.ledger) == SnapshotSample(stored=0, looked_at=0, wrong=())
    await case.grow(EVERY)
    await case.written(EVERY)
    await case.grow(2)

    assert await looked_at(case.ledger) == SnapshotSample(stored=1, looked_at=1, wrong=())


@pytest.mark.parametrize(
    "harm",
    [
        "state = convert_to(replace(convert_from(state, 'UTF8'), 'in-review', 'nothing'), 'UTF8')",
        "state = convert_to(replace(convert_from(state, 'UTF8'), '2026', '2027'), 'UTF8')",
        "version = version - 1",
        "position = position - 1",
        "leaf_hash = decode(repeat('00', 32), 'hex')",
        "version = version + 100",
    ],
)
async def test_a_sample_finds_what_is_not_what_the_events_say(case: Case, harm: str) -> None:
    await case.grow(EVERY)
    await case.written(EVERY)
    harmed = await case.ledger.pool.execute(f"update work.snapshots set {harm}")  # noqa: S608
    assert harmed == "UPDATE 1"

    assert (await looked_at(case.ledger)).wrong == (case.stream,)


async def test_a_sample_leaves_out_what_nobody_would_read(case: Case) -> None:
    await case.grow(EVERY)
    await case.written(EVERY)
    await case.ledger.pool.execute("update work.snapshots set fingerprint = 'old', state = 'nonsense'")

    assert await looked_at(case.ledger) == SnapshotSample(stored=1, looked_at=0, wrong=())


async def put_beside(ledger: Ledger, decider: Decider[C, S, E], stream: StreamName, events: list[E]) -> None:
    """Append a stream, and write its snapshot as the service does."""
    landed = await append(ledger, draft(Stream(name=stream, events=()), events, by_somebody()))
    assert isinstance(landed, Appended)
    ledger.snapshots.offer(
        Snapshot(
            stream=stream,
            version=landed.version,
            position=Position(landed.first_position + len(events) - 1),
            leaf=landed.leaves[-1],
            state=freeze(fold(decider, events)),
        )
    )


async def test_a_sample_knows_every_aggregate(ledger: Ledger) -> None:
    await put_beside(ledger, LOGIN, login_stream(ANA), [summed_up()])
    await put_beside(ledger, ACCESS, ACCESS_STREAM, [demanded()])
    async with asyncio.timeout(HANG):
        while (found := await looked_at(ledger)).looked_at < 2:
            await asyncio.sleep(0.01)

    assert found == SnapshotSample(stored=2, looked_at=2, wrong=())


async def test_one_that_nobody_can_read_is_told(case: Case) -> None:
    await case.grow(EVERY)
    await case.written(EVERY)
    await case.ledger.pool.execute("update work.snapshots set state = 'nonsense'")

    with pytest.raises(Corrupt, match="'ledger doctor'"):
        await case.grow(1)
