"""What the doctor looks at of the Redis that limits are counted in."""

from ledger.cli.checks.findings import Finding, good, warning
from ledger.limiting.shared import LOOK, Shared
from ledger.settings import Settings


async def check_limits(settings: Settings) -> Finding | None:
    """Ask the Redis of the settings once; ``None``: there is none, and each process counts for itself."""
    if settings.redis_url is None:
        return None
    shared = Shared(settings.redis_url.get_secret_value(), prefix="ledger:doctor")
    try:
        answer = await shared.ask(lambda storage: storage.get(LOOK))
    finally:
        await shared.stop()
    if answer is None:
        return warning(
            "redis",
            "does not answer within half a second: each process counts limits for itself",
            "see whether it runs and LEDGER_REDIS_URL leads to it; no restart is needed",
        )
    return good("redis", "answers; limits count over all processes")
