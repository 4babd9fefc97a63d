"""What the doctor looks at of the notary: its key, its guard, and how the log is sealed."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Final

from ledger.cli.checks.findings import Finding, bad, good, warning
from ledger.cli.sealing import guard_of, keyring_of, origin_of
from ledger.domain.errors import Invalid
from ledger.sealing.guard import Guard, GuardUnreachable
from ledger.sealing.keyring import Keyring, NotaryKeyUnusable
from ledger.sealing.notary import Status, status_of
from ledger.sealing.notes import Checkpoint, checkpoint_in
from ledger.settings import Settings
from ledger.store.ledger import Ledger
from ledger.store.pool import reading

SEE: Final = "see docs/operations/sealing.md"
NOTICEABLE_AGE: Final = timedelta(seconds=30)


async def check_sealing(ledger: Ledger, settings: Settings) -> AsyncIterator[Finding]:
    """Look at key, guard and checkpoints; nothing is changed."""
    origin = origin_of(ledger, settings)
    async with reading(ledger.pool) as conn:
        status = await status_of(conn, ledger.ledger_id, origin)
    yield _key(keyring_of(settings, origin), status)
    guard = guard_of(settings, origin)
    try:
        yield await _guard(guard, status, settings)
    finally:
        await guard.close()
    yield _sealing(status, settings)


def _key(keyring: Keyring, status: Status) -> Finding:
    try:
        signers = keyring.signers()
    except NotaryKeyUnusable as unusable:
        return bad(
            "notary key",
            f"{unusable.context['path']}: {unusable.context['reason']}",
            "chmod 600, or put it back",
        )
    if signers:
        seen = f"{signers[0].vkey}"
        mode = 0 if keyring.is_given else keyring.path.stat().st_mode & 0o777
        if mode & 0o077:
            return bad(
                "notary key",
                f"others may read {keyring.path} ({mode:o})",
                f"chmod 600 {keyring.path}; rotate it",
            )
        return good("notary key", seen)
    if status.sealed is None:
        return good("notary key", "is not there yet; a start makes it")
    return bad("notary key", f"{keyring.path} is missing", f"put the copy back, or {SEE}")


async def _guard(guard: Guard, status: Status, settings: Settings) -> Finding:
    sealed = 0 if status.sealed is None else status.sealed.size
    try:
        note = await guard.read()
        known = None if note is None else checkpoint_in(note)
    except GuardUnreachable as lost:
        return bad("notary guard", f"{guard.place}: {lost.context['reason']}", f"nothing is sealed; {SEE}")
    except Invalid:
        return bad("notary guard", f"{guard.place} holds no checkpoint", SEE)
    if known is None and sealed:
        return bad("notary guard", f"{guard.place} holds nothing, and {sealed} events are sealed", SEE)
    if known is not None and known.size > sealed:
        return bad("notary guard", f"knows {known.size} sealed events, the database {sealed}", SEE)
    if settings.is_production and settings.notary_state_url is None:
        advice = "a restored folder brings it along: set LEDGER_NOTARY_STATE_URL to another place"
        return warning("notary guard", _seen(guard, known), advice)
    return good("notary guard", _seen(guard, known))


def _seen(guard: Guard, known: Checkpoint | None) -> str:
    return f"{guard.place} " + ("is not there yet" if known is None else f"knows {known.size} sealed events")


def _sealing(status: Status, settings: Settings) -> Finding:
    if status.halt is not None:
        return bad("sealing", f"is halted: {status.halt.because}", SEE)
    sealed = 0 if status.sealed is None else status.sealed.size
    seen = f"{sealed} events of {status.origin} are sealed"
    since = status.unsealed_since
    if since is None or datetime.now(UTC) - since < NOTICEABLE_AGE:
        return good("sealing", seen)
    waiting = f"{seen}, {status.lag} are not, the oldest since {since:%Y-%m-%d %H:%M:%S} UTC"
    if not settings.notary:
        return warning("sealing", waiting, "LEDGER_NOTARY is off here; let another process seal")
    if not status.is_held:
        return good("sealing", f"{waiting}; a running service seals them")
    return warning("sealing", waiting, f"look for notary.round.failed in the log; {SEE}")
