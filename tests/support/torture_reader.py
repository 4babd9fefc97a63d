"""A naive reader in a process of its own: tails the log, checks every event, connects again when it is cut off.

Arguments: the database's URL. Reads one line from its input, the last position, and ends when it has come there;
then prints what it saw as one line of JSON.
"""

import asyncio
import json
import sys
from typing import Final

import asyncpg
import uvloop

from ledger.store.pool import LOST
from tests.support.torture_log import PAGE, TAIL, LogCheck

LOOK_EVERY: Final = 0.005
CONNECT_EVERY: Final = 0.05


async def follow(url: str, check: LogCheck, until: asyncio.Task[str]) -> None:
    conn = await asyncpg.connect(url, timeout=10)
    try:
        while not until.done() or check.position < int(until.result()):
            rows = await conn.fetch(TAIL, check.position, PAGE, timeout=30)
            for row in rows:
                check.take(row)
            if not rows:
                await asyncio.sleep(LOOK_EVERY)
    finally:
        conn.terminate()


async def main(url: str) -> None:
    check, cuts = LogCheck(), 0
    until = asyncio.create_task(asyncio.to_thread(sys.stdin.readline))
    try:
        while not until.done() or check.position < int(until.result()):
            try:
                await follow(url, check, until)
            except (*LOST, asyncpg.PostgresError):
                cuts += 1
                await asyncio.sleep(CONNECT_EVERY)
    except AssertionError as broken:
        print(json.dumps({"broken": str(broken)}), flush=True)
        await until
        return
    print(json.dumps({"position": check.position, "digest": check.digest(), "cuts": cuts}), flush=True)


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1]))
