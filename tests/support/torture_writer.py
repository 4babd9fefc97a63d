"""A writer in a process of its own: many callers at once who do everything that callers do, wrong things too.

Arguments: the database's URL, the file of its account, a seed, how many appends to make (0: until SIGTERM).
Every acknowledged event is written down (``A event position``) before it counts, and every event that was rolled
back on purpose (``R event``). At its end it prints what it did as one line of JSON.
"""

import asyncio
import json
import logging
import os
import random
import signal
import sys
from collections import Counter
from collections.abc import Sequence
from typing import Final
from uuid import UUID, uuid5

import asyncpg
import uvloop

from ledger.domain.errors import OutcomeUnknown, Overloaded, Unavailable, VersionConflict
from ledger.domain.ids import NO_EVENTS, START, StreamName
from ledger.store.appends import Append, Appended, Landed
from ledger.store.envelope import NO_LEAF
from ledger.store.ledger import Ledger
from ledger.store.pool import LOST, reading
from ledger.store.snapshots import Snapshot
from ledger.store.streams import Stream, append, append_in, draft
from tests.support.events import an_event, by_somebody, new_stream, with_key

CALLERS: Final = 48
HOT_STREAMS: Final = tuple(StreamName(f"hot-{uuid5(UUID(int=0), str(n))}") for n in range(4))
LONGEST_STREAM: Final = 12
RETRY_AFTER: Final = 0.02
DOES: Final = {
    "goes_on": 50,
    "meets_others": 15,
    "reads_what_moves": 12,
    "sends_twice": 6,
    "uses_the_second_door": 7,
    "rolls_back": 5,
    "leaves": 5,
}

# $1 stream
LAST: Final = """
select version, position, leaf_hash from ledger.events
where ledger_id = 1 and stream = $1 order by version desc limit 1
"""


class ChangedItsAnswer(AssertionError):
    """One command got two different answers."""


def grown(name: StreamName, version: int, position: int, leaf: bytes) -> Stream:
    """A stream of which only the end is known."""
    return Stream(
        name=name,
        events=(),
        snapshot=Snapshot(stream=name, version=version, position=position, leaf=leaf, state=b""),
    )


class Writer:
    """What the callers of one process share."""

    def __init__(self, ledger: Ledger, account: int, seed: int) -> None:
        self.ledger = ledger
        self.did = Counter[str]()
        self.random = random.Random(seed)  # noqa: S311 - a test's choices
        self._account = account

    async def look(self, name: StreamName) -> Stream:
        async with reading(self.ledger.pool) as conn:
            row = await conn.fetchrow(LAST, name)
        if row is None:
            return grown(name, NO_EVENTS, START, NO_LEAF)
        return grown(name, row["version"], row["position"], row["leaf_hash"])

    def drafted(self, stream: Stream, reads: Sequence[Stream] = ()) -> Append:
        count = self.random.choice((1, 1, 1, 2, 3))
        return draft(stream, [an_event() for _ in range(count)], by_somebody(), reads)

    def acknowledged(self, made: Append, landed: Landed) -> None:
        lines = [
            f"A {event.event_id} {landed.first_position + number}\n"
            for number, event in enumerate(made.events)
        ]
        os.write(self._account, "".join(lines).encode())
        self.did["appended"] += 1

    def rolled_back(self, made: Append) -> None:
        os.write(self._account, "".join(f"R {event.event_id}\n" for event in made.events).encode())
        self.did["rolled back"] += 1


class RolledBack(Exception):
    """On purpose."""


