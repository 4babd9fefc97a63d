"""A private PostgreSQL in the data folder: started, watched, restarted and stopped by the service."""

import asyncio
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Final, Self

import asyncpg

from ledger.domain.errors import Unavailable
from ledger.store.local_postgres import folder as folders
from ledger.store.local_postgres import process as processes
from ledger.store.local_postgres.cluster import DATABASE, OWNER, SERVICE, Plan, ensure_roles, url_of
from ledger.store.local_postgres.folder import Site, site_of
from ledger.store.local_postgres.major import check_major
from ledger.store.local_postgres.process import Runner
from ledger.store.local_postgres.programs import Programs, find_programs

# Recovery after a crash replays the log; a large one takes minutes.
START_SECONDS: Final = 600.0
# An operator command's glance at the lock takes microseconds, a predecessor's last breath a little more.
LOCK_SECONDS: Final = 0.5
ATTACH_SECONDS: Final = 15.0


class DataFolderInUse(Unavailable):
    """Another process already serves this data folder.

    Context: ``data_dir``, ``holder``: its process id.
    """

    code = "data-folder-in-use"
    advice = "Stop that process first, or choose another data folder."


class PostgresDidNotStart(Unavailable):
    """The embedded PostgreSQL did not start.

    Context: ``exit_code`` (``None``: it hung), ``log``: the file, ``tail``: its last lines.
    """

    code = "postgres-did-not-start"
    advice = "The end of its log says why."


class LocalPostgres:
    """A running server that another process keeps; ``stop`` and ``restart`` leave it alone.

    ``service_url`` connects as the role that owns nothing, ``owner_url`` as the superuser who
    migrates; both stay the same over restarts. ``warnings`` are sentences for the operator.
    """

    warnings: tuple[str, ...] = ()

    def __init__(self, sockets: Path, pid: int, version: str) -> None:
        self.service_url = url_of(SERVICE, DATABASE, sockets)
        self.owner_url = url_of(OWNER, DATABASE, sockets)
        self.pid = pid
        self.version = version

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    @property
    def is_alive(self) -> bool:
        """Say whether the server's process exists."""
        return processes.is_running(self.pid)

    async def wait_exit(self) -> None:
        """Return when the server's process has ended, asked for or not."""
        if self.is_alive:
            await processes.ended(self.pid)

    async def restart(self) -> None:
        """Leave it to the process that keeps the server."""

    async def stop(self) -> None:
        """Leave it to the process that keeps the server."""


class OwnPostgres(LocalPostgres):
    """A server of this process, which holds the data folder's lock until ``stop``."""

    def __init__(self, plan: Plan, lock: int) -> None:
        super().__init__(plan.sockets, 0, plan.programs.version)
        self.warnings = plan.runner.warnings
        self._plan = plan
        self._lock: int | None = lock
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def is_alive(self) -> bool:
        """Say whether the server's process exists."""
        return self._process is not None and self._process.poll() is None

    async def restart(self) -> None:
        """Start the server again after it died; does nothing while it is alive or after ``stop``.

        Raises:
            PostgresDidNotStart: it ended, or was not ready within ten minutes.
            LeftoverPostgres: processes of the dead server do not end.
        """
        if self.is_alive or self._lock is None:
            return
        plan = self._plan
        await _clear_leftovers(plan)
        process = _spawn(plan, plan.server_command(), plan.site.data)
        self._process, self.pid = process, process.pid
        try:
            await _ready(plan.site, process)
            await ensure_roles(plan.sockets)
        except BaseException:
            await processes.end(process)
            raise

    async def stop(self) -> None:
        """Shut the server down and give the data folder back; a second call does nothing.

        Clients are disconnected. What does not end within a minute is shut down at once, without
        loss: the next start recovers.
        """
        if self._process is not None and self.is_alive:
            await processes.end(self._process)
        if self._lock is not None:
            folders.tidy(self._plan.site, self._plan.sockets)
            os.close(self._lock)
            self._lock = None


async def start(
    data_dir: Path,
    *,
    pg_bin: Path | None = None,
    pg_user: str | None = None,
    production: bool = False,
    fsync: bool = True,
    settings: Mapping[str, str] = MappingProxyType({}),
) -> LocalPostgres:
    """Start the PostgreSQL of a data folder, creating both when they are missing; ready when it returns.

    ``pg_bin`` is the folder of its programs (``None``: the embedded ones, else the system's),
    ``pg_user`` the user to run it as when we are root, ``settings`` override our own. Without
    ``fsync`` a crash of server or machine loses what was committed: for tests.

    Raises:
        DataFolderInUse: another process serves it.
        OtherMajorVersion: the data belong to another PostgreSQL; nothing was touched.
        NoPostgresPrograms, NoUserForPostgres, NoPlaceForSocket, FolderOutOfReach: what to change.
        PostgresDidNotStart, LeftoverPostgres: with what is known about why.
    """
    site = site_of(data_dir)
    programs = await asyncio.to_thread(find_programs, pg_bin)
    folders.make_home(site)
    lock = await _lock(site)
    try:
        await asyncio.to_thread(check_major, site, programs)
        runner = await _runner(programs, site, pg_user=pg_user, production=production)
        sockets = folders.socket_folder(site, runner)
        plan = Plan(
            site=site, programs=programs, runner=runner, sockets=sockets, fsync=fsync, settings=settings
        )
        await _ensure_data(plan)
        server = OwnPostgres(plan, lock)
        await server.restart()
    except BaseException:
        os.close(lock)
        raise
    return server


