"""Processes of PostgreSQL: as whom they run, what they inherit, which are left over from a crash."""

import asyncio
import math
import os
import pwd
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import msgspec

from ledger.domain.errors import Unavailable
from ledger.store.local_postgres.programs import Programs

ROOT: Final = 0
USUAL_USERS: Final = ("postgres", "nobody")
POLL_SECONDS: Final = 0.02
# Elsewhere than on Linux the lock file of PostgreSQL is the only guard.
CAN_SEE_PROCESSES: Final = Path("/proc/self/cwd").exists()
# Fast shutdown, then immediate shutdown (the next start recovers), then the kernel's way.
STOP_SIGNALS: Final = ((signal.SIGINT, 60.0), (signal.SIGQUIT, 15.0), (signal.SIGKILL, 15.0))

# Satisfies PostgreSQL's refusal of root, but the process keeps root's access to root's files.
UNSHARE: Final = ("unshare", "--user", "--map-user=65534", "--map-group=65534")
UNSHARE_WARNING: Final = (
    "PostgreSQL runs as root inside a user namespace (unshare): no privilege is dropped; for development only"
)

# As the kernel names them; unshare becomes one of the others.
OUR_PROGRAMS: Final = frozenset({"postgres", "initdb", "unshare"})

# $1 a folder the server must reach, $2 the server's program.
PROBE: Final = 'test "$(id -u)" -ne 0 && cd "$1" && exec "$2" --version'


class NoUserForPostgres(Unavailable):
    """PostgreSQL refuses to run as root, and no other way to run it was found.

    Context: ``tried``: each user or way with what was wrong.
    """

    code = "no-user-for-postgres"
    advice = (
        "Run the ledger as an ordinary user; or name a user in LEDGER_PG_USER who can reach the data folder and "
        "the PostgreSQL programs (nobody but root can reach what lies below a 0700 folder of root's); "
        "or name a database elsewhere in LEDGER_DATABASE_URL."
    )


class LeftoverPostgres(Unavailable):
    """An earlier PostgreSQL is still at work on the data folder and could not be stopped.

    Context: ``folder``, ``pids`` (empty when the process is out of sight, as in another container).
    """

    code = "leftover-postgres"
    advice = "Stop that PostgreSQL, then start again."


class Runner(msgspec.Struct, frozen=True, kw_only=True):
    """As whom the server's programs run: ``uid`` and ``gid`` are ``None`` for the service's own user."""

    uid: int | None = None
    gid: int | None = None
    prefix: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def owner(self) -> int:
        """The user id that owns the data folder on disk."""
        return os.geteuid() if self.uid is None else self.uid

    @property
    def group(self) -> int:
        """The group id beside the owner."""
        return os.getegid() if self.gid is None else self.gid


def choose_runner(
    programs: Programs, folder: Path, *, owner: int, pg_user: str | None, production: bool
) -> Runner:
    """Choose as whom to run the server below ``folder``, by trying; blocks for some milliseconds.

    A service that is not root runs it as itself. Root tries ``pg_user`` alone if given, else the
    ``owner`` of the data, ``postgres`` and ``nobody``, and at last a user namespace.

    Raises:
        NoUserForPostgres: nothing worked, or only what ``production`` forbids.
    """
    if os.geteuid() != ROOT:
        return _as_ourselves(pg_user)
    tried: dict[str, str] = {}
    for name, runner in _candidates(owner, pg_user, production=production):
        obstacle = _obstacle(runner, programs, folder) if runner else "there is no such user"
        if runner and not obstacle:
            return runner
        tried[name] = obstacle
    if production and not pg_user:
        tried["unshare"] = "drops no privilege, so not in production"
    raise NoUserForPostgres(folder=folder, programs=programs.folder, tried=tried)


def _as_ourselves(pg_user: str | None) -> Runner:
    if pg_user and pg_user not in {str(os.geteuid()), _name_of(os.geteuid())}:
        raise NoUserForPostgres(tried={pg_user: "only root can run the server as another user"})
    return Runner()


def _name_of(uid: int) -> str | None:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return None


def _candidates(owner: int, pg_user: str | None, *, production: bool) -> Iterator[tuple[str, Runner | None]]:
    if pg_user:
        yield pg_user, _runner_named(pg_user)
        return
    if owner != ROOT:
        yield f"owner {owner}", _runner_of(owner)
    for name in USUAL_USERS:
        yield name, _runner_named(name)
    if not production:
        yield "unshare", Runner(prefix=UNSHARE, warnings=(UNSHARE_WARNING,))


def _runner_named(name: str) -> Runner | None:
    if name.isdecimal():
        return _runner_of(int(name))
    try:
        user = pwd.getpwnam(name)
    except KeyError:
        return None
    return Runner(uid=user.pw_uid, gid=user.pw_gid)


def _runner_of(uid: int) -> Runner | None:
    try:
        user = pwd.getpwuid(uid)
    except KeyError:  # initdb looks the name up, and fails without
        return None
    return Runner(uid=user.pw_uid, gid=user.pw_gid)


