"""Writes the documents that are made from the code, or tells which of them have fallen behind it.

``python -m tools.snapshots`` writes, with ``--check`` it only compares; names choose, else all are meant.
"""

import ast
import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, get_args

import msgspec

from ledger.domain.event import Event, type_name

ROOT: Final = Path(__file__).resolve().parent.parent
AGGREGATES: Final = {
    "decision": "DecisionEvent",
    "session": "SessionEvent",
    "account": "AccountEvent",
    "operations": "OperationsEvent",
}
PREAMBLE: Final = """# Events

Every event type of this release with its schema version and its fields, as they are stored (`at`, the moment of
the command, is in each of them). Made from the code by `make events`; `make check` fails when it differs.
How the formats may change: [ADR 0004](adr/0004-event-versions-upcasters-golden-files.md).
"""


def event_types() -> Iterator[type[Event]]:
    """Give every event type, aggregate by aggregate, in the order of their unions."""
    for aggregate, union in AGGREGATES.items():
        module = importlib.import_module(f"ledger.domain.{aggregate}.events")
        yield from get_args(getattr(module, union))


def events() -> str:
    """Describe every event for people."""
    parts = [PREAMBLE]
    heading = ""
    for event in event_types():
        aggregate = event.__module__.split(".")[-2]
        if aggregate != heading:
            heading = aggregate
            parts.append(f"## {aggregate.capitalize()}\n")
        parts.append(_event(event))
    return "\n".join(parts)


def openapi() -> str:
    """Describe the HTTP interface for machines."""
    described = importlib.import_module("ledger.api.app").openapi()
    return msgspec.json.format(described, indent=2).decode() + "\n"


SNAPSHOTS: Final[dict[str, tuple[Path, Callable[[], str]]]] = {
    "events": (ROOT / "docs" / "events.md", events),
    "openapi": (ROOT / "docs" / "openapi.json", openapi),
}


def _event(event: type[Event]) -> str:
    doc = " ".join((event.__doc__ or "").split()).replace("``", "`")
    rows = [f"| `{name}` | `{kind}` |" for name, kind in _fields(event)]
    lines = [f"### {type_name(event)} (version {event.schema_version})", "", doc]
    return "\n".join([*lines, "", "| field | type |", "| --- | --- |", *rows, ""])


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


def main(arguments: list[str]) -> int:
    """Write or compare; 0 when all is level."""
    behind = 0
    for name in [argument for argument in arguments if argument != "--check"] or SNAPSHOTS:
        path, make = SNAPSHOTS[name]
        current = make()
        if "--check" not in arguments:
            path.write_text(current, encoding="utf-8")
        elif not path.exists() or path.read_text(encoding="utf-8") != current:
            print(
                f"{path.relative_to(ROOT)} has fallen behind the code: run 'make {name}' and look at the difference."
            )
            behind = 1
    return behind


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
