"""Whether a soak was passed: bars, and each of them a sentence."""

from collections.abc import Iterator
from typing import Final

import msgspec

from benchmarks.result import Bar
from benchmarks.soak.account import Account
from benchmarks.soak.load import Outcome, sustained
from benchmarks.soak.watching import Figure

SHARE: Final = 0.7
"""Of the peak."""
LEAST_PACE: Final = 0.95
WARM_UP: Final = 0.2
"""Of the time, in which caches fill: what grows then is not counted."""
LEAST_SECONDS: Final = 180.0
"""Of watching after that; what grows in less is chance, and only told."""
BOUNDS: Final = {
    "memory": (1.0, "MB"),
    "descriptors": (0.5, ""),
    "connections": (0.5, ""),
    "projection_lag": (0.05, "s"),
    "sealing_lag": (0.05, "s"),
    "webhooks_waiting": (5.0, ""),
}
"""By how much each may grow a minute."""
TITLES: Final = {
    "memory": "memory of the service",
    "descriptors": "its file descriptors",
    "connections": "connections to the database",
    "projection_lag": "lag of the slowest read model",
    "sealing_lag": "age of the oldest event that is not sealed",
    "webhooks_waiting": "messages of webhooks that wait",
}
MUST_BE_NONE: Final = {
    "not_shown": "acknowledged submissions that are not shown",
    "shown_otherwise": "acknowledged verdicts that are not shown as given",
    "never_acknowledged": "submissions stored that nobody was told of",
    "not_streamed": "submissions that the event stream did not tell",
    "streamed_again": "events that it told again or out of order",
    "not_sent": "resolutions that the webhook did not tell",
    "behind": "events and messages behind, a minute after the load at most",
    "parked": "events parked",
    "projections_exit": "exit code of `ledger projections verify`",
    "audit_exit": "exit code of `ledger audit verify --database`",
    "errors_logged": "errors in the service's log",
}


class Soak(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that one soak found; ``figures`` are of ``watched`` seconds, after the warm-up."""

    minutes: float
    desks: int
    peak: Outcome
    load: Outcome
    figures: dict[str, Figure]
    watched: float
    account: Account
    machine: dict[str, str]
    seconds: float

    def peak_rounds(self) -> float:
        return sustained(self.peak.rounds)

    def load_rounds(self) -> float:
        return sustained(self.load.rounds)


def bars(soak: Soak) -> Iterator[Bar]:
    """Put every question to it."""
    yield _none("answers that were not intended", soak.peak.failures() + soak.load.failures())
    yield Bar(
        what=f"pace, against {SHARE:.0%} of the peak",
        reached=soak.load_rounds() / (SHARE * soak.peak_rounds()) if soak.peak_rounds() else 0.0,
        direction="at least",
        bar=LEAST_PACE,
    )
    for name, what in MUST_BE_NONE.items():
        yield _none(what, getattr(soak.account, name))
    if soak.watched >= LEAST_SECONDS:
        yield from (_growth(name, figure) for name, figure in soak.figures.items())


def _growth(name: str, figure: Figure) -> Bar:
    most, unit = BOUNDS[name]
    what = f"growth a minute: {TITLES[name]}"
    return Bar(what=what, reached=figure.growth, direction="at most", bar=most, unit=unit)


def _none(what: str, found: int) -> Bar:
    return Bar(what=what, reached=float(found), direction="at most", bar=0, unit="")
