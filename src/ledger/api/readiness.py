"""Whether traffic may come: what /health/ready answers, and what is measured of it."""

from functools import cache

from opentelemetry import metrics

from ledger.api.services import Services
from ledger.domain.errors import Unavailable
from ledger.store.ledger import Ledger
from ledger.store.migrate import Migration, MigrationChanged, all_migrations, pending
from ledger.store.pool import reading

_ready = metrics.get_meter("ledger.api").create_gauge(
    "ledger_ready", description="1 while a check of /health/ready passes in this process, 0 while it fails"
)


async def checks_of(services: Services) -> dict[str, bool]:
    """Look at everything that traffic needs, by name."""
    return {
        "database": await _answers(services.ledger),
        "migrations": await _is_migrated(services.ledger),
        "feed": services.ledger.signals.is_connected(),
        "appender": services.ledger.appender.is_running(),
        "projections": services.runner is None or services.runner.is_ready(),
    }


async def measure_checks(services: Services) -> None:
    """Set the gauge of every check."""
    for name, passes in (await checks_of(services)).items():
        _ready.set(int(passes), {"check": name})


async def _answers(ledger: Ledger) -> bool:
    try:
        await ledger.head()
    except Unavailable:
        return False
    return True


async def _is_migrated(ledger: Ledger) -> bool:
    """Tell whether the database is still at this release's shape, as it was at the start."""
    try:
        async with reading(ledger.pool) as conn:
            return not await pending(conn, _migrations())
    except (Unavailable, MigrationChanged):
        return False


@cache
def _migrations() -> tuple[Migration, ...]:
    return all_migrations()
