"""What the doctor looks at of those outside: witnesses, and the authority that stamps."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Final

from ledger.cli.checks.findings import Finding, bad, good, warning
from ledger.cli.watching import watch_of
from ledger.sealing import partners
from ledger.sealing.timestamps import authority_of
from ledger.sealing.witnesses import Watch, Witnessed, witnessed
from ledger.settings import Settings, SettingsRefused
from ledger.store.ledger import Ledger
from ledger.store.pool import reading

SEE: Final = "see docs/operations/witnesses.md"


async def check_witnesses(ledger: Ledger, settings: Settings) -> AsyncIterator[Finding]:
    """Look at the policy file and at what is known of everybody in it; nobody is asked anything."""
    try:
        watch = watch_of(settings)
    except SettingsRefused as refused:
        for problem in refused.problems:
            yield bad("witnesses", problem.about, problem.advice)
        return
    if watch is not None:
        async with reading(ledger.pool) as conn:
            found = await witnessed(conn, ledger.ledger_id, watch)
        yield _witnesses(found, watch)
    if settings.timestamp_url is not None:
        yield await _authority(ledger, authority_of(settings.timestamp_url.get_secret_value()))


def _witnesses(found: Witnessed, watch: Watch) -> Finding:
    forked = [one.witness.name for one in found.standings if one.is_forked()]
    if forked:
        return bad("witnesses", f"{', '.join(forked)}: seen a history that this ledger does not hold", SEE)
    failing = [
        f"{one.witness.name} ({one.partner.problem})"
        for one in found.standings
        if one.partner is not None and one.partner.problem is not None
    ]
    seen = f"a quorum for {found.quorum_size or 0} events"
    if found.is_late(datetime.now(UTC), watch.late_after):
        return warning("witnesses", f"{seen}, and more have waited for too long", ", ".join([*failing, SEE]))
    return (
        warning("witnesses", f"{seen}; failing: {', '.join(failing)}", SEE)
        if failing
        else good("witnesses", seen)
    )


async def _authority(ledger: Ledger, name: str) -> Finding:
    async with reading(ledger.pool) as conn:
        partner = (await partners.standings(conn, ledger.ledger_id, [name])).get(name)
    if partner is not None and partner.problem is not None:
        return warning("time stamps", f"{partner.problem}, {partner.failures} times since the last one", SEE)
    return good("time stamps", "nothing was asked for yet" if partner is None else "all that was asked for")
