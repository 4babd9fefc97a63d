"""The data folder of a private PostgreSQL: its layout, its lock, its log, where its socket lies.

Whose is what: ``postgres/`` belongs to whoever runs the service, ``data`` and the socket's folder to
the user who runs PostgreSQL. They differ when root starts the service.
"""

import fcntl
import hashlib
import os
import shutil
import socket
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec

from ledger.domain.errors import Unavailable
from ledger.store.local_postgres.process import ROOT, Runner

SOCKET_NAME: Final = ".s.PGSQL.5432"
# sockaddr_un holds 108 bytes on Linux, the last one NUL.
SOCKET_PATH_BYTES: Final = 107
LOG_TAIL_BYTES: Final = 4096


class NoPlaceForSocket(Unavailable):
    """No folder is both short enough and safe for the database socket."""

    code = "no-place-for-socket"
    advice = "Choose a data folder with a shorter path, or set TMPDIR to a short path of your own."


class FolderOutOfReach(Unavailable):
    """The data folder is not accessible to this user.

    Context: ``folder``, and where it is known the system's ``reason``.
    """

    code = "data-folder-out-of-reach"
    advice = "Run as the user the data folder belongs to, or choose another data folder."


class PidFile(msgspec.Struct, frozen=True):
    """What a running server wrote down about itself in ``postmaster.pid``."""

    pid: int
    sockets: Path | None
    is_ready: bool


class Site(msgspec.Struct, frozen=True):
    """The places below one data folder; ``home`` is absolute and free of symbolic links."""

    home: Path

    @property
    def data(self) -> Path:
        return self.home / "data"

    @property
    def unfinished_data(self) -> Path:
        return self.home / "data.new"

    @property
    def log(self) -> Path:
        return self.home / "server.log"

    @property
    def owner(self) -> int:
        """The user id of the data, or of its future parent."""
        return (self.data if self.data.exists() else self.home).stat().st_uid

    @property
    def major(self) -> int | None:
        """The major version that made the data, ``None`` when there is none yet."""
        try:
            return int(self.data.joinpath("PG_VERSION").read_text())
        except FileNotFoundError:
            return None

    def pid_file(self) -> PidFile | None:
        """Read ``postmaster.pid``; ``None`` when it is absent or only half written."""
        try:
            lines = self.data.joinpath("postmaster.pid").read_text().splitlines()
            pid = int(lines[0])
        except (FileNotFoundError, IndexError, ValueError):
            return None
        except PermissionError as reason:
            raise FolderOutOfReach(folder=self.data) from reason
        sockets = Path(lines[4]) if lines[4:] and lines[4] else None
        return PidFile(pid, sockets, is_ready=bool(lines[7:]) and lines[7].strip() == "ready")

    def log_tail(self) -> str:
        """The last lines of the server's log."""
        with self.log.open("rb") as log:
            log.seek(max(0, log.seek(0, os.SEEK_END) - LOG_TAIL_BYTES))
            return log.read().decode(errors="replace").strip()


def site_of(data_dir: Path) -> Site:
    """Name the places below ``data_dir``, whether they exist or not."""
    return Site(data_dir.resolve() / "postgres")


def make_home(site: Site) -> None:
    """Create the folders that are missing, private; those that exist keep their permissions.

    Raises:
        FolderOutOfReach: this user may not.
    """
    # Root's server runs as another user, who has to pass through but may not look around.
    mode = 0o711 if os.geteuid() == ROOT else 0o700
    try:
        site.home.parent.parent.mkdir(parents=True, exist_ok=True)
        for folder in (site.home.parent, site.home):
            if not folder.exists():
                folder.mkdir()
                folder.chmod(mode)
        _leave_to_owner(site.home)
    except OSError as reason:
        raise FolderOutOfReach(folder=site.home, reason=reason.strerror) from reason


def _leave_to_owner(path: Path) -> None:
    """Root, called once by an operator, must not lock the service's own user out."""
    parent = path.parent.stat()
    if os.geteuid() == ROOT and path.stat().st_uid != parent.st_uid:
        os.chown(path, parent.st_uid, parent.st_gid, follow_symlinks=False)


