"""The commands of a runbook, cut out of it word for word and carried out in a shell."""

import os
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec

from tests.support.service import HANG_GUARD, environment

ROOT: Final = Path(__file__).resolve().parents[2]
BLOCK: Final = re.compile(r"```sh\n(.*?)```", re.DOTALL)


class Said(msgspec.Struct, frozen=True):
    """What a block of commands printed, and how its last one ended."""

    exit_code: int
    text: str


def sections(document: Path) -> dict[str, tuple[str, ...]]:
    """The blocks of commands below each heading."""
    parts = re.split(r"^## (.*)$", document.read_text("utf-8"), flags=re.MULTILINE)[1:]
    return {title: tuple(BLOCK.findall(text)) for title, text in zip(parts[::2], parts[1::2], strict=True)}


def carry_out(block: str, settings: Mapping[str, str], **variables: str) -> Said:
    """Type a block into a shell in this folder; ``variables`` are what blocks before it have set."""
    done = subprocess.run(
        ("bash", "-u", "-c", block),
        cwd=ROOT,
        env={**environment(settings), "COLUMNS": "400", **variables, "HOME": os.environ.get("HOME", "/")},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=4 * HANG_GUARD,
        check=False,
    )
    return Said(done.returncode, done.stdout)
