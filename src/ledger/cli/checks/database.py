"""What the doctor looks at in the database: version, shape, rights, what it holds, read models, clock."""

from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from ledger.cli.checks.findings import Finding, Verdict, bad, good, warning
from ledger.cli.checks.projections import check_projections
from ledger.cli.database import OWNER_VARIABLE, SERVICE_VARIABLE, Database
from ledger.identity.factor_check import count_unreadable
from ledger.personal import keys as subject_keys
from ledger.store.inspection import Rights, clock_of, rights_of, version_of
from ledger.store.ledger import LEDGER_ID
from ledger.store.migrate import MigrationChanged, ServerTooOld, all_migrations, check_server, pending
from ledger.store.pool import Connection, DatabaseUnreachable, DirectConnection, connect
from ledger.store.snapshot_sample import SnapshotSample, sample_snapshots
from ledger.webhooks import secrets

NOTICEABLE_SKEW: Final = timedelta(seconds=1)
HARMFUL_SKEW: Final = timedelta(seconds=30)
SHOWN: Final = 5
SEALED_WITH_ANOTHER: Final = (
    "{} second factor(s) were sealed with another secret key: with this one their people cannot log in"
)
SET_THE_OLD_KEY: Final = "Set LEDGER_SECRET_KEY to the key that they were sealed with"


async def check_database(database: Database, *, secret_keys: Sequence[str]) -> AsyncIterator[Finding]:
    """Look at the database through the service's login, then at the owner's if there is one.

    ``secret_keys`` are those that a start would use.
    """
    try:
        conn = await connect(database.service_url)
    except DatabaseUnreachable as lost:
        yield _unreachable(SERVICE_VARIABLE, lost)
        return
    try:
        yield await _version(conn)
        shape = await _shape(conn, database)
        yield shape
        if shape.verdict is Verdict.GOOD:
            yield _judge_rights(await rights_of(conn))
            async for finding in check_secret_keys(conn, secret_keys):
                yield finding
            yield _judge_snapshots(await sample_snapshots(conn, LEDGER_ID))
            yield await check_projections(conn, LEDGER_ID)
        yield await _clock(conn)
    finally:
        await conn.close()
    if database.owner_url is not None:
        yield await _owner(database.owner_url)


async def check_secret_keys(conn: Connection, secret_keys: Sequence[str]) -> AsyncIterator[Finding]:
    """Look whether ``secret_keys`` open all that is sealed: second factors, webhooks' secrets, keys of data subjects."""
    yield await _second_factors(conn, secret_keys)
    yield await _webhooks(conn, secret_keys)
    yield await _subject_keys(conn, secret_keys)


async def _version(conn: DirectConnection) -> Finding:
    version = await version_of(conn)
    try:
        await check_server(conn)
    except ServerTooOld:
        return bad("database", f"PostgreSQL {version}", "upgrade it to version 15 or later")
    return good("database", f"PostgreSQL {version} answers")


async def _shape(conn: DirectConnection, database: Database) -> Finding:
    try:
        missing = await pending(conn, all_migrations())
    except MigrationChanged as changed:
        return bad("migrations", f"{changed.context['name']}: {changed.title()}", changed.advice)
    if not missing:
        return good("migrations", f"all {len(all_migrations())} are applied")
    seen = "the database lacks " + ", ".join(migration.name for migration in missing)
    if database.owner_url is not None:
        return warning("migrations", seen, "'ledger serve' applies them at its next start")
    return bad("migrations", seen, f"run 'ledger migrate' with {OWNER_VARIABLE} set to the owner's login")


def _judge_rights(rights: Rights | None) -> Finding:
    advice = f"give {SERVICE_VARIABLE} a role of its own and {OWNER_VARIABLE} the owner's, then run 'ledger migrate'"
    if rights is None:
        return bad("rights", "the database does not say", "look at the roles")
    if rights.is_superuser:
        return bad(
            "rights", f"{rights.role}, the service's role, is a superuser: it can rewrite history", advice
        )
    if rights.is_owner:
        return warning(
            "rights", f"{rights.role} serves as owner and as service: it can rewrite history", advice
        )
    if rights.may_write:
        seen = f"{rights.role} may write to ledger.events without the append function"
        return bad(
            "rights", seen, f"revoke insert, update, delete, truncate on ledger.events from {rights.role}"
        )
    return good("rights", f"{rights.role} can append to the log, and change nothing in it")


async def _second_factors(conn: Connection, secret_keys: Sequence[str]) -> Finding:
    unreadable = await count_unreadable(conn, LEDGER_ID, secret_keys)
    if unreadable:
        return bad("second factors", SEALED_WITH_ANOTHER.format(unreadable), SET_THE_OLD_KEY)
    return good("second factors", "the secret key opens all there are")


async def _webhooks(conn: Connection, secret_keys: Sequence[str]) -> Finding:
    unreadable = await secrets.count_unreadable(conn, LEDGER_ID, secret_keys)
    if unreadable:
        seen = f"the secrets of {unreadable} were sealed with another secret key: nothing is sent to them"
        return bad("webhooks", seen, f"{SET_THE_OLD_KEY}, or rotate their secrets")
    return good("webhooks", "the secret key opens the secrets of all there are")


async def _subject_keys(conn: Connection, secret_keys: Sequence[str]) -> Finding:
    unreadable = await subject_keys.count_unreadable(conn, LEDGER_ID, secret_keys)
    if unreadable:
        seen = (
            f"{unreadable} key(s) of data subjects were wrapped with another secret key: "
            "what they sealed reads 'unreadable', which is not 'erased'"
        )
        return bad("sealed text", seen, "Set LEDGER_SECRET_KEY or LEDGER_PREVIOUS_SECRET_KEYS to that key")
    return good("sealed text", "the secret key opens the keys of all data subjects")


def _judge_snapshots(sample: SnapshotSample) -> Finding:
    if sample.wrong:
        more = ", …" if len(sample.wrong) > SHOWN else ""
        named = ", ".join(sample.wrong[:SHOWN]) + more
        return bad(
            "snapshots",
            f"{len(sample.wrong)} of {sample.looked_at} looked at are not what their events say: {named}",
            "stop the service, delete them from work.snapshots (they are made anew), and find out who wrote them",
        )
    if not sample.stored:
        return good("snapshots", "there are none yet")
    return good("snapshots", f"{sample.looked_at} of {sample.stored} looked at: each is what its events say")


async def _clock(conn: DirectConnection) -> Finding:
    before = datetime.now(UTC)
    there = await clock_of(conn)
    after = datetime.now(UTC)
    skew = abs(there - (before + (after - before) / 2))
    seen = f"{skew.total_seconds():.3f} seconds apart from the database's"
    if skew > HARMFUL_SKEW:
        return bad("clock", seen, "set the clocks of both machines (NTP): sessions and leases depend on them")
    if skew > NOTICEABLE_SKEW:
        return warning("clock", seen, "set the clocks of both machines (NTP)")
    return good("clock", seen)


async def _owner(url: str) -> Finding:
    try:
        conn = await connect(url)
    except DatabaseUnreachable as lost:
        return _unreachable(OWNER_VARIABLE, lost)
    await conn.close()
    return good("owner's login", "works; only 'ledger migrate' and starts need it")


def _unreachable(variable: str, lost: DatabaseUnreachable) -> Finding:
    return bad("database", f"cannot be reached: {lost.context['reason']}", f"check {variable} and the server")
