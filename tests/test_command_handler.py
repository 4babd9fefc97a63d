"""A command is carried out once, on fresh facts, or refused with a reason; then nothing is left behind."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import asyncpg
import pytest

from ledger.command_handling.answering import Handled
from ledger.command_handling.context import CommandContext
from ledger.command_handling.facts import Build, Facts
from ledger.command_handling.handler import Alongside, handle, handle_after, rehearse
from ledger.domain.errors import KeyReused, OutcomeUnknown, PreconditionFailed, VersionConflict
from ledger.domain.ids import PersonId, SessionId, StreamName, Version
from ledger.domain.session.commands import EndSession, OpenSession, SessionCommand
from ledger.domain.session.decide import SESSION, SessionAlreadyOpened, SessionNotFound
from ledger.domain.session.events import EndCause, Factor, SessionEvent
from ledger.domain.session.state import Active
from ledger.store.appends import ReadConflict
from ledger.store.envelope import Provenance
from ledger.store.ledger import Ledger, session_stream
from ledger.store.pool import Connection
from ledger.store.streams import append, draft, read_stream
from tests.support.databases import Database
from tests.support.events import an_event, by_somebody, new_stream, with_key

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)


class Clock:
    """Moves on a second every time it is asked."""

    def __init__(self) -> None:
        self.readings = 0

    def __call__(self) -> datetime:
        self.readings += 1
        return EPOCH + timedelta(seconds=self.readings)


def opening(session: SessionId, now: datetime) -> OpenSession:
    return OpenSession(
        now=now,
        session=session,
        person=PersonId(uuid4()),
        is_active=True,
        epoch=0,
        factors=(Factor.PASSWORD,),
        idle_seconds=60,
        absolute_seconds=3600,
        client="0" * 64,
        family="1" * 64,
    )


class Desk:
    """Opens and ends one session."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.session = SessionId(uuid4())
        self.stream = session_stream(self.session)
        self.clock = Clock()

    async def open(self, provenance: Provenance | None = None, **how: object) -> Handled[SessionEvent]:
        return await self._handle(lambda facts: opening(self.session, facts.now), provenance, **how)

    async def open_after(
        self, effect: Callable[[Connection], Awaitable[None]], provenance: Provenance
    ) -> Handled[SessionEvent]:
        return await handle_after(
            self.ledger,
            CommandContext(decider=SESSION, target=self.stream, clock=self.clock, provenance=provenance),
            effect,
            lambda facts, _done: opening(self.session, facts.now),
        )

    async def end_after(
        self, effect: Callable[[Connection], Awaitable[None]], *, if_match: Version | None = None
    ) -> Handled[SessionEvent]:
        return await handle_after(
            self.ledger,
            CommandContext(
                decider=SESSION,
                target=self.stream,
                clock=self.clock,
                provenance=by_somebody(),
                if_match=if_match,
            ),
            effect,
            lambda facts, _done: EndSession(now=facts.now, cause=EndCause.LOGOUT),
        )

    async def end(self, provenance: Provenance | None = None, **how: object) -> Handled[SessionEvent]:
        return await self._handle(
            lambda facts: EndSession(now=facts.now, cause=EndCause.LOGOUT), provenance, **how
        )

    async def _handle(
        self,
        build: Build,
        provenance: Provenance | None,
        *,
        at: Ledger | None = None,
        alongside: Alongside | None = None,
        **how: object,
    ) -> Handled[SessionEvent]:
        """Handle it here, or ``at`` another process's ledger."""
        context = CommandContext(
            decider=SESSION,
            target=self.stream,
            clock=self.clock,
            provenance=provenance or by_somebody(),
            **how,
        )
        return await handle(at or self.ledger, context, build, alongside=alongside)


@pytest.fixture
def desk(ledger: Ledger) -> Desk:
    return Desk(ledger)


async def head_of(ledger: Ledger) -> int:
    return await ledger.head()


async def test_a_command_answers_with_its_events_and_their_place(desk: Desk) -> None:
    handled = await desk.open()

    stored = (await read_stream(desk.ledger, desk.stream)).events
    assert handled.version == 1
    assert handled.position == stored[-1].position
    assert handled.leaf == stored[-1].leaf
    assert [one.event.at for one in handled.events] == [EPOCH + timedelta(seconds=1)]


