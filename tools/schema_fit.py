"""Whether everything that one JSON Schema allows is allowed by another: what makes a change harmless."""

from collections.abc import Iterator
from typing import Final

import msgspec
from msgspec.structs import replace

from tools.openapi_document import Document, Schema

LOWER_LIMITS: Final = ("minimum", "min_length", "min_items")
UPPER_LIMITS: Final = ("maximum", "max_length", "max_items")
MAX_DEPTH: Final = 40


class Fit:
    """Compares schemas of two documents in one direction.

    What is sent must still be taken: everything that fits the old schema fits the new one. What is answered must
    still be understood: everything that fits the new schema fits the old one, but for fields that are new.
    """

    def __init__(self, old: Document, new: Document, *, is_sent: bool) -> None:
        """Compare ``old`` with ``new``, for what clients send, or for what they are answered."""
        self._is_sent = is_sent
        self._narrow, self._wide = (old, new) if is_sent else (new, old)
        self._under_way: set[tuple[str, str]] = set()

    def breaks(self, old: Schema, new: Schema, at: str) -> Iterator[str]:
        """Say what does not fit any more, one sentence each."""
        narrow, wide = (old, new) if self._is_sent else (new, old)
        yield from self._fits(narrow, wide, at)

    def _fits(self, narrow: Schema, wide: Schema, at: str) -> Iterator[str]:
        pair = (narrow.ref or "", wide.ref or "")
        if all(pair):
            if pair in self._under_way:
                return
            self._under_way.add(pair)
        found = list(self._alternatives_fit(self._narrow.seen(narrow), self._wide.seen(wide), at))
        self._under_way.discard(pair)
        yield from found

    def _alternatives_fit(self, narrow: Schema, wide: Schema, at: str) -> Iterator[str]:
        allowed = list(_alternatives(self._wide, wide))
        for one in _alternatives(self._narrow, narrow):
            tried = [list(self._one_fits(one, other, at)) for other in allowed]
            if not any(found == [] for found in tried):
                yield from min(tried, key=len)

    def _one_fits(self, narrow: Schema, wide: Schema, at: str) -> Iterator[str]:
        if not _is_within(narrow.type, wide.type):
            yield f"{at}: {self._cannot_be(_named(narrow))}"
            return
        yield from self._values_fit(narrow, wide, at)
        if self._is_sent:
            yield from _limits_fit(narrow, wide, at)
        if narrow.type == "object":
            yield from self._objects_fit(narrow, wide, at)
        if isinstance(narrow.items, Schema) and isinstance(wide.items, Schema):
            yield from self._fits(narrow.items, wide.items, f"{at}[]")

    def _values_fit(self, narrow: Schema, wide: Schema, at: str) -> Iterator[str]:
        allowed = _values(wide)
        if allowed is None:
            return
        values = _values(narrow)
        if values is None:
            yield f"{at}: {self._cannot_be('anything but ' + ', '.join(sorted(map(str, allowed))))}"
            return
        for value in sorted(map(str, values - allowed)):
            yield f"{at}: {self._cannot_be(value)}"

    def _objects_fit(self, narrow: Schema, wide: Schema, at: str) -> Iterator[str]:
        for name in wide.required:
            if name not in narrow.required:
                yield f"{at}.{name}: {'must be sent now' if self._is_sent else 'may be missing now'}"
        for name in wide.properties.keys() - narrow.properties.keys():
            if not self._is_sent and (name not in wide.required or name in narrow.required):
                yield f"{at}.{name}: is not answered any more"
        for name, schema in narrow.properties.items():
            if name in wide.properties:
                yield from self._fits(schema, wide.properties[name], f"{at}.{name}")
            elif self._is_sent:
                yield f"{at}.{name}: is not taken any more"
        if isinstance(narrow.additional_properties, Schema) and isinstance(
            wide.additional_properties, Schema
        ):
            yield from self._fits(narrow.additional_properties, wide.additional_properties, f"{at}.*")

    def _cannot_be(self, what: str) -> str:
        return f"is not taken any more as {what}" if self._is_sent else f"is answered now as {what}"


def _alternatives(document: Document, schema: Schema) -> Iterator[Schema]:
    """Take a schema apart into schemas of one type each; limits beside the alternatives hold for each of them."""
    seen = document.seen(schema)
    several = seen.any_of or seen.one_of
    if several:
        for one in several:
            for found in _alternatives(document, one):
                yield replace(found, **_limits_beside(seen, found))
    elif isinstance(seen.type, list):
        yield from (replace(seen, type=one) for one in seen.type)
    else:
        yield seen if seen.type is not None else replace(seen, type=_type_of(seen))


def _limits_beside(outer: Schema, inner: Schema) -> dict[str, float]:
    beside: dict[str, float] = {}
    for limit in (*LOWER_LIMITS, *UPPER_LIMITS):
        value = getattr(outer, limit)
        if value is not None and getattr(inner, limit) is None:
            beside[limit] = value
    return beside


def _type_of(schema: Schema) -> str | None:
    """Say of which type the values of an enumeration are, where it does not say so itself."""
    values = _values(schema)
    if not values:
        return None
    kinds = {
        "null" if value is None else "boolean" if isinstance(value, bool) else _scalar(value)
        for value in values
    }
    return kinds.pop() if len(kinds) == 1 else None


def _scalar(value: float | str) -> str:
    return "string" if isinstance(value, str) else "number"


def _values(schema: Schema) -> set[str | int | float | bool | None] | None:
    if not isinstance(schema.const, msgspec.UnsetType):
        return {schema.const}
    return None if schema.enum is None else set(schema.enum)


def _limits_fit(narrow: Schema, wide: Schema, at: str) -> Iterator[str]:
    for limit in LOWER_LIMITS:
        before, now = getattr(narrow, limit), getattr(wide, limit)
        if now is not None and (before is None or before < now):
            yield f"{at}: must be at least {now:g} now ({limit.replace('_', ' ')})"
    for limit in UPPER_LIMITS:
        before, now = getattr(narrow, limit), getattr(wide, limit)
        if now is not None and (before is None or before > now):
            yield f"{at}: must be at most {now:g} now ({limit.replace('_', ' ')})"
    if wide.pattern is not None and wide.pattern != narrow.pattern:
        yield f"{at}: must match another pattern now"


def _is_within(narrow: str | list[str] | None, wide: str | list[str] | None) -> bool:
    return wide is None or narrow == wide or (narrow, wide) == ("integer", "number")


def _named(schema: Schema) -> str:
    return str(schema.type or "anything")
