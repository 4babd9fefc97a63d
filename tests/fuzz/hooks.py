"""What schemathesis has to know of this service; read by its own interpreter, which has none of our packages.

The formats that the description names are made here, and what is well-formed may be refused only for what a schema
cannot say: by a rule whose code the description names, or by a format.
"""

import schemathesis
from hypothesis import strategies as st

SEEN = st.text(
    st.characters(blacklist_categories=("Cc", "Cf", "Cs", "Zl", "Zp"), blacklist_characters="/"), min_size=1
)
MOMENTS = st.builds(
    "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}{}".format,
    st.integers(1970, 2199),
    st.integers(1, 12),
    st.integers(1, 28),
    st.integers(0, 23),
    st.integers(0, 59),
    st.integers(0, 59),
    st.sampled_from(["Z", "", "+02:00"]),
)
PLACES = st.sampled_from(["version:1", "position:1", "2026-11-30T09:00:00Z"])
NUMBERS = st.integers(0, 10**6).map(str)
WORDS = st.text("abcdefghijklmnopqrstuvwxyz", min_size=3, max_size=12)

FORMATS = {
    "actor": st.just("admin"),
    "cursor": st.builds("{}.{}".format, st.integers(0, 3), NUMBERS),
    "day": st.builds(
        "{:04}-{:02}-{:02}".format, st.integers(1970, 2199), st.integers(1, 12), st.integers(1, 28)
    ),
    "decision-id": SEEN.filter(
        lambda text: text not in {"pending", "submit", "next", "stats", "bulk", ".", ".."}
    ),
    "mail-address": st.builds("{}@example.org".format, WORDS),
    "etag": NUMBERS.map('"{}"'.format) | st.just("*"),
    "event-type": st.sampled_from(["decision-submitted", "session-opened"]),
    "file-type": st.sampled_from(["json", "ndjson", "csv"]),
    "file-name": WORDS.map("{}.txt".format),
    "idempotency-key": st.uuids().map(str),
    "known-decision-id": st.just("seen"),
    "moment": MOMENTS,
    "moment-or-place": PLACES,
    "name": SEEN,
    "password": WORDS.map("quite long and odd {}".format),
    "size": NUMBERS,
    "stream-name": st.uuids().map("decision-{}".format),
    "trace-id": st.uuids().map(lambda one: one.hex),
    "user-name": st.just("admin"),
}
REFUSED = range(400, 500)
UNKNOWN_TO_SCHEMAS = {401, 403, 404, 429}

for name, strategy in FORMATS.items():
    schemathesis.openapi.format(name, strategy)


@schemathesis.check
def well_formed_is_taken(_ctx, response, case):
    """What the description calls well-formed is not refused as if it were not."""
    meta = case.meta
    if meta is None or not meta.generation.mode.is_positive or response.status_code not in REFUSED:
        return
    if response.status_code in UNKNOWN_TO_SCHEMAS:
        return
    problem = response.json()
    fields = [error["field"] for error in problem.get("errors", [])]
    operation = case.operation.definition.raw
    unsaid = [field for field in fields if not _has_format(case, operation, field)]
    if problem["code"] == "invalid-request" and (unsaid or not fields):
        raise AssertionError(f"well-formed, and refused for {unsaid or problem}: {problem}")


def _has_format(case, operation, field):
    """Whether the description names a format for a field or parameter: what a schema cannot say of it."""
    schemas = case.operation.schema.raw_schema["components"]["schemas"]
    for parameter in operation.get("parameters", []):
        if parameter["name"] == field and "format" in str(parameter["schema"]):
            return True
    body = operation.get("requestBody", {}).get("content", {})
    return any(_names(media.get("schema", {}), field, schemas, set()) for media in body.values())


def _names(schema, field, schemas, seen):
    name = schema.get("$ref", "").rpartition("/")[2]
    if name:
        if name in seen:
            return False
        seen.add(name)
        return _names(schemas[name], field, schemas, seen)
    properties = schema.get("properties", {})
    if "'format'" in str(properties.get(field, "")):
        return True
    inside = [*properties.values(), *schema.get("anyOf", []), *schema.get("oneOf", [])]
    inside += [schema["items"]] if isinstance(schema.get("items"), dict) else []
    return any(_names(one, field, schemas, seen) for one in inside)
