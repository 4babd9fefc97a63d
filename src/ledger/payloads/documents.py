"""Reading JSON so that nobody can read it otherwise: what an approver is shown is what every reader takes it for."""

import json
from collections.abc import Iterator
from typing import Final, TypeAlias

import msgspec

from ledger.payloads.faults import Fault, pointer_to

MAX_BYTES: Final = 64 * 1024
MAX_DEPTH: Final = 32
"""Objects and arrays inside one another."""
SMALLEST: Final = 1e-30
LARGEST: Final = 1e30
"""Of numbers with a fraction: what lies beyond is compared digit by digit, which takes ten times as long."""
INTEGERS: Final = range(-(2**63), 2**63)

Path: TypeAlias = tuple[str | int, ...]


class NoDocument(Exception):
    """The text is no such document; ``faults`` say why."""

    def __init__(self, *faults: Fault) -> None:
        """Take what is wrong."""
        super().__init__(faults)
        self.faults = faults


class Document(msgspec.Struct, frozen=True):
    """A JSON object that was read, and how many values are in it."""

    value: dict[str, object]
    nodes: int


def read(text: str) -> Document:
    """Read a JSON object of at most 64 KiB, 32 levels deep.

    Names that stand twice in one object, integers beyond 64 bits, numbers that are none and characters that
    PostgreSQL cannot hold are refused: readers differ about them.

    Raises:
        NoDocument: it is none.
    """
    if len(text.encode(errors="surrogatepass")) > MAX_BYTES:
        raise NoDocument(Fault("", f"has more than {MAX_BYTES} bytes"))
    try:
        value: object = json.loads(text, object_pairs_hook=_object, parse_constant=_no_number)
    except RecursionError:
        raise NoDocument(Fault("", "is nested too deeply")) from None
    except ValueError as malformed:
        raise NoDocument(Fault("", f"is not valid JSON: {malformed}")) from malformed
    if not isinstance(value, dict):
        raise NoDocument(Fault("", "is not an object"))
    nodes = 0
    faults = []
    for path, node in _nodes(value):
        nodes += 1
        faults += [Fault(pointer_to(path), said) for said in _wrong(path, node)]
    if faults:
        raise NoDocument(*faults)
    return Document(value, nodes)


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members: dict[str, object] = {}
    for name, value in pairs:
        if name in members:
            raise NoDocument(Fault("", f"names {name[:50]!r} twice in one object"))
        members[name] = value
    return members


def _no_number(constant: str) -> object:
    raise NoDocument(Fault("", f"holds {constant}, which is no number"))


def _nodes(value: object) -> Iterator[tuple[Path, object]]:
    waiting: list[tuple[Path, object]] = [((), value)]
    while waiting:
        path, node = waiting.pop()
        yield path, node
        if len(path) > MAX_DEPTH:
            continue
        if isinstance(node, dict):
            waiting += [((*path, name), member) for name, member in node.items()]
        elif isinstance(node, list):
            waiting += [((*path, index), element) for index, element in enumerate(node)]


def _wrong(path: Path, node: object) -> Iterator[str]:
    if len(path) > MAX_DEPTH or (len(path) == MAX_DEPTH and isinstance(node, dict | list)):
        yield f"is nested more than {MAX_DEPTH} levels deep"
    if isinstance(node, dict) and not all(_is_storable(name) for name in node):
        yield "has a name with a character that cannot be stored"
    if isinstance(node, str) and not _is_storable(node):
        yield "holds a character that cannot be stored"
    if isinstance(node, int) and node not in INTEGERS:
        yield "is an integer beyond 64 bits"
    if isinstance(node, float) and node != 0 and not SMALLEST <= abs(node) <= LARGEST:
        yield "is a number that is too large, or too close to zero"


def _is_storable(text: str) -> bool:
    return "\x00" not in text and not any("\ud800" <= character <= "\udfff" for character in text)