def _open_private(path: Path, flags: int) -> int:
    """Open a file of ours, which no other program inherits and no symbolic link redirects."""
    try:
        opened = os.open(path, flags | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except PermissionError as reason:
        raise FolderOutOfReach(folder=path.parent) from reason
    if os.geteuid() == ROOT:
        parent = path.parent.stat()
        os.fchown(opened, parent.st_uid, parent.st_gid)
    return opened


def take_lock(site: Site) -> int | None:
    """Take the data folder for this process; ``None`` when another has it.

    The lock lives as long as the returned file descriptor: it dies with the process, and its
    PostgreSQL does not inherit it.
    """
    lock = _open_private(site.home / "lock", os.O_RDWR)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return None
    os.truncate(lock, 0)
    os.write(lock, str(os.getpid()).encode())
    return lock


def lock_holder(site: Site) -> str:
    """The process id that the holder of the lock wrote down, perhaps empty."""
    return site.home.joinpath("lock").read_text()


def is_locked(site: Site) -> bool:
    """Say whether some process serves this data folder."""
    try:
        lock = os.open(site.home / "lock", os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    except PermissionError as reason:
        raise FolderOutOfReach(folder=site.home) from reason
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(lock)
    return False


def open_log(site: Site) -> int:
    """Begin a new log and keep the one before it, so that two starts bound what is stored."""
    if site.log.exists():
        site.log.replace(site.log.with_suffix(".log.1"))
    return _open_private(site.log, os.O_WRONLY | os.O_APPEND)


def fresh_data(site: Site, runner: Runner) -> Path:
    """Empty the place where initdb works; it takes the data's name only when finished."""
    shutil.rmtree(site.unfinished_data, ignore_errors=True)
    site.unfinished_data.mkdir(mode=0o700)
    give(site.unfinished_data, runner)
    return site.unfinished_data


def finish_data(site: Site) -> None:
    """Let the finished data folder take its name, durably.

    Without the sync a power failure could bring back the old name, and the next start would delete
    a database in use.
    """
    site.unfinished_data.replace(site.data)
    home = os.open(site.home, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(home)
    finally:
        os.close(home)


def give(folder: Path, runner: Runner) -> None:
    """Hand a folder and all below it to the server's user, the folder itself last."""
    if folder.stat().st_uid == runner.owner:
        return
    for parent, folders, files in os.walk(folder, topdown=False):
        for name in (*folders, *files):
            os.chown(os.path.join(parent, name), runner.owner, runner.group, follow_symlinks=False)  # noqa: PTH118
    os.chown(folder, runner.owner, runner.group, follow_symlinks=False)


def socket_folder(site: Site, runner: Runner) -> Path:
    """Make the private folder for the socket: below the data folder, or where paths are short.

    It is the same on each start, so connection strings survive a restart.

    Raises:
        NoPlaceForSocket: every path is too long, or somebody else made the folder first.
    """
    for folder in _socket_folders(site, runner):
        path = os.fsencode(folder / SOCKET_NAME)
        # A comma separates hosts in a connection string.
        if len(path) <= SOCKET_PATH_BYTES and b"," not in path and _make_private(folder, runner):
            return folder
    raise NoPlaceForSocket(tried=[str(folder) for folder in _socket_folders(site, runner)])


def _socket_folders(site: Site, runner: Runner) -> Iterator[Path]:
    yield site.home / "run"
    name = "ledger-" + hashlib.sha256(os.fsencode(site.home)).hexdigest()[:20]
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    if runtime and runner.uid is None:  # another user cannot pass through ours
        yield Path(runtime, name)
    yield Path(tempfile.gettempdir(), name)
    yield Path("/tmp", name)  # noqa: S108 - _make_private refuses a folder that others could have made


def _make_private(folder: Path, runner: Runner) -> bool:
    """Make it, or make sure that the one found is ours; by descriptor, so that no link is followed."""
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        owner = os.fstat(opened).st_uid
        if owner not in {os.geteuid(), runner.owner}:
            return False
        os.fchmod(opened, 0o700)
        if owner != runner.owner:
            os.fchown(opened, runner.owner, runner.group)
    finally:
        os.close(opened)
    return True


def forget_server(site: Site, sockets: Path) -> None:
    """Remove the lock files of a server that is known to be gone.

    Their process id may be in use by a stranger, or by a zombie that nobody reaps (as in a container
    without an init): PostgreSQL takes either for a running server, and would never start again.
    """
    for lock in (site.data / "postmaster.pid", sockets / f"{SOCKET_NAME}.lock"):
        lock.unlink(missing_ok=True)


def tidy(site: Site, sockets: Path) -> None:
    """Leave no empty folder behind where temporary things lie."""
    if not sockets.is_relative_to(site.home):
        with suppress(OSError):
            sockets.rmdir()


def answers(sockets: Path) -> bool:
    """Say whether a server accepts connections there, even one whose processes are out of sight."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(2)
        try:
            client.connect(os.fspath(sockets / SOCKET_NAME))
        except OSError:
            return False
        return True
