"""One ledger, opened: its connections, its writer and its identity, for everybody who reads or appends."""

from copy import copy
from functools import lru_cache
from types import TracebackType
from typing import Final, Self
from uuid import UUID

import msgspec
import uuid_utils

from ledger.domain.errors import Unavailable
from ledger.domain.ids import (
    CommandId,
    DecisionId,
    PersonId,
    Position,
    SessionId,
    StreamName,
    SubjectId,
    WebhookId,
)
from ledger.store.appender import MAX_QUEUE, Appender
from ledger.store.migrate import NotMigrated, all_migrations, check_server, pending
from ledger.store.pool import (
    LOST,
    Connection,
    DatabaseUnreachable,
    Lent,
    Lines,
    Pool,
    Source,
    close_pool,
    connect,
    open_pool,
    reading,
)
from ledger.store.signals import APPENDED_CHANNEL, Bell, Signals
from ledger.store.snapshots import SNAPSHOT_EVERY, SnapshotWriter
from ledger.store.turns import Turns
from ledger.tracing import Tracing

LEDGER_ID: Final = 1
"""The one ledger of an ordinary installation; every key in the schema begins with it all the same."""

MAX_NAMES: Final = 4096
"""Of sessions and accounts, which every request names several times."""

# $1 ledger
IDENTITY: Final = "select namespace, request_key from ledger.ledger_identity where ledger_id = $1"
# $1 ledger
HEAD: Final = "select coalesce(max(position), 0) from ledger.events where ledger_id = $1"
# no binds
SERVER_FACTS: Final = """
select current_setting('server_version') as version,
       (select count(*) from pg_stat_activity where datname = current_database()) as connections
"""


class ServerFacts(msgspec.Struct, frozen=True, kw_only=True):
    """The server's version, and how many connections this database has from everybody."""

    version: str
    connections: int


