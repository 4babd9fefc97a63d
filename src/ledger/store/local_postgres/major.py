"""Data of another major version of PostgreSQL: refused, with the commands that move it over."""

import os
import shlex
from pathlib import Path
from typing import Final

from ledger.domain.errors import Unavailable
from ledger.store.local_postgres.cluster import OWNER, initdb_command
from ledger.store.local_postgres.folder import Site
from ledger.store.local_postgres.process import ROOT, UNSHARE
from ledger.store.local_postgres.programs import Programs, folder_of_major

# A private socket in $s, nothing on the network; the server is stopped whatever the work came to.
WHILE_RUNNING: Final = (
    'cd / && s=$(mktemp -d) && {programs}/pg_ctl -D {data} -l $s/log -o "-c listen_addresses= -k $s" -w start '
    "&& {{ {work}; result=$?; {programs}/pg_ctl -D {data} -w stop; rm -r $s; exit $result; }}"
)


class OtherMajorVersion(Unavailable):
    """The data folder was made by another major version of PostgreSQL.

    Context: ``data`` and ``programs``, the two versions; the shell commands ``dump``, ``set_aside``
    and ``restore``.
    """

    code = "postgres-major-version-differs"
    advice = (
        "Nothing was touched. Either name the programs of the data's version in LEDGER_PG_BIN; or move the data: "
        "run the commands dump, set_aside and restore, one after the other, then start again. "
        "(restore complains that the role ledger_owner already exists: that is expected.)"
    )


def check_major(site: Site, programs: Programs) -> None:
    """Compare the versions before anything is touched; blocks for some milliseconds.

    Raises:
        OtherMajorVersion: they differ.
    """
    found = site.major
    if found is None or found == programs.major:
        return
    aside = site.home / f"data.{found}"
    owner = site.data.stat().st_uid
    raise OtherMajorVersion(
        data=found,
        programs=programs.version,
        dump=_dump(site, programs, folder_of_major(found)),
        set_aside=shlex.join(("mv", str(site.data), str(aside)))
        + " && "
        + shlex.join(("install", "-d", "-m", "700", "-o", str(owner), str(site.data))),
        restore=_restore(site, programs, aside),
    )


def _dump(site: Site, programs: Programs, older: Path) -> str:
    target = shlex.quote(str(site.data / "dump.sql"))
    work = f"{_quoted(programs.folder)}/pg_dumpall -h $s -U {OWNER} -f {target}"
    return _as_owner(site, WHILE_RUNNING.format(programs=_quoted(older), data=_quoted(site.data), work=work))


def _restore(site: Site, programs: Programs, aside: Path) -> str:
    folder = _quoted(programs.folder)
    work = f"{folder}/psql -h $s -U {OWNER} -d postgres -q -f {_quoted(aside / 'dump.sql')}"
    load = WHILE_RUNNING.format(programs=folder, data=_quoted(site.data), work=work)
    return _as_owner(site, f"{shlex.join(initdb_command(programs, site.data))} && {load}")


def _quoted(path: Path) -> str:
    return shlex.quote(str(path))


def _as_owner(site: Site, script: str) -> str:
    """Run the script as the user who owns the data; PostgreSQL's programs accept nobody else."""
    if os.geteuid() != ROOT:
        return f"sh -c {shlex.quote(script)}"
    owner = site.data.stat()
    switch = ("setpriv", f"--reuid={owner.st_uid}", f"--regid={owner.st_gid}", "--clear-groups")
    return shlex.join((*(UNSHARE if owner.st_uid == ROOT else switch), "sh", "-c", script))