async def test_a_refusal_leaves_no_event(desk: Desk) -> None:
    with pytest.raises(SessionNotFound):
        await desk.end()

    assert await head_of(desk.ledger) == 0


async def test_nothing_to_do_answers_with_what_is_there(desk: Desk) -> None:
    await desk.open()
    ended = await desk.end()

    again = await desk.end()

    assert again.events == ()
    assert (again.version, again.position, again.leaf) == (ended.version, ended.position, ended.leaf)


async def test_a_keyed_command_sent_again_gets_the_same_answer(desk: Desk) -> None:
    key = with_key("k", request="digest")
    first = await desk.open(key)

    assert await desk.open(key) == first
    assert await head_of(desk.ledger) == 1


async def test_also_by_another_process_after_a_restart(desk: Desk, database: Database) -> None:
    key = with_key("k", request="digest")
    first = await desk.open(key)

    async with await Ledger.open(database.service_url) as restarted:
        desk.ledger = restarted
        assert await desk.open(key) == first


async def test_a_key_used_for_another_request_is_refused(desk: Desk) -> None:
    key = with_key("k", request="digest")
    await desk.open(key)
    other = Provenance(actor=key.actor, command_id=key.command_id, is_keyed=True, request="another")

    with pytest.raises(KeyReused):
        await desk.open(other)


async def test_one_keyed_command_at_once_takes_effect_once(desk: Desk) -> None:
    key = with_key("k", request="digest")

    answers = await asyncio.gather(*(desk.open(key) for _ in range(50)))

    assert len({(one.position, one.version, one.leaf) for one in answers}) == 1
    assert await head_of(desk.ledger) == 1


async def test_a_conflict_is_decided_again_on_fresh_facts(desk: Desk) -> None:
    """Somebody opens the session between our reading and our append: then it is refused, not doubled."""
    began = await desk.open()

    async def beaten_by_somebody() -> None:
        await asyncio.gather(desk.end(), desk.end(), desk.end(), desk.end())

    await beaten_by_somebody()
    assert await head_of(desk.ledger) == began.position + 1


class Meddler:
    """Writes to a stream behind the back of every attempt, a number of times."""

    def __init__(self, ledger: Ledger, stream: StreamName, times: int) -> None:
        self.ledger, self.stream, self.times = ledger, stream, times

    async def __call__(self, _conn: Connection) -> None:
        if self.times > 0:
            self.times -= 1
            found = await read_stream(self.ledger, self.stream)
            await append(self.ledger, draft(found, [an_event()], by_somebody()))


async def test_commands_of_one_process_on_one_stream_take_turns_instead_of_colliding(desk: Desk) -> None:
    """However many there are: each decides on what the one before it wrote, and none is told of a conflict."""
    await desk.open()

    answers = await asyncio.gather(*(desk.end() for _ in range(50)))

    assert sum(len(answer.events) for answer in answers) == 1
    assert desk.clock.readings == 51
    assert await head_of(desk.ledger) == 2


@pytest.mark.parametrize("times", [1, 2])
async def test_a_read_stream_that_moves_makes_it_begin_again(desk: Desk, times: int) -> None:
    read = new_stream()

    handled = await desk.open(reads=[read.name], alongside=Meddler(desk.ledger, read.name, times))

    assert desk.clock.readings == times + 1
    assert handled.events[0].event.at == EPOCH + timedelta(seconds=times + 1)


async def test_after_three_attempts_the_conflict_is_told(desk: Desk) -> None:
    read = new_stream()

    with pytest.raises(ReadConflict) as refusal:
        await desk.open(reads=[read.name], alongside=Meddler(desk.ledger, read.name, 3))

    assert refusal.value.context == {"stream": read.name, "expected": 2, "actual": 3}
    assert (await read_stream(desk.ledger, desk.stream)).version() == 0


async def test_a_conflict_that_the_making_of_the_command_tells_of_is_not_tried_again(desk: Desk) -> None:
    conflict = VersionConflict(stream="another", expected=1, actual=2)

    def build(_facts: Facts) -> SessionCommand:
        raise conflict

    context = CommandContext(decider=SESSION, target=desk.stream, clock=desk.clock, provenance=by_somebody())
    with pytest.raises(VersionConflict) as refusal:
        await handle(desk.ledger, context, build)

    assert refusal.value is conflict
    assert desk.clock.readings == 1


