"""How much is measured: the whole thing, a quick look, or just enough to see that it runs."""

from typing import Final

import msgspec

KB: Final = 1000


class Scale(msgspec.Struct, frozen=True, kw_only=True):
    """``seconds`` of every measurement, ``rounds`` of each in turn; ``decisive_rounds`` where a bar hangs on it."""

    name: str
    seconds: float
    rounds: int
    decisive_rounds: int
    in_flight: tuple[int, ...]
    payloads: tuple[int, ...]  # bytes
    pool_sizes: tuple[int, ...]  # tried for the peers; one means: not tried
    stored: tuple[int, ...]  # events in the log, for growth
    lengths: tuple[int, ...]  # events in a stream, for reading
    projected: int  # events
    rebuilt: int  # events
    waiting: int  # decisions
    http_rounds: int
    http_load_seconds: float
    waiters: int


FULL: Final = Scale(
    name="full",
    seconds=1.5,
    rounds=3,
    decisive_rounds=5,
    in_flight=(1, 16, 64, 256),
    payloads=(500, 4 * KB, 64 * KB),
    pool_sizes=(1, 2, 4, 8, 16),
    stored=(0, 1_000_000, 5_000_000),
    lengths=(10, 100, 1000, 10_000),
    projected=20_000,
    rebuilt=1_000_000,
    waiting=100_000,
    http_rounds=3,
    http_load_seconds=6.0,
    waiters=5000,
)
QUICK: Final = Scale(
    name="quick",
    seconds=1.0,
    rounds=2,
    decisive_rounds=3,
    in_flight=(1, 64),
    payloads=(500,),
    pool_sizes=(8,),
    stored=(0, 50_000),
    lengths=(10, 1000),
    projected=5000,
    rebuilt=100_000,
    waiting=20_000,
    http_rounds=1,
    http_load_seconds=2.0,
    waiters=500,
)
TINY: Final = Scale(
    name="tiny",
    seconds=0.05,
    rounds=1,
    decisive_rounds=1,
    in_flight=(1, 2),
    payloads=(500,),
    pool_sizes=(2,),
    stored=(0, 10),
    lengths=(2,),
    projected=40,
    rebuilt=20,
    waiting=40,
    http_rounds=1,
    http_load_seconds=1.0,
    waiters=20,
)
