"""What the answers of a witness mean, when they are no cosignature (C2SP tlog-witness)."""

import re
import secrets
from typing import Final

from ledger.sealing.asking import Answer, PartnerFailed
from ledger.sealing.rows import Sealed

LONGEST_REST: Final = 60.0
MOST_ASKED: Final = 600.0
"""Seconds that a witness which has failed rests, and how long a rest it may ask for."""
CONFLICT: Final = 409
UNPROVED: Final = 422
LARGEST: Final = 2**63 - 1
SIZE_TYPE: Final = "text/x.tlog.size"
SIZE: Final = re.compile(rb"(0|[1-9][0-9]{0,18})\n")
PROBLEMS: Final = {
    400: "request-malformed",
    403: "key-not-trusted",
    404: "log-not-known",
    422: "proof-refused",
    429: "too-many-requests",
}


class HistoryForked(PartnerFailed):
    """A witness has cosigned a history that this database does not hold: somebody rolled back, or rewrote.

    Context: how long the other one is (``size``).
    """

    code = "history-forked"
    advice = "Compare with the witness's last checkpoint before anything else is done: docs/operations/witnesses.md."

    def __init__(self, size: int) -> None:
        """Take the size of what the witness has seen."""
        super().__init__("fork")
        self.context["size"] = size
        self.size = size


def begins_at(answer: Answer, old: int, newest: Sealed) -> int:
    """Read where a witness wants the proof to begin, from an answer that is no cosignature.

    Raises:
        HistoryForked: it says that what it has cosigned is not the beginning of this.
        PartnerFailed: it says something else.
    """
    if answer.status == UNPROVED and old > 0:
        raise HistoryForked(old)
    if answer.status != CONFLICT:
        problem = PROBLEMS.get(answer.status, f"status-{answer.status}")
        raise PartnerFailed(problem, retry_after=answer.retry_after)
    told = _told(answer)
    if told is None and old == newest.size:
        raise HistoryForked(old)
    if told is None:
        raise PartnerFailed("conflict-without-size")
    if told == old == newest.size:
        raise HistoryForked(old)
    return told


def _told(answer: Answer) -> int | None:
    found = SIZE.fullmatch(answer.body) if answer.media_type == SIZE_TYPE else None
    told = None if found is None else int(found[1])
    return None if told is None or told > LARGEST else told


def rest_after(failures: int, interval: float, retry_after: float | None) -> float:
    """Say how many seconds to rest: from half to all of what doubles with every failure, a minute at most."""
    longest = min(LONGEST_REST, max(interval, 1.0) * 2.0 ** min(failures - 1, 10))
    spread = longest * (0.5 + secrets.randbelow(1000) / 2000)
    return max(spread, min(retry_after or 0.0, MOST_ASKED))