class Ledger:
    """An open ledger; use ``Ledger.open`` and leave it as a context manager."""

    def __init__(
        self,
        *,
        url: str,
        pool: Pool,
        ledger_id: int,
        namespace: UUID,
        request_key: bytes,
        max_queue: int,
        snapshot_every: int,
        lines: Lines,
    ) -> None:
        """Take what ``open`` has prepared."""
        self.url = url
        self.pool = pool
        self.source: Source = pool  # of reads that may be answered from elsewhere; nothing is decided by it
        self.ledger_id = ledger_id
        self.request_key = request_key
        self._namespace = namespace
        # The same, in the type that makes ids of names quickly.
        self._names = uuid_utils.UUID(bytes=namespace.bytes)
        self.appender = Appender(url, ledger_id, max_queue=max_queue)
        self.snapshots = SnapshotWriter(pool, ledger_id, every=snapshot_every)
        self.turns = Turns()
        self.tracing = Tracing()  # records nothing, unless whoever opened it says otherwise
        self.signals = Signals(url)
        self._lines = lines
        self.signals.when_dead(lines.give_up)
        self.signals.when_dead(self.appender.give_up)
        self.appended = Bell()
        self.signals.on(APPENDED_CHANNEL, self.appended.ring)

    @classmethod
    async def open(
        cls,
        url: str,
        *,
        min_size: int = 2,
        max_size: int = 8,
        ledger_id: int = LEDGER_ID,
        max_queue: int = MAX_QUEUE,
        snapshot_every: int = SNAPSHOT_EVERY,
    ) -> Self:
        """Open the ledger at ``url`` with a pool of ``min_size`` to ``max_size`` connections.

        At most ``max_queue`` appends wait; a stream gets a snapshot every ``snapshot_every`` events (0: never).

        Raises:
            DatabaseUnreachable: nothing answers there, or it refuses this login.
            ServerTooOld: it is older than version 15.
            NotMigrated: it is not at this release's shape.
        """
        await _check_shape(url)
        lines = Lines()
        pool = await open_pool(url, min_size=min_size, max_size=max_size, lines=lines)
        try:
            async with reading(pool) as conn:
                identity = await conn.fetchrow(IDENTITY, ledger_id)
        except Unavailable:
            pool.terminate()
            raise
        if identity is None:
            await close_pool(pool)
            raise NotMigrated(ledger=ledger_id)
        return cls(
            url=url,
            pool=pool,
            ledger_id=ledger_id,
            namespace=identity["namespace"],
            request_key=identity["request_key"],
            max_queue=max_queue,
            snapshot_every=snapshot_every,
            lines=lines,
        )

    def start(self) -> None:
        """Begin to append and to listen."""
        self.appender.start()
        self.snapshots.start()
        self.signals.start()

    async def stop(self) -> None:
        """Write what is queued, then close every connection."""
        await self.appender.stop()
        await self.snapshots.stop()
        await self.signals.stop()
        await close_pool(self.pool)

    async def __aenter__(self) -> Self:
        self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    def on(self, conn: Connection) -> Self:
        """Give this ledger with ``conn``, which may be a standby's, as the source of its reads."""
        there = copy(self)
        there.source = Lent(conn)
        return there

    def is_held_by(self, namespace: UUID | None) -> bool:
        """Say whether a database whose ledger has this namespace holds this ledger, or a copy of it."""
        return namespace == self._namespace

    def _id_of(self, name: str) -> str:
        """Make an id of a name (RFC 9562, version 5), as it is written: the standard library takes ten times as long."""
        return str(uuid_utils.uuid5(self._names, name))

    def decision_stream(self, decision_id: DecisionId) -> StreamName:
        """Name a decision's stream; the name does not give the id away."""
        return StreamName(f"decision-{self._id_of(decision_id)}")

    def operations_stream(self, projection: str, version: int) -> StreamName:
        """Name the stream of what is done to one version of a projection."""
        return StreamName(f"operations-{self._id_of(f'projection {projection} {version}')}")

    def kind_stream(self, name: str) -> StreamName:
        """Name the stream of a kind of items."""
        return StreamName(f"kind-{self._id_of(f'kind {name}')}")

    def policy_stream(self, kind: str) -> StreamName:
        """Name the stream of the policies of a kind."""
        return StreamName(f"policy-{self._id_of(f'policy {kind}')}")

    def data_subject(self, name: str) -> SubjectId:
        """Give the id of a data subject, by what submitters call it; the id does not give the name away."""
        return SubjectId(UUID(self._id_of(f"subject {name}")))

    def notary_id(self) -> UUID:
        """Give the id that the notary's stream, and the log where nobody named it, are called by."""
        return UUID(self._id_of("notary"))

    def notary_stream(self) -> StreamName:
        """Name the stream of what is done to the notary."""
        return StreamName(f"notary-{self.notary_id()}")

    async def head(self) -> Position:
        """Read the last position; 0 when the ledger is empty."""
        async with reading(self.source) as conn:
            return Position(await conn.fetchval(HEAD, self.ledger_id))

    async def connections_apart(self, *, most: int) -> Pool:
        """Open a pool for work that no request waits for; on a dead line its connections are cut with all others.

        Raises:
            DatabaseUnreachable: nothing answers there, or it refuses this login.
        """
        return await open_pool(self.url, min_size=0, max_size=most, lines=self._lines)

    async def server_facts(self) -> ServerFacts:
        """Ask the server about itself."""
        async with reading(self.pool) as conn:
            row = await conn.fetchrow(SERVER_FACTS)
        if row is None:
            raise Unavailable
        return ServerFacts(version=row["version"], connections=row["connections"])


@lru_cache(maxsize=MAX_NAMES)
def account_stream(person: PersonId) -> StreamName:
    """Name an account's stream; person ids are random and opaque already."""
    return StreamName(f"account-{person}")


ACCESS_STREAM: Final = StreamName(f"access-{UUID(int=1)}")
"""The one stream of the rules of coming in."""


def login_stream(person: PersonId) -> StreamName:
    """Name the stream of somebody's failed logins, apart from the account's own."""
    return StreamName(f"login-{person}")


@lru_cache(maxsize=MAX_NAMES)
def session_stream(session: SessionId) -> StreamName:
    """Name a session's stream; session ids are random and opaque already."""
    return StreamName(f"session-{session}")


def export_stream(export: CommandId) -> StreamName:
    """Name the stream of one time that somebody took something out; the command that asked for it is its id."""
    return StreamName(f"export-{export}")


def subject_stream(subject: SubjectId) -> StreamName:
    """Name the stream of what becomes of somebody's personal data; subject ids are opaque already."""
    return StreamName(f"subject-{subject}")


def webhook_stream(webhook: WebhookId) -> StreamName:
    """Name a webhook's stream; webhook ids are random and opaque already."""
    return StreamName(f"webhook-{webhook}")


def reading_stream(session: SessionId) -> StreamName:
    """Name the stream of what is read of the history in a session."""
    return StreamName(f"reading-{session}")


async def _check_shape(url: str) -> None:
    conn = await connect(url)
    try:
        await check_server(conn)
        missing = await pending(conn, all_migrations())
        await conn.close()
    except LOST as lost:
        raise DatabaseUnreachable(reason=type(lost).__name__) from lost
    finally:
        conn.terminate()
    if missing:
        raise NotMigrated(missing=", ".join(migration.name for migration in missing))
