"""Which JSON Schemas a kind can have: those whose checking takes a bounded time and asks nobody else.

Everything that is checked here is checked once, when a schema is registered. The size of what a schema unfolds to
bounds the work on a payload: so many checks for each value in it (ADR 0020).
"""

from collections.abc import Iterator, Mapping
from typing import Final, TypeAlias
from urllib.parse import unquote

from ledger.domain.json_pointer import PointsNowhere, at
from ledger.payloads.faults import Fault, pointer_to

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
MAX_UNFOLDED: Final = 500
"""Schemas, and members of an ``enum`` that has not texts alone, each counted as often as it is referred to."""
MAX_STEPS: Final = 100
"""From the root down, through every reference on the way."""
MAX_PATTERNS: Final = 50
LONGEST_PATTERN: Final = 500

ONE: Final = frozenset(
    {
        *("not", "if", "then", "else", "items", "contains", "propertyNames", "contentSchema"),
        *("additionalProperties", "unevaluatedItems", "unevaluatedProperties"),
    }
)
MANY: Final = frozenset({"allOf", "anyOf", "oneOf", "prefixItems"})
NAMED: Final = frozenset({"properties", "patternProperties", "dependentSchemas", "$defs"})
PLAIN: Final = frozenset(
    {
        *("type", "enum", "const", "required", "dependentRequired", "$ref", "format", "pattern"),
        *("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
        *("minLength", "maxLength", "minItems", "maxItems", "uniqueItems", "minContains", "maxContains"),
        *("minProperties", "maxProperties", "title", "description", "default", "examples", "$comment"),
        *("deprecated", "readOnly", "writeOnly", "contentEncoding", "contentMediaType"),
    }
)
KNOWN: Final = ONE | MANY | NAMED | PLAIN
AT_THE_ROOT: Final = frozenset({"$schema", "$id"})
FORMATS: Final = frozenset(
    {
        *("date", "time", "date-time", "duration", "email", "hostname", "ipv4", "ipv6"),
        *("uri", "uri-reference", "uuid", "json-pointer"),
    }
)

Schema: TypeAlias = Mapping[str, object]
Path: TypeAlias = tuple[str | int, ...]


class _Endless(LookupError):
    """A schema refers to itself."""


class _TooFar(LookupError):
    """A chain of references goes on and on."""


def unfolded(schema: Schema) -> int:
    """Count the schemas that a payload is checked by, each as often as it is referred to.

    Raises:
        LookupError: it refers to what is not there, to itself, or too far.
    """
    return _Unfolding(schema).size_of(schema)


def faults_in(schema: Schema) -> Iterator[Fault]:
    """Say everything that a kind's schema may not say; whether it is a schema at all is not looked at."""
    parts = dict(_schemas(schema, ()))
    places = frozenset(map(pointer_to, parts))
    patterns = 0
    for path, part in parts.items():
        if isinstance(part, dict):
            patterns += len(_patterns(part))
            for keyword, message in _faults_of(part, places, is_root=not path):
                yield Fault(pointer_to((*path, keyword)), message)
    if patterns > MAX_PATTERNS:
        yield Fault("", f"has more than {MAX_PATTERNS} patterns")
    yield from _endless(schema)


def _endless(schema: Schema) -> Iterator[Fault]:
    try:
        size = unfolded(schema)
    except _Endless:
        yield Fault("", "refers to itself: write out as many levels as there may be")
        return
    except PointsNowhere:
        return  # said where it stands
    except _TooFar:
        size = MAX_UNFOLDED + 1
    if size > MAX_UNFOLDED:
        yield Fault("", f"unfolds to more than {MAX_UNFOLDED} schemas")


def _faults_of(part: Schema, places: frozenset[str], *, is_root: bool) -> Iterator[tuple[str, str]]:
    for keyword in part:
        if keyword in AT_THE_ROOT and not is_root:
            yield keyword, "stands at the root alone"
        elif not (keyword in KNOWN | AT_THE_ROOT or keyword.startswith("x-")):
            yield keyword, "is no keyword that this ledger knows; begin your own with 'x-'"
    if part.get("$schema", DIALECT) not in (DIALECT, DIALECT + "#"):
        yield "$schema", f"is not {DIALECT}"
    if is_root and not _allows_objects(part):
        yield "type", "keeps every payload out: a payload is an object"
    if "$ref" in part and not _leads_somewhere(part["$ref"], places):
        yield "$ref", "leads to no schema in this one; it is '#/…', a JSON pointer"
    if str(part.get("format", "date")) not in FORMATS:
        yield "format", f"is none that this ledger checks: {', '.join(sorted(FORMATS))}"
    yield from _slow(part)


def _slow(part: Schema) -> Iterator[tuple[str, str]]:
    for keyword, pattern in _patterns(part):
        if isinstance(pattern, str) and len(pattern) > LONGEST_PATTERN:
            yield keyword, f"has a pattern of more than {LONGEST_PATTERN} characters"
    for keyword in ("enum", "const"):
        if _holds_fraction(part.get(keyword)):
            yield keyword, "holds a number that is not whole: say by minimum and maximum what may be"


def _holds_fraction(value: object) -> bool:
    """Say whether there is a number with a fraction anywhere inside: comparing these takes very long."""
    if isinstance(value, dict):
        return any(_holds_fraction(member) for member in value.values())
    if isinstance(value, list):
        return any(_holds_fraction(member) for member in value)
    return isinstance(value, float)


def _allows_objects(root: Schema) -> bool:
    allowed = root.get("type", "object")
    return allowed == "object" or (isinstance(allowed, list) and "object" in allowed)


def _patterns(part: Schema) -> list[tuple[str, object]]:
    named = part.get("patternProperties")
    of_names = [("patternProperties", pattern) for pattern in named] if isinstance(named, dict) else []
    return [*of_names, *([("pattern", part["pattern"])] if "pattern" in part else [])]


def _leads_somewhere(reference: object, places: frozenset[str]) -> bool:
    """Say whether a reference names a schema that is looked at here, and no value that only looks like one."""
    return isinstance(reference, str) and reference.startswith("#") and _pointer(reference) in places


def _pointer(reference: str) -> str:
    return unquote(reference.removeprefix("#"))


def _schemas(part: object, path: Path) -> Iterator[tuple[Path, object]]:
    """Walk every schema in a schema, itself first."""
    yield path, part
    if isinstance(part, dict):
        for inner, below in _inside(part):
            yield from _schemas(below, (*path, *inner))


def _inside(part: Schema, *, with_definitions: bool = True) -> Iterator[tuple[Path, object]]:
    for keyword, value in part.items():
        if keyword in ONE:
            yield (keyword,), value
        elif keyword in MANY and isinstance(value, list):
            yield from (((keyword, index), each) for index, each in enumerate(value))
        elif keyword in NAMED and isinstance(value, dict) and (with_definitions or keyword != "$defs"):
            yield from (((keyword, name), each) for name, each in value.items())


def _compared(part: Schema) -> int:
    """Count what a value is compared with one after the other; texts alone are looked up."""
    members = part.get("enum")
    if not isinstance(members, list) or all(isinstance(member, str) for member in members):
        return 0
    return len(members)


class _Unfolding:
    """Counts what a schema unfolds to; what is referred to is counted once and added as often as that."""

    def __init__(self, root: Schema) -> None:
        self._root = root
        self._known: dict[str, int] = {}

    def size_of(self, part: object, within: tuple[str, ...] = (), depth: int = 0) -> int:
        if depth > MAX_STEPS:
            raise _TooFar
        if not isinstance(part, dict):
            return 1
        inside = _inside(part, with_definitions=False)
        size = 1 + _compared(part) + sum(self.size_of(below, within, depth + 1) for _, below in inside)
        reference = part.get("$ref")
        return size if reference is None else size + self._referred(str(reference), within, depth)

    def _referred(self, reference: str, within: tuple[str, ...], depth: int) -> int:
        if reference in within or reference == "#":
            raise _Endless
        if reference not in self._known:
            below = at(self._root, _pointer(reference))
            self._known[reference] = self.size_of(below, (*within, reference), depth + 1)
        return self._known[reference]