async def attach(data_dir: Path) -> LocalPostgres | None:
    """Reach the server that another process keeps for this data folder; ``None`` when none does.

    Waits up to 15 seconds for a server that is starting.

    Raises:
        DataFolderInUse: somebody serves the folder, but the server does not become ready.
        FolderOutOfReach: this user may not.
    """
    site = site_of(data_dir)
    clock = asyncio.get_running_loop().time
    deadline = clock() + ATTACH_SECONDS
    while folders.is_locked(site):
        server = await _attach_now(site)
        if server:
            return server
        if clock() > deadline:
            raise DataFolderInUse(data_dir=data_dir, holder=folders.lock_holder(site))
        await asyncio.sleep(processes.POLL_SECONDS)
    return None


async def _attach_now(site: Site) -> LocalPostgres | None:
    """Attach to a server that is ready and set up, with roles and database."""
    found = site.pid_file()
    if not found or not found.is_ready or not found.sockets:
        return None
    try:
        connection = await asyncpg.connect(url_of(SERVICE, DATABASE, found.sockets), timeout=ATTACH_SECONDS)
    except (asyncpg.PostgresError, OSError):
        return None
    version = connection.get_server_version()
    await connection.close()
    return LocalPostgres(found.sockets, found.pid, f"{version.major}.{version.micro}")


async def _lock(site: Site) -> int:
    lock = folders.take_lock(site)
    clock = asyncio.get_running_loop().time
    deadline = clock() + LOCK_SECONDS
    while lock is None:
        if clock() > deadline:
            raise DataFolderInUse(data_dir=site.home.parent, holder=folders.lock_holder(site))
        await asyncio.sleep(processes.POLL_SECONDS)
        lock = folders.take_lock(site)
    return lock


async def _runner(programs: Programs, site: Site, *, pg_user: str | None, production: bool) -> Runner:
    def choose() -> Runner:
        return processes.choose_runner(
            programs, site.home, owner=site.owner, pg_user=pg_user, production=production
        )

    return await asyncio.to_thread(choose)


async def _ensure_data(plan: Plan) -> None:
    """Create the database cluster unless it is there, and hand it to the server's user."""
    site = plan.site
    if site.data.exists():
        await _clear_leftovers(plan)
        await asyncio.to_thread(folders.give, site.data, plan.runner)
        return
    # A killed service may have left an initdb behind, still writing.
    await processes.end_leftovers(site.unfinished_data)
    await asyncio.to_thread(folders.fresh_data, site, plan.runner)
    process = _spawn(plan, plan.initdb_command(site.unfinished_data), site.unfinished_data)
    try:
        code = await processes.exit_of(process)
    except BaseException:
        process.kill()
        process.wait()
        await processes.end_leftovers(site.unfinished_data)
        raise
    if code != 0:
        raise PostgresDidNotStart(exit_code=code, log=site.log, tail=site.log_tail())
    folders.finish_data(site)


async def _clear_leftovers(plan: Plan) -> None:
    """Make sure that nothing serves the data any more; the caller holds the lock."""
    found = plan.site.pid_file()
    await processes.end_leftovers(plan.site.data, found.pid if found else None)
    # One of another container, say: out of sight, yet on the same data.
    sockets = found.sockets if found and found.sockets else plan.sockets
    if await asyncio.to_thread(folders.answers, sockets):
        raise processes.LeftoverPostgres(folder=plan.site.data, pids=[])
    if processes.CAN_SEE_PROCESSES:
        folders.forget_server(plan.site, plan.sockets)


def _spawn(plan: Plan, command: tuple[str, ...], workdir: Path) -> subprocess.Popen[bytes]:
    log = folders.open_log(plan.site)
    try:
        return processes.spawn(command, plan.runner, workdir, log)
    finally:
        os.close(log)


async def _ready(site: Site, process: subprocess.Popen[bytes]) -> None:
    """Wait until the server says it is ready with its own process id, not a predecessor's."""

    def is_ready() -> bool:
        found = site.pid_file()
        return found is not None and found.pid == process.pid and found.is_ready

    await processes.until(lambda: is_ready() or process.poll() is not None, START_SECONDS)
    if process.poll() is not None or not is_ready():
        raise PostgresDidNotStart(exit_code=process.poll(), log=site.log, tail=site.log_tail())
