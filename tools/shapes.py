"""What a struct looks like in storage, as one line a field; how two such shapes differ; an example of one."""

import hashlib
import uuid
from collections.abc import Iterator, Mapping
from typing import Final, TypeAlias

import msgspec

Shape: TypeAlias = dict[str, str]
"""Field by field, by path (``item.iocs[]``): its type in words, which begin with ``optional`` where it has a default."""
Node: TypeAlias = Mapping[str, object]

OPTIONAL: Final = "optional "
SAID_ELSEWHERE: Final = frozenset({"title", "description", "default", "$ref", "$defs", "anyOf", "properties"})
EXAMPLES: Final[Mapping[str, object]] = {
    "boolean": True,
    "integer": 3,
    "number": 89.5,
    "date-time": "2026-03-02T09:00:00.123456Z",
}
DIGESTS: Final = ("digest", "commitment", "client")


class Difference(msgspec.Struct, frozen=True):
    """What is new, gone or another; ``is_additive``: every stored form of before still reads, and means the same."""

    optional: tuple[str, ...]
    required: tuple[str, ...]
    gone: tuple[str, ...]
    changed: tuple[str, ...]

    @property
    def is_additive(self) -> bool:
        return not (self.required or self.gone or self.changed)

    def lines(self) -> Iterator[str]:
        """Say it, a line each."""
        yield from (f"{path} is new, with a default" for path in self.optional)
        yield from (f"{path} is new, and required" for path in self.required)
        yield from (f"{path} is gone" for path in self.gone)
        yield from (f"{path} is another" for path in self.changed)


def shape_of(kind: object) -> Shape:
    """Describe how a type, or a union of tagged structs, is stored."""
    schema = msgspec.json.schema(kind)
    shape: Shape = {}
    for path, words in _fields(schema, "", _definitions(schema), ()):
        shape[path] = words if path not in shape else " or ".join(sorted({shape[path], words}))
    return shape


def difference(before: Shape, after: Shape) -> Difference:
    """Compare two shapes of one type."""
    new = [path for path in after if path not in before]
    optional = {path for path in new if _is_optional(path, after, before)}
    return Difference(
        optional=tuple(path for path in new if path in optional),
        required=tuple(path for path in new if path not in optional),
        gone=tuple(path for path in before if path not in after),
        changed=tuple(
            path
            for path, words in before.items()
            if path in after and after[path] not in (words, OPTIONAL + words)
        ),
    )


def _is_optional(path: str, after: Shape, before: Shape) -> bool:
    """Say whether a new field, or the new one that it belongs to, has a default."""
    steps = [other for other in after if other not in before and _belongs(path, other)]
    return any(after[other].startswith(OPTIONAL) for other in steps)


def _belongs(path: str, other: str) -> bool:
    return path == other or path.startswith((f"{other}.", f"{other}[", f"{other}<"))


def _definitions(schema: Node) -> dict[str, Node]:
    return msgspec.convert(schema.get("$defs", {}), type=dict[str, dict[str, object]])


def _fields(
    node: Node, path: str, definitions: Mapping[str, Node], above: tuple[str, ...]
) -> Iterator[tuple[str, str]]:
    """Walk a JSON schema; a path each."""
    name = _referred(node)
    if name in above:
        yield path, f"{name} again"
        return
    above = (*above, name) if name else above
    node = _resolved(node, definitions)
    alternatives = _nodes(node.get("anyOf", ()))
    if alternatives:
        yield from _alternatives(alternatives, path, definitions, above)
        return
    yield path, _words(node)
    yield from _inside(node, path, definitions, above)