def _obstacle(runner: Runner, programs: Programs, folder: Path) -> str:
    """Try the runner; an empty answer means that it can reach programs and folder."""
    command = (*runner.prefix, "/bin/sh", "-c", PROBE, "sh", str(folder), programs.postgres)
    try:
        probe = _popen(command, runner, Path("/"), subprocess.PIPE)
    except (OSError, subprocess.SubprocessError) as reason:
        return str(reason)
    answer = probe.communicate()[0].decode(errors="replace").strip()
    return "" if probe.returncode == 0 else answer or "is root itself"


def spawn(command: tuple[str, ...], runner: Runner, workdir: Path, log: int) -> subprocess.Popen[bytes]:
    """Start a program in a session of its own, so that Ctrl-C reaches the service alone.

    ``workdir`` also marks the process: after a crash it is found by it. ``log`` is a file descriptor.
    """
    return _popen((*runner.prefix, *command), runner, workdir, log)


def _popen(command: tuple[str, ...], runner: Runner, workdir: Path, output: int) -> subprocess.Popen[bytes]:
    # Not asyncio's subprocesses: uvloop's cannot switch the user.
    return subprocess.Popen(  # noqa: S603 - the server's own programs
        command,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        cwd=workdir,
        env=_environment(),
        start_new_session=True,
        user=runner.uid,
        group=runner.gid,
        extra_groups=None if runner.uid is None else [],
        umask=0o077,
    )


def _environment() -> dict[str, str]:
    """Keep what finds programs and libraries; neither the service's secrets nor PG* variables are for the server."""
    kept = {name: os.environ[name] for name in ("LD_LIBRARY_PATH", "TMPDIR") if name in os.environ}
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "TZ": "UTC", **kept}


async def until(claim: Callable[[], bool], seconds: float = math.inf) -> bool:
    """Wait until the claim holds; ``False`` when it does not within the time."""
    clock = asyncio.get_running_loop().time
    deadline = clock() + seconds
    while not claim():
        if clock() > deadline:
            return False
        await asyncio.sleep(POLL_SECONDS)
    return True


async def ended(pid: int) -> None:
    """Return when the process has ended, whosever it is; told by the kernel where it can (Linux)."""
    if sys.platform == "linux":
        try:
            handle = os.pidfd_open(pid)
        except ProcessLookupError:
            return
        except OSError:  # an old kernel, or a sandbox that forbids it
            await until(lambda: not is_running(pid))
        else:
            await _readable(handle)
    else:
        await until(lambda: not is_running(pid))


async def _readable(handle: int) -> None:
    """Wait until there is something to read; closes the handle."""
    loop, told = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(handle, told.set)
    try:
        await told.wait()
    finally:
        loop.remove_reader(handle)
        os.close(handle)


async def exit_of(process: subprocess.Popen[bytes]) -> int:
    """Wait for the process to end; its exit code, negative for a signal."""
    await until(lambda: process.poll() is not None)
    return process.wait()


async def end(process: subprocess.Popen[bytes]) -> None:
    """Stop a server: fast, then at once, then by force."""
    for stop_signal, seconds in STOP_SIGNALS:
        process.send_signal(stop_signal)
        if await until(lambda: process.poll() is not None, seconds):
            return


async def end_leftovers(folder: Path, leader: int | None = None) -> None:
    """Stop what a killed service left at work in ``folder``; its postmaster was ``leader``.

    Processes that lost their postmaster get what it would have sent them in a crash: SIGQUIT.

    Raises:
        LeftoverPostgres: something outlived every signal.
    """
    for stop_signal, seconds in STOP_SIGNALS if leader in _at_work_in(folder) else STOP_SIGNALS[1:]:
        remaining = _at_work_in(folder)
        for pid in {leader} & remaining or remaining:
            _signal(pid, stop_signal)
        if await until(lambda: not _at_work_in(folder), seconds):
            return
    raise LeftoverPostgres(folder=folder, pids=sorted(_at_work_in(folder)))


def is_running(pid: int) -> bool:
    """Say whether the process exists, whosever it is; one that ended but was not reaped does not count."""
    try:
        os.kill(pid, 0)
        return not CAN_SEE_PROCESSES or ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except PermissionError:
        return True
    except (ProcessLookupError, FileNotFoundError):
        return False


def _signal(pid: int | None, stop_signal: signal.Signals) -> None:
    if pid is None:
        return
    try:
        os.kill(pid, stop_signal)
    except ProcessLookupError:
        return


def _at_work_in(folder: Path) -> set[int]:
    """Find PostgreSQL's processes by their working directory, so a reused process id deceives nobody.

    Only where /proc exists (Linux); elsewhere PostgreSQL's own lock file is the guard.
    """
    return {int(entry.name) for entry in Path("/proc").glob("[0-9]*") if _works_in(entry, folder)}


def _works_in(process: Path, folder: Path) -> bool:
    try:
        is_ours = process.joinpath("comm").read_text().strip() in OUR_PROGRAMS
        return is_ours and process.joinpath("cwd").samefile(folder)
    except OSError:  # ended meanwhile, or somebody else's
        return False