async def test_facts_hold_the_read_streams_at_their_versions(desk: Desk) -> None:
    await desk.open()
    seen: list[object] = []

    def build(facts: Facts) -> SessionCommand:
        seen.append(facts.state(SESSION, desk.stream))
        return opening(SessionId(uuid4()), facts.now)

    other = new_stream()
    await handle(
        desk.ledger,
        CommandContext(
            decider=SESSION,
            target=other.name,
            clock=desk.clock,
            provenance=by_somebody(),
            reads=[desk.stream],
        ),
        build,
    )

    assert isinstance(seen[0], Active)


async def test_if_match_lets_the_named_version_pass(desk: Desk) -> None:
    opened = await desk.open()

    assert (await desk.end(if_match=opened.version)).version == 2


async def test_if_match_of_an_older_version_is_told_what_happened_since(desk: Desk) -> None:
    await desk.open()
    await desk.end()

    with pytest.raises(PreconditionFailed) as refusal:
        await desk.end(if_match=Version(1))

    assert refusal.value.context == {"expected": 1, "actual": 2, "since": "session-ended"}


async def test_if_match_of_what_does_not_exist_is_first_of_all_not_found(desk: Desk) -> None:
    with pytest.raises(SessionNotFound):
        await desk.end(if_match=Version(1))
    with pytest.raises(PreconditionFailed):
        await desk.open(if_match=Version(1))


async def test_a_rehearsal_under_if_match_is_refused_as_the_command_would_be(desk: Desk) -> None:
    """What has changed since is told before what the rules say of it."""
    await desk.open()
    await desk.end()
    context = CommandContext(
        decider=SESSION,
        target=desk.stream,
        clock=desk.clock,
        provenance=by_somebody(),
        if_match=Version(1),
    )

    with pytest.raises(PreconditionFailed):
        await rehearse(desk.ledger, context, lambda facts: opening(desk.session, facts.now))


async def test_a_conflict_on_the_target_under_if_match_is_final(desk: Desk) -> None:
    opened = await desk.open()

    with pytest.raises(PreconditionFailed) as refusal:
        await desk.end(if_match=opened.version, alongside=Meddler(desk.ledger, desk.stream, 1))

    assert refusal.value.context == {"expected": 1, "actual": 2, "since": "session-ended"}


async def test_rows_alongside_commit_with_the_events_or_not_at_all(desk: Desk) -> None:
    async def write_a_row(conn: Connection) -> None:
        await conn.execute("create table work.mine (a integer)")

    with pytest.raises(SessionNotFound):
        await desk.end(alongside=write_a_row)
    assert await desk.ledger.pool.fetchval("select to_regclass('work.mine')") is None

    await desk.open(alongside=write_a_row)
    assert await desk.ledger.pool.fetchval("select count(*) from work.mine") == 0


async def test_a_connection_lost_after_commit_is_settled_by_looking(desk: Desk, database: Database) -> None:
    """The first attempt commits and its answer is lost; the second finds it done and writes nothing."""
    attempts: list[int] = []
    key = with_key("k")
    async with await Ledger.open(database.service_url) as elsewhere:

        async def lose_the_answer(conn: Connection) -> None:
            attempts.append(1)
            if len(attempts) == 1:
                await desk.open(key, at=elsewhere)
                raise OSError("the line went dead")

        handled = await desk.open(key, alongside=lose_the_answer)

    assert attempts == [1]
    assert handled.version == 1
    assert await head_of(desk.ledger) == 1


async def test_a_line_that_stays_dead_leaves_the_outcome_unknown(desk: Desk) -> None:
    async def dead(_conn: Connection) -> None:
        raise OSError("dead")

    with pytest.raises(OutcomeUnknown):
        await desk.open(alongside=dead)
    assert await head_of(desk.ledger) == 0


async def test_a_unique_violation_that_stays_is_for_the_caller_to_name(desk: Desk) -> None:
    async def taken(conn: Connection) -> None:
        await conn.execute("create temporary table t (a integer unique) on commit drop")
        await conn.execute("insert into t values (1), (1)")

    with pytest.raises(asyncpg.UniqueViolationError):
        await desk.open(alongside=taken)


