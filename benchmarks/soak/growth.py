"""Whether something grows, told so that a few odd moments do not count."""

from collections.abc import Sequence
from itertools import combinations
from statistics import median
from typing import Final

MINUTE: Final = 60.0


def per_minute(moments: Sequence[float], values: Sequence[float]) -> float:
    """Give by how much ``values`` grow a minute; ``moments`` are seconds.

    It is the median slope between any two of them (Theil and Sen): up to a quarter of them may be anything.
    """
    pairs = combinations(zip(moments, values, strict=True), 2)
    slopes = [(later - earlier) / (end - begin) for (begin, earlier), (end, later) in pairs if end != begin]
    return median(slopes) * MINUTE if slopes else 0.0