class Caller:
    """One caller, with a stream of its own to which nobody else writes."""

    def __init__(self, writer: Writer) -> None:
        self.writer = writer
        self.own = new_stream()

    async def do_something(self) -> None:
        """Do one thing; whatever fails is tried no further, and nothing was acknowledged."""
        does = self.writer.random.choices(tuple(DOES), tuple(DOES.values()))[0]
        try:
            await getattr(self, does)()
        except VersionConflict:
            self.writer.did["conflicts"] += 1
        except OutcomeUnknown:
            self.own = new_stream()
            self.writer.did["unknown"] += 1
        except (Unavailable, Overloaded, *LOST, asyncpg.PostgresError) as failed:
            self.own = new_stream()
            self.writer.did[type(failed).__name__] += 1
            await asyncio.sleep(RETRY_AFTER)

    async def goes_on(self) -> None:
        made = self.writer.drafted(self.own)
        await self._append(made)

    async def meets_others(self) -> None:
        stream = await self.writer.look(self.writer.random.choice(HOT_STREAMS))
        await self._append(self.writer.drafted(stream))

    async def reads_what_moves(self) -> None:
        read = await self.writer.look(self.writer.random.choice(HOT_STREAMS))
        await self._append(self.writer.drafted(self.own, [read]))

    async def sends_twice(self) -> None:
        made = draft(new_stream(), [an_event(), an_event()], with_key("k"))
        ledger = self.writer.ledger
        answers = await asyncio.gather(append(ledger, made), append(ledger, made), return_exceptions=True)
        landed = [one for one in answers if not isinstance(one, BaseException)]
        for failed in answers:
            if isinstance(failed, BaseException) and not isinstance(failed, Unavailable | Overloaded):
                raise ChangedItsAnswer(answers) from failed
        if len({(one.first_position, one.version) for one in landed}) > 1:
            raise ChangedItsAnswer(answers)
        if landed:
            self.writer.acknowledged(made, landed[0])

    async def uses_the_second_door(self) -> None:
        made = self.writer.drafted(self.own)
        ledger = self.writer.ledger
        async with ledger.pool.acquire(timeout=10) as conn, conn.transaction():
            await conn.execute("select pg_current_xact_id()")  # as one who has written other rows before
            landed = await append_in(conn, ledger.ledger_id, made)
        self._landed(made, landed)

    async def rolls_back(self) -> None:
        made = self.writer.drafted(new_stream())
        ledger = self.writer.ledger
        try:
            async with ledger.pool.acquire(timeout=10) as conn, conn.transaction():
                await append_in(conn, ledger.ledger_id, made)
                raise RolledBack  # noqa: TRY301 - what the caller's own rows may do at any time
        except RolledBack:
            self.writer.rolled_back(made)

    async def leaves(self) -> None:
        task = asyncio.create_task(append(self.writer.ledger, self.writer.drafted(new_stream())))
        for _ in range(self.writer.random.randrange(12)):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        self.writer.did["left"] += 1

    async def _append(self, made: Append) -> None:
        self._landed(made, await append(self.writer.ledger, made))

    def _landed(self, made: Append, landed: Landed) -> None:
        self.writer.acknowledged(made, landed)
        if made.stream != self.own.name:
            return
        if isinstance(landed, Appended) and landed.version < LONGEST_STREAM:
            self.own = grown(made.stream, landed.version, landed.first_position, landed.leaves[-1])
        else:
            self.own = new_stream()


async def opened(url: str) -> Ledger:
    """Open the ledger, again when the connection is cut just then."""
    while True:
        try:
            return await Ledger.open(url)
        except Unavailable:
            await asyncio.sleep(0.05)


async def main(url: str, account: str, seed: int, appends: int) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    out = os.open(account, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    async with await opened(url) as ledger:
        writer = Writer(ledger, out, seed)

        async def call() -> None:
            caller = Caller(writer)
            while not stop.is_set() and not 0 < appends <= writer.did["appended"]:
                await caller.do_something()

        async with asyncio.TaskGroup() as group:
            for _ in range(CALLERS):
                group.create_task(call())
    print(json.dumps(writer.did), flush=True)


if __name__ == "__main__":
    logging.getLogger("asyncpg").setLevel(logging.CRITICAL)  # its pool tells of every line that was cut
    uvloop.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])))
