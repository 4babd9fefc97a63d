"""How bad it is, by what the database knows."""

from datetime import UTC, datetime
from uuid import uuid4

import pytest

from ledger.domain.ids import Position
from ledger.projections.health import State
from ledger.projections.reports import HealthStatus, Report, worst
from ledger.projections.reports import report as reported
from ledger.projections.views.queue import QUEUE
from ledger.store.ledger import Ledger


def report(**facts: object) -> Report:
    usual: dict[str, object] = {
        "name": "queue",
        "version": 1,
        "position": Position(5),
        "head": Position(7),
        "applied": 5,
        "not_wanted": 0,
        "parked": 0,
        "skipped": 0,
        "last_event_id": None,
        "last_event_type": None,
        "checkpoint_at": None,
        "paused_at": None,
        "is_alive": True,
        "state": State.RUNNING,
        "error": None,
        "total_failures": 0,
        "active_failures": 0,
        "last_failure_at": None,
        "oldest_parked_seconds": None,
        "lag_seconds": 0.0,
    }
    return Report(**{**usual, **facts})


@pytest.mark.parametrize(
    ("culprits", "status"),
    [
        (0, "healthy"),
        (1, "degraded"),
        (9, "degraded"),
        (10, "critical"),
        (49, "critical"),
        (50, "offline"),
        (500, "offline"),
    ],
)
def test_culprits_decide(culprits: int, status: str) -> None:
    assert report(active_failures=culprits).status() == status


@pytest.mark.parametrize(
    ("facts", "status"),
    [
        ({"is_alive": False}, "offline"),
        ({"state": State.WAITING_FOR_NEWER_RELEASE}, "offline"),
        ({"state": State.FAILING}, "offline"),
        ({"state": State.RETRYING, "lag_seconds": 29.0}, "healthy"),
        ({"state": State.RETRYING, "lag_seconds": 31.0}, "degraded"),
        ({"state": State.RUNNING, "lag_seconds": 3600.0}, "healthy"),
        ({"is_alive": False, "paused_at": datetime.now(UTC)}, "healthy"),
    ],
)
def test_what_applies_nothing_is_not_healthy_unless_somebody_wants_it_so(
    facts: dict[str, object], status: str
) -> None:
    assert report(**facts).status() == status


def test_what_it_does_is_said_in_words() -> None:
    assert report(state=None).doing() == "starting"
    assert report(is_alive=False).doing() == "nobody feeds it"
    assert report(is_alive=False, paused_at=datetime.now(UTC)).doing() == "paused"
    assert report(head=Position(3)).lag_events() == 0


def test_the_worst_decides_about_all() -> None:
    assert worst([]) is HealthStatus.HEALTHY
    assert (
        worst([HealthStatus.CRITICAL, HealthStatus.DEGRADED, HealthStatus.HEALTHY]) is HealthStatus.CRITICAL
    )


def test_what_keeps_one_from_going_on_is_told_beside_what_it_does() -> None:
    assert report(state=State.RETRYING, error="LockNotAvailableError").why() == (
        "retrying (LockNotAvailableError)"
    )
    assert report().why() == "running"


@pytest.mark.parametrize(
    ("until", "is_alive"), [("2 seconds", True), ("-1 seconds", False), ("1 year", False)]
)
async def test_a_lease_that_nobody_can_have_taken_is_no_life(
    ledger: Ledger, until: str, *, is_alive: bool
) -> None:
    """The database's clock leapt a year ahead and was set right, and the process that led then is gone."""
    async with ledger.pool.acquire() as conn:
        await conn.execute(
            "insert into views.leases (ledger_id, projection, version, owner, until, state)"
            " values ($1, $2, $3, $4, clock_timestamp() + $5::text::interval, 'running')",
            ledger.ledger_id,
            QUEUE.name,
            QUEUE.version,
            uuid4(),
            until,
        )
        (found,) = await reported(conn, ledger.ledger_id, [QUEUE])

    assert found.is_alive is is_alive
    assert found.status() == ("healthy" if is_alive else "offline")
