"""What the doctor looks at of read models: what could not be applied, and whether they are fed."""

from collections.abc import Sequence
from typing import Final

from ledger.cli.checks.findings import Finding, bad, good, warning
from ledger.cli.numbers import counted
from ledger.cli.tables import age
from ledger.projections.reports import HealthStatus, Report, report, worst
from ledger.store.pool import DirectConnection

CHECK: Final = "read models"
LOOK: Final = "'ledger projections status' and 'failures' tell more; see docs/operations/projections.md"
BAD: Final = frozenset({HealthStatus.CRITICAL, HealthStatus.OFFLINE})


async def check_projections(conn: DirectConnection, ledger_id: int) -> Finding:
    """Look at every projection, whether a service runs or not."""
    return judge(await report(conn, ledger_id))


def judge(reports: Sequence[Report]) -> Finding:
    """Judge them by what is parked, and where some process feeds any, by whether all are fed.

    Nobody feeds them while no service runs, and one that a newer release brings has not begun before its start.
    """
    begun = [one for one in reports if one.checkpoint_at is not None]
    is_fed = any(one.is_alive for one in begun)
    statuses = {one.name: one.status() if is_fed else one.status_by_failures() for one in begun}
    unwell = [
        one for one in begun if statuses[one.name] is not HealthStatus.HEALTHY or one.paused_at is not None
    ]
    if unwell:
        seen = "; ".join(_told(one, statuses[one.name]) for one in unwell)
        is_bad = worst(list(statuses.values())) in BAD
        return bad(CHECK, seen, LOOK) if is_bad else warning(CHECK, seen, LOOK)
    if not begun:
        return good(CHECK, "are not there yet; a service makes them")
    behind = max(one.lag_events() for one in begun)
    if behind and not is_fed:
        return warning(
            CHECK,
            f"up to {counted(behind, 'event')} behind, and nobody feeds them",
            f"start a service; {LOOK}",
        )
    return good(
        CHECK, f"nothing is parked in any of {len(begun)}" + ("" if is_fed else "; nobody feeds them now")
    )


def _told(one: Report, status: HealthStatus) -> str:
    if one.active_failures:
        culprits = f"{counted(one.active_failures, 'event')} cannot be applied"
        return (
            f"{one.name} is {status}: {culprits}, {one.parked} parked, for {age(one.oldest_parked_seconds)}"
        )
    return f"{one.name} is {status}: {one.why()}"
