"""Changes a pure floor in every small way and asks whether a test notices: ``make mutate``.

What no test can notice is listed in ``tests/mutants.toml`` with its reason; whatever else survives fails the run,
and so does a line of that list that is true no more.
"""

import subprocess
import sys
import tomllib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

from tools.event_types import ROOT

MUTMUT: Final = Path(sys.executable).parent / "mutmut"
LISTED: Final = ROOT / "tests" / "mutants.toml"
ALIVE: Final = frozenset({"survived", "no tests", "suspicious", "not checked"})


class Mutant(msgspec.Struct, frozen=True):
    """One change: the function it is in, what stood there, and what it became."""

    function: str
    was: str
    becomes: str


class Survivor(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A mutant that no test can notice, and why."""

    function: str
    was: str
    becomes: str
    reason: str

    def mutant(self) -> Mutant:
        return Mutant(self.function, self.was, self.becomes)


class Listed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole list."""

    survivor: tuple[Survivor, ...] = ()


def statuses(floor: str) -> Iterator[tuple[str, str]]:
    """Name every mutant of a floor, with what became of it."""
    for line in _mutmut("results", "--all", "true").splitlines():
        name, _, status = line.strip().rpartition(": ")
        if name.startswith(f"ledger.{floor}."):
            yield name, status


def mutant_of(name: str) -> Mutant:
    """Look up what a mutant changes."""
    changed = [line for line in _mutmut("show", name).splitlines() if line[:3] not in ("---", "+++")]
    was = " ".join(line[1:].strip() for line in changed if line.startswith("-"))
    becomes = " ".join(line[1:].strip() for line in changed if line.startswith("+"))
    return Mutant(name.partition("__mutmut_")[0], was, becomes)


def verdict(floor: str, alive: list[Mutant], listed: Listed) -> list[str]:
    """Say what is not as the list has it."""
    known = [survivor.mutant() for survivor in listed.survivor if f".{floor}." in survivor.function]
    new = Counter(alive) - Counter(known)
    gone = Counter(known) - Counter(alive)
    return [
        *(
            f"survives and is not listed: {mutant.function}\n  - {mutant.was}\n  + {mutant.becomes}"
            for mutant in new.elements()
        ),
        *(
            f"is listed and survives no more: {mutant.function}: {mutant.becomes}"
            for mutant in gone.elements()
        ),
    ]


def _mutmut(*arguments: str) -> str:
    return subprocess.run([MUTMUT, *arguments], cwd=ROOT, capture_output=True, text=True, check=True).stdout


def main(arguments: list[str]) -> int:
    """Mutate a floor; 0 when exactly the listed mutants survive."""
    (floor,) = arguments
    subprocess.run([MUTMUT, "run", f"ledger.{floor}.*"], cwd=ROOT, stdout=subprocess.DEVNULL, check=False)
    found = dict(statuses(floor))
    alive = [mutant_of(name) for name, status in found.items() if status in ALIVE]
    listed = msgspec.convert(tomllib.loads(LISTED.read_text(encoding="utf-8")), type=Listed)
    wrong = verdict(floor, alive, listed)
    print(
        "\n".join(
            [
                *wrong,
                f"{floor}: {len(found)} mutants, {len(found) - len(alive)} noticed, {len(alive)} survive.",
            ]
        )
    )
    return 1 if wrong or not found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
