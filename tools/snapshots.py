"""Writes the documents that are made from the code, or tells which of them have fallen behind it.

``python -m tools.snapshots`` writes, with ``--check`` it only compares; names choose, else all are meant.
"""

import ast
import importlib
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec

from ledger.domain.event import Event
from ledger.upcasters.chain import CHAIN
from tools.contract import breaks, unexplained
from tools.event_types import ROOT, aggregate_of, event_types
from tools.moves import WORKFLOW, workflow
from tools.shapes import shape_of

IN_EACH: Final = ("", "type", "at")
PREAMBLE: Final = """# Events

Every event type of this release with its schema version and its fields, as they are stored (`at`, the moment of
the command, is in each of them), and each earlier version with what its upcaster makes of it. The links show the
bytes of an example; a field that is optional may be absent, and then has its default. Made from the code by `make events`; `make check` fails when it differs. How the formats may
change: [Evolving events](evolving-events.md).
"""


def events() -> str:
    """Describe every event for people."""
    parts = [PREAMBLE]
    heading = ""
    for name, event in event_types().items():
        if aggregate_of(event) != heading:
            heading = aggregate_of(event)
            parts.append(f"## {heading.capitalize()}\n")
        parts.append(_event(name, event))
    return "\n".join(parts)


def openapi() -> str:
    """Describe the HTTP interface for machines."""
    described = importlib.import_module("ledger.api.app").openapi()
    return msgspec.json.format(described, indent=2).decode() + "\n"


CHANGELOG: Final = ROOT / "CHANGELOG.md"
NAME_IT: Final = (
    "Keep what clients depend on. Where that cannot be, name each call in backticks, as in `GET /health`, under "
    "'### Breaking' in the unreleased part of CHANGELOG.md, with what its clients have to do."
)

SNAPSHOTS: Final[dict[str, tuple[Path, Callable[[], str]]]] = {
    "events": (ROOT / "docs" / "events.md", events),
    "openapi": (ROOT / "docs" / "openapi.json", openapi),
    "workflow": (WORKFLOW, workflow),
}


def _event(name: str, event: type[Event]) -> str:
    kinds = dict(_fields(event))
    rows = [
        f"| `{path}` | {_code(kinds.get(path))} | {words.replace(' | ', ', ')} |"
        for path, words in shape_of(event).items()
        if path not in IN_EACH
    ]
    lines = [
        f"### {name} (version {event.schema_version})",
        "",
        _said(event.__doc__),
        "",
        _example(name, event.schema_version),
    ]
    lines += ["", "| field | type | stored as |", "| --- | --- | --- |", *rows, ""]
    for version in range(event.schema_version - 1, 0, -1):
        lines += [_past(name, version), ""]
    return "\n".join(lines)


def _code(kind: str | None) -> str:
    return "" if kind is None else f"`{kind}`"


def _past(name: str, version: int) -> str:
    lift = CHAIN[name, version].lift
    return f"Version {version} ({_example(name, version)}), read by `{lift.__name__}`. {_said(lift.__doc__)}"


def _example(name: str, version: int) -> str:
    return f"[example](../tests/golden/{name}/v{version}.json)"


def _said(doc: str | None) -> str:
    return " ".join((doc or "").split()).replace("``", "`")


def _fields(event: type[Event]) -> Iterator[tuple[str, str]]:
    """Read the fields from the source, where their types are spelled as people know them."""
    source = Path(sys.modules[event.__module__].__file__ or "").read_text(encoding="utf-8")
    lineage = {kind.__name__ for kind in event.__mro__ if kind.__module__ == event.__module__}
    for node in ast.parse(source).body:
        if isinstance(node, ast.ClassDef) and node.name in lineage:
            for field in node.body:
                if isinstance(field, ast.AnnAssign) and not ast.unparse(field.annotation).startswith(
                    "ClassVar"
                ):
                    yield ast.unparse(field.target), ast.unparse(field.annotation).replace("|", "or")


def broken_promises(path: Path, current: str) -> list[str]:
    """Say how the interface as it is now breaks clients of the one described at ``path``, where nobody has said so."""
    if path.stem != "openapi" or not path.exists():
        return []
    before, today = path.read_bytes(), datetime.now(UTC).date()
    found = unexplained(breaks(before, current.encode(), on=today), CHANGELOG.read_text(encoding="utf-8"))
    return [f"Breaks clients: {one}" for one in found]


def main(arguments: list[str]) -> int:
    """Write or compare; 0 when all is level."""
    behind = 0
    for name in [argument for argument in arguments if argument != "--check"] or SNAPSHOTS:
        path, make = SNAPSHOTS[name]
        current = make()
        broken = broken_promises(path, current)
        if broken:
            print(*broken, NAME_IT, sep="\n")
            behind = 1
        elif "--check" not in arguments:
            path.write_text(current, encoding="utf-8")
        elif not path.exists() or path.read_text(encoding="utf-8") != current:
            print(
                f"{path.relative_to(ROOT)} has fallen behind the code: run 'make {name}' and look at the difference."
            )
            behind = 1
    return behind


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
