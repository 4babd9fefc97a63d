"""When a message is tried again, when it is given up, and when a receiver is left alone for a while."""

import random
from typing import Final

WAITS: Final = (5.0, 300.0, 1_800.0, 7_200.0, 18_000.0, 21_600.0, 36_000.0)
"""Seconds after the first attempt that fails, the second … : 5 s, 5 min, 30 min, 2 h, 5 h, 6 h, 10 h; together a day."""
ATTEMPTS: Final = len(WAITS) + 1
JITTER: Final = 0.1
"""Waits are up to a tenth shorter or longer, so that what failed together does not come again together."""
MOST_ASKED: Final = 3_600.0
"""How many seconds a receiver may ask for by Retry-After; beyond it we wait as long as we think right."""
GIVE_UP_DAYS: Final = 3
"""A message is given up so long after it was queued, however few attempts a broken receiver has let it have."""

OPENING_FAILURES: Final = 5
"""After so many failures in a row the breaker of a webhook opens."""
FIRST_REST: Final = 30.0
LONGEST_REST: Final = 600.0
"""Seconds for which nothing is sent; then one message is tried. Each one that fails doubles the rest, up to this."""


def wait_after(attempts: int, *, retry_after: float | None = None) -> float | None:
    """Say how many seconds to wait after ``attempts`` that failed; ``None``: that was the last one."""
    if attempts >= ATTEMPTS:
        return None
    wait = WAITS[attempts - 1] * (1 + random.uniform(-JITTER, JITTER))  # noqa: S311 - spreads retries
    return max(wait, min(retry_after or 0.0, MOST_ASKED))