async def test_a_duplicate_rolls_its_rows_back(desk: Desk, database: Database) -> None:
    key = with_key("k")
    async with await Ledger.open(database.service_url) as elsewhere:

        async def first_elsewhere(conn: Connection) -> None:
            await conn.execute("create table work.mine (a integer)")
            await desk.open(key, at=elsewhere)

        handled = await desk.open(key, alongside=first_elsewhere)

    assert handled.version == 1
    assert await desk.ledger.pool.fetchval("select to_regclass('work.mine')") is None


async def test_what_its_own_twin_elsewhere_makes_refuse_is_answered_as_that_was(
    desk: Desk, database: Database
) -> None:
    """Sent with one key to two processes at the same moment, the later one meets the rows of the earlier."""
    key, first = with_key("k"), list[Handled[SessionEvent]]()
    async with await Ledger.open(database.service_url) as elsewhere:

        async def refuse_what_is_written(_conn: Connection) -> None:
            first.append(await desk.open(key, at=elsewhere))
            raise SessionAlreadyOpened

        handled = await desk.open(key, alongside=refuse_what_is_written)

    assert [handled] == first


async def test_an_effect_that_its_own_twin_elsewhere_makes_refuse_is_answered_as_that_was(
    desk: Desk, database: Database
) -> None:
    key, first = with_key("k"), list[Handled[SessionEvent]]()
    async with await Ledger.open(database.service_url) as elsewhere:

        async def refuse_what_is_done(_conn: Connection) -> None:
            first.append(await desk.open(key, at=elsewhere))
            raise SessionAlreadyOpened

        handled = await desk.open_after(refuse_what_is_done, key)

    assert [handled] == first


async def test_an_effect_that_refuses_what_nobody_has_done_is_refused(desk: Desk) -> None:
    async def refuse(_conn: Connection) -> None:
        raise SessionAlreadyOpened

    with pytest.raises(SessionAlreadyOpened):
        await desk.open_after(refuse, with_key("k"))
    assert await head_of(desk.ledger) == 0


async def test_opening_twice_is_refused(desk: Desk) -> None:
    await desk.open()

    with pytest.raises(SessionAlreadyOpened):
        await desk.open()


async def test_an_effect_that_no_event_tells_of_is_rolled_back(desk: Desk) -> None:
    async def write_a_row(conn: Connection) -> None:
        await conn.execute("create table work.mine (a integer)")

    await desk.open()
    ended = await desk.end()

    again = await desk.end_after(write_a_row)

    assert again.events == ()
    assert (again.version, again.position, again.leaf) == (ended.version, ended.position, ended.leaf)
    assert await desk.ledger.pool.fetchval("select to_regclass('work.mine')") is None


async def test_under_an_if_match_that_no_longer_holds_there_is_no_effect(desk: Desk) -> None:
    happened: list[str] = []

    async def effect(_conn: Connection) -> None:
        happened.append("effect")

    await desk.open()
    await desk.end()

    with pytest.raises(PreconditionFailed) as refusal:
        await desk.end_after(effect, if_match=Version(1))

    assert refusal.value.context == {"expected": 1, "actual": 2, "since": "session-ended"}
    assert happened == []


async def test_an_effect_under_the_if_match_that_holds_happens(desk: Desk) -> None:
    opened = await desk.open()

    assert (await desk.end_after(Meddler(desk.ledger, desk.stream, 0), if_match=opened.version)).version == 2


async def test_an_effect_is_rolled_back_when_the_target_moves_on_under_if_match(desk: Desk) -> None:
    opened = await desk.open()

    with pytest.raises(PreconditionFailed):
        await desk.end_after(Meddler(desk.ledger, desk.stream, 1), if_match=opened.version)


async def test_an_effect_under_if_match_on_what_does_not_exist_is_first_of_all_not_found(desk: Desk) -> None:
    async def write_a_row(conn: Connection) -> None:
        await conn.execute("create table work.mine (a integer)")

    with pytest.raises(SessionNotFound):
        await desk.end_after(write_a_row, if_match=Version(1))
    assert await desk.ledger.pool.fetchval("select to_regclass('work.mine')") is None
