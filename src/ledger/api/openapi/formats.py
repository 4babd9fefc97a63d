"""What values must be beyond what a JSON Schema can say, told as their ``format``; and that no text is null.

A name means the same wherever it is sent; where a call means something else by it, that stands under the call.
Clients that know a format can check it; the others pass over it, as JSON Schema wants (2020-12, section 7).
"""

from collections.abc import Iterator, Mapping
from typing import Final

Json = dict[str, object]

NULL: Final[Json] = {"type": "null"}

PARAMETERS: Final[Mapping[str, str]] = {
    "If-Match": "etag",
    "Idempotency-Key": "idempotency-key",
    "analysis_id": "decision-id",
    "actor": "actor",
    "assigned": "user-name",
    "at": "moment-or-place",
    "correlation": "trace-id",
    "decision": "known-decision-id",
    "first": "not-behind-last",
    "format": "file-type",
    "from": "moment",
    "limit": "page-or-file",
    "name": "file-name",
    "stream": "stream-name",
    "to": "moment",
    "type": "event-type",
    "escalation_reason": "reason",
}
OF_ONE_CALL: Final[Mapping[tuple[str, str], str]] = {
    ("/api/audit/queue", "cursor"): "cursor",
    ("/api/decisions/pending", "cursor"): "cursor",
    ("/api/decisions/stats/detail", "from"): "day",
    ("/api/decisions/stats/detail", "to"): "day",
    ("/api/stream", "after"): "position",
    ("/tlog/checkpoints", "from"): "size",
}
FIELDS: Final[Mapping[str, str]] = {
    "analysis_id": "decision-id",
    "analysis_ids": "distinct-decision-ids",
    "created_at": "moment",
    "decision_id": "decision-id",
    "email": "mail-address",
    "expires_at": "moment",
    "fencing_token": "with-lease-id",
    "full_name": "name",
    "items": "distinct-decision-ids",
    "new_password": "password",
    "on_behalf_of": "user-name",
    "password": "password",
    "successor": "decision-id",
    "to": "user-name",
    "until": "moment",
    "username": "user-name",
}
"""Fields of bodies, by name; in answers they are the same things."""


def described(path: str, parameter: Json) -> Json:
    """Complete the description of a parameter: text in an address or a header is never null."""
    schema = parameter.get("schema")
    if not isinstance(schema, dict):
        return parameter
    name = str(parameter["name"])
    value = OF_ONE_CALL.get((path, name)) or PARAMETERS.get(name)
    told: Json = _never_null(schema)
    if value is not None and "$ref" not in told:
        told = {**told, "format": value}
    return {**parameter, "schema": told}


def with_formats(shapes: Json) -> Json:
    """Complete the schemas of bodies."""
    return {
        name: _with_formats(shape) if isinstance(shape, dict) else shape for name, shape in shapes.items()
    }


def _with_formats(shape: Json) -> Json:
    properties = shape.get("properties")
    if not isinstance(properties, dict):
        return shape
    told = {name: _told(name, schema) for name, schema in properties.items()}
    return {**shape, "properties": told}


def _told(name: str, schema: Json) -> Json:
    value = FIELDS.get(name)
    if value is None or "format" in schema or "$ref" in schema:
        return schema
    several = schema.get("anyOf")
    if isinstance(several, list):
        return {**schema, "anyOf": [one if one == NULL else {**one, "format": value} for one in several]}
    return {**schema, "format": value}


def _never_null(schema: Json) -> Json:
    several = schema.get("oneOf")
    if not isinstance(several, list):
        return schema
    others = list(_without_null(several))
    if (
        others[0].get("type") != "string" or "format" in others[0]
    ):  # where it is no text, the word null is read so
        return schema
    rest = {name: value for name, value in schema.items() if name != "oneOf"}
    return {**others[0], **rest} if len(others) == 1 else {**schema, "oneOf": others}


def _without_null(schemas: list[object]) -> Iterator[Json]:
    yield from (one for one in schemas if isinstance(one, dict) and one != NULL)
