"""Go's checksum database as a referee, built once a run from Debian's packages."""

import os
import shutil
import subprocess
from pathlib import Path
from typing import Final

import msgspec
import pytest

REQUIRED: Final = "required"
SOURCE: Final = Path(__file__).parent.parent / "referees" / "main.go"
LIBRARY: Final = Path("/usr/share/gocode")
"""Where golang-golang-x-mod-dev puts what it brings."""
MISSING: Final = "there is no Go here: install golang-go and golang-golang-x-mod-dev"
HANG_GUARD: Final = 300.0


class Referee(msgspec.Struct, frozen=True, kw_only=True):
    """The program; it says of a bundle how many entries are proven, or what is wrong."""

    program: Path

    def accepts(self, bundle: Path, vkey: str, *earlier: Path) -> bool:
        done = subprocess.run(
            [self.program, bundle, vkey, *earlier],
            capture_output=True,
            text=True,
            timeout=HANG_GUARD,
            check=False,
        )
        assert done.returncode in {0, 1}, done.stderr
        return done.returncode == 0


def built(folder: Path) -> Referee:
    """Build it; without Go the test is skipped, or fails where it is required."""
    if shutil.which("go") is None or not (LIBRARY / "src/golang.org/x/mod/sumdb/note").is_dir():
        if os.environ.get("LEDGER_TEST_GO") == REQUIRED:
            pytest.fail(f"{MISSING}; LEDGER_TEST_GO says that there must be")
        pytest.skip(MISSING)
    program = folder / "referee"
    environ = os.environ | {"GO111MODULE": "off", "GOPATH": str(LIBRARY), "GOFLAGS": ""}
    environ.setdefault("GOCACHE", str(folder / "cache"))
    command = ["go", "build", "-o", program, SOURCE]
    subprocess.run(command, env=environ, check=True, timeout=HANG_GUARD, cwd=folder)
    return Referee(program=program)
