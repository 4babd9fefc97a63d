"""Whether a payload can have anything at a place, as its kind's schema says; a doubt counts as yes."""

from collections.abc import Mapping, Sequence

import msgspec

from ledger.domain.errors import Invalid
from ledger.domain.json_pointer import INDEX, PointsNowhere, at, tokens


class MarksHitNothing(Invalid):
    """The policy points to places where no payload of its kind can have anything.

    Context: ``places``, as JSON pointers.
    """

    code = "policy-marks-hit-nothing"
    advice = "Draft it anew with the places of the kind's schema; publish it 'ahead_of_kind' where the next revision brings them."


def must_be_places(schema: str, pointers: Sequence[str]) -> None:
    """Refuse pointers to what the schema keeps out of every payload.

    Raises:
        MarksHitNothing: naming them.
    """
    root: dict[str, object] = msgspec.json.decode(schema, type=dict[str, object])
    missed = [pointer for pointer in pointers if not _can_hold(root, root, tokens(pointer))]
    if missed:
        raise MarksHitNothing(places=", ".join(missed))


def _can_hold(root: object, part: object, path: Sequence[str]) -> bool:
    """Say whether a value that fits this part of the schema may have something there; no schema refers to itself."""
    if not isinstance(part, dict):
        return part is not False
    if not path:
        return True
    if not all(_can_hold(root, each, path) for each in _every(root, part)):
        return False
    for keyword in ("anyOf", "oneOf"):
        some = part.get(keyword)
        if isinstance(some, list) and not any(_can_hold(root, each, path) for each in some):
            return False
    return (_may_be(part, "object") and _in_object(root, part, path)) or (
        _may_be(part, "array") and _in_array(root, part, path)
    )


def _every(root: object, part: Mapping[str, object]) -> list[object]:
    """Name the schemas that hold beside this one."""
    every = part.get("allOf")
    found = list(every) if isinstance(every, list) else []
    reference = part.get("$ref")
    if isinstance(reference, str):
        try:
            found.append(at(root, reference.removeprefix("#")))
        except PointsNowhere:
            return found
    return found


def _may_be(part: Mapping[str, object], what: str) -> bool:
    allowed = part.get("type", what)
    return allowed == what or (isinstance(allowed, list) and what in allowed)


def _in_object(root: object, part: Mapping[str, object], path: Sequence[str]) -> bool:
    first, *rest = path
    properties = part.get("properties")
    if isinstance(properties, dict) and first in properties:
        return _can_hold(root, properties[first], rest)
    if part.get("patternProperties"):
        return True
    return _can_hold(root, part.get("additionalProperties", True), rest)


def _in_array(root: object, part: Mapping[str, object], path: Sequence[str]) -> bool:
    first, *rest = path
    if not INDEX.fullmatch(first):
        return False
    index, begin, most = int(first), part.get("prefixItems"), part.get("maxItems")
    if isinstance(most, int) and index >= most:
        return False
    if isinstance(begin, list) and index < len(begin):
        return _can_hold(root, begin[index], rest)
    return _can_hold(root, part.get("items", True), rest)
