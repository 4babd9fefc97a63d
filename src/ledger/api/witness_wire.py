"""How far the log is witnessed and stamped, as HTTP and the command line tell it."""

from collections.abc import Mapping
from datetime import datetime
from urllib.parse import urlsplit

import msgspec

from ledger.sealing.timestamps import Stamped
from ledger.sealing.witnesses import Watch, Witnessed, WitnessStanding


class ForkTold(msgspec.Struct, frozen=True, kw_only=True):
    """Since when a witness has seen a history that this ledger does not hold, and how long that one was."""

    since: datetime
    size: int


class WitnessTold(msgspec.Struct, frozen=True, kw_only=True):
    """A witness: the last checkpoint that it cosigned, and how it goes with it.

    ``size`` is 0 and ``cosigned_at`` is ``null`` before the first; ``failures`` counts those since, the last of them for
    the reason ``problem`` (``null``: there is none). ``is_asked``: the policy has an address for it.
    """

    name: str
    vkey: str
    is_asked: bool
    size: int
    cosigned_at: datetime | None
    failures: int
    problem: str | None
    fork: ForkTold | None


class WitnessedTold(msgspec.Struct, frozen=True, kw_only=True):
    """How far the log is witnessed.

    ``quorum_size`` is that of the newest checkpoint with a quorum (``null``: there is none), ``quorum_at`` when the last
    of those cosigned it. The first checkpoint beyond it has been waiting since ``waiting_since``; ``is_late``: too long.
    """

    quorum_size: int | None
    quorum_at: datetime | None
    waiting_since: datetime | None
    is_late: bool
    witnesses: tuple[WitnessTold, ...]


class StampedTold(msgspec.Struct, frozen=True, kw_only=True):
    """The newest checkpoint that an authority stamped, told by its host, and when by its clock."""

    authority: str
    size: int
    stamped_at: datetime


def witnessed_told(found: Witnessed, watch: Watch, now: datetime) -> WitnessedTold:
    """Tell how far the log is witnessed."""
    return WitnessedTold(
        quorum_size=found.quorum_size,
        quorum_at=found.quorum_at,
        waiting_since=found.waiting_since,
        is_late=found.is_late(now, watch.late_after),
        witnesses=tuple(map(_witness, found.standings)),
    )


def stamped_told(found: Mapping[str, Stamped]) -> tuple[StampedTold, ...]:
    """Tell what was stamped last."""
    return tuple(
        StampedTold(
            authority=urlsplit(address).hostname or "", size=stamped.size, stamped_at=stamped.stamped_at
        )
        for address, stamped in found.items()
    )


def _witness(one: WitnessStanding) -> WitnessTold:
    partner, last = one.partner, one.last
    fork = None
    if partner is not None and partner.forked_at is not None and partner.forked_size is not None:
        fork = ForkTold(since=partner.forked_at, size=partner.forked_size)
    return WitnessTold(
        name=one.witness.name,
        vkey=one.witness.key.vkey,
        is_asked=one.witness.url is not None,
        size=0 if last is None else last.size,
        cosigned_at=None if last is None else last.cosigned_at,
        failures=0 if partner is None else partner.failures,
        problem=None if partner is None else partner.problem,
        fork=fork,
    )
