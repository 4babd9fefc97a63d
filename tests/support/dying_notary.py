"""A notary's process that dies where it is told to, and notes what it signed before anybody else could see it.

Arguments: the database's URL, the folder of key and guard, a file for notes, and a point, or ``never``: then it says
``up`` and seals until it is killed.
"""

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

from ledger.sealing import sealer as room
from ledger.sealing.notes import Checkpoint
from ledger.sealing.sealer import Sealer
from ledger.store.ledger import Ledger
from tests.support.chaos import die
from tests.support.sealing import guard_in, keyring_in, utc_now

Step = Callable[..., Awaitable[object]]
BATCH = 10
NTH = 2
"""The second batch: what the first one left is there to be gone on from."""


def dying(step: Step, *, after: bool, nth: int = NTH) -> Step:
    times = 0

    async def then_die(*arguments: object, **named: object) -> object:
        nonlocal times
        times += 1
        is_it = times == nth
        if is_it and not after:
            die()
        outcome = await step(*arguments, **named)
        if is_it:
            die()
        return outcome

    return then_die


def aim(sealer: Sealer, point: str) -> None:
    """Arrange for the death."""
    match point:
        case "before the key":
            sealer._found = dying(sealer._found, after=False, nth=1)
        case "before the first guard":
            sealer._guard_it = dying(sealer._guard_it, after=False, nth=1)
        case "after the first guard":
            sealer._guard_it = dying(sealer._guard_it, after=True, nth=1)
        case "between tiles and checkpoint":
            room.write_checkpoint = dying(room.write_checkpoint, after=False)
        case "before the commit":
            room.write_checkpoint = dying(room.write_checkpoint, after=True)
        case "after the commit":
            sealer._commit = dying(sealer._commit, after=True)
        case "after the guard":
            sealer._guard_it = dying(sealer._guard_it, after=True, nth=NTH + 1)  # one is the empty tree's
        case "after it was published":
            sealer._publish = dying(sealer._publish, after=True)


def noting(path: Path) -> None:
    """Write down every note that is signed, flushed, before it goes anywhere."""
    sign = Checkpoint.signed_by
    opened = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def signed_by(checkpoint: Checkpoint, signers: object) -> str:
        note = sign(checkpoint, signers)
        os.write(opened, note.encode() + b"\0")
        return note

    Checkpoint.signed_by = signed_by


async def main(url: str, folder: str, notes: str, point: str) -> None:
    noting(Path(notes))
    ledger = await Ledger.open(url)
    async with ledger:
        sealer = Sealer(
            ledger, keyring_in(ledger, Path(folder)), guard_in(Path(folder)), utc_now, batch=BATCH
        )
        aim(sealer, point)
        print("up", flush=True)
        await sealer.run_forever()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