def _alternatives(
    nodes: list[Node], path: str, definitions: Mapping[str, Node], above: tuple[str, ...]
) -> Iterator[tuple[str, str]]:
    resolved = [_resolved(node, definitions) for node in nodes]
    yield path, " or ".join(_words(node) for node in resolved)
    objects = [node for node in nodes if "properties" in _resolved(node, definitions)]
    for node in nodes:
        found = _resolved(node, definitions)
        label = f"<{_tag(found)}>" if len(objects) > 1 and node in objects else ""
        if _referred(node) not in above:
            inside = (*above, _referred(node)) if _referred(node) else above
            yield from _inside(found, path + label, definitions, inside)


def _inside(
    node: Node, path: str, definitions: Mapping[str, Node], above: tuple[str, ...]
) -> Iterator[tuple[str, str]]:
    required = msgspec.convert(node.get("required", ()), type=tuple[str, ...])
    for field, inner in _definitions({"$defs": node.get("properties", {})}).items():
        inner_path = f"{path}.{field}".removeprefix(".")
        for found, words in _fields(inner, inner_path, definitions, above):
            is_optional = found == inner_path and field not in required
            yield found, (OPTIONAL if is_optional else "") + words
    for key, ending in (("items", "[]"), ("additionalProperties", ".*")):
        if isinstance(inner := node.get(key), dict):
            yield from _fields(inner, path + ending, definitions, above)
    for number, inner in enumerate(_nodes(node.get("prefixItems", ()))):
        yield from _fields(inner, f"{path}[{number}]", definitions, above)


def _words(node: Node) -> str:
    if "enum" in node:
        return " | ".join(str(value) for value in msgspec.convert(node["enum"], type=list[object]))
    kind = str(node.get("format", node.get("type", "anything")))
    limits = [
        f"{key} {node[key]}"
        for key in sorted(node)
        if key not in SAID_ELSEWHERE and isinstance(node[key], int) and not isinstance(node[key], bool)
    ]
    return ", ".join((kind, *limits))


def _tag(node: Node) -> str:
    properties = _definitions({"$defs": node["properties"]})
    return next((_words(inner) for inner in properties.values() if "enum" in inner), str(node.get("title")))


def _referred(node: Node) -> str:
    return str(node.get("$ref", "")).rpartition("/")[2]


def _resolved(node: Node, definitions: Mapping[str, Node]) -> Node:
    return definitions[_referred(node)] if "$ref" in node else node


def _nodes(found: object) -> list[Node]:
    return msgspec.convert(found, type=list[dict[str, object]])


def example_of(kind: object) -> object:
    """Make up a value for every field, always the same one, as JSON would have it."""
    schema = msgspec.json.schema(kind)
    return _example(schema, "", _definitions(schema))


def _example(node: Node, path: str, definitions: Mapping[str, Node]) -> object:  # noqa: PLR0911 - one for each kind
    node = _resolved(node, definitions)
    if "anyOf" in node:
        told = [inner for inner in _nodes(node["anyOf"]) if inner.get("type") != "null"]
        return _example(told[0], path, definitions)
    if "enum" in node:
        return msgspec.convert(node["enum"], type=list[object])[0]
    if "properties" in node:
        fields = _definitions({"$defs": node["properties"]})
        return {name: _example(inner, f"{path}.{name}", definitions) for name, inner in fields.items()}
    if "prefixItems" in node:
        inner_nodes = enumerate(_nodes(node["prefixItems"]))
        return [_example(inner, f"{path}.{number}", definitions) for number, inner in inner_nodes]
    kind = str(node.get("format", node.get("type")))
    if kind in EXAMPLES:
        return EXAMPLES[kind]
    if kind == "array":
        return [_example(_nodes([node["items"]])[0], path, definitions)] if "items" in node else []
    if kind == "object":
        return {}
    return _text(kind, path)


def _text(kind: str, path: str) -> str:
    if kind == "uuid":
        return str(uuid.uuid5(uuid.NAMESPACE_OID, path))
    name = path.rpartition(".")[2]
    if any(word in name for word in DIGESTS):
        return hashlib.sha256(path.encode()).hexdigest()
    return f"{name.replace('_', ' ')}, “äöü” ✓"
