"""What of an OpenAPI 3.1 document a client can depend on, as typed values; the rest is passed over."""

from datetime import date
from typing import Final

import msgspec

SCHEMAS: Final = "#/components/schemas/"


class Schema(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A JSON Schema, as far as the descriptions here use it; an empty one takes everything."""

    ref: str | None = msgspec.field(name="$ref", default=None)
    type: str | list[str] | None = None
    enum: list[str | int | float | bool | None] | None = None
    const: str | int | float | bool | msgspec.UnsetType = msgspec.UNSET
    any_of: "list[Schema] | None" = None
    one_of: "list[Schema] | None" = None
    properties: "dict[str, Schema]" = {}
    required: list[str] = []
    additional_properties: "Schema | bool" = True
    items: "Schema | bool | None" = None
    pattern: str | None = None
    minimum: float | None = None
    maximum: float | None = None
    min_length: float | None = None
    max_length: float | None = None
    min_items: float | None = None
    max_items: float | None = None


class Media(msgspec.Struct, frozen=True, kw_only=True):
    """A body of one content type."""

    schema: Schema = Schema()


class Body(msgspec.Struct, frozen=True, kw_only=True):
    """A request's body."""

    content: dict[str, Media] = {}
    required: bool = False


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """An answer of one status."""

    content: dict[str, Media] = {}
    headers: dict[str, msgspec.Raw] = {}


class Parameter(msgspec.Struct, frozen=True, kw_only=True):
    """A part of the path, the query or the headers."""

    name: str
    place: str = msgspec.field(name="in")
    required: bool = False
    schema: Schema = Schema()


class Operation(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One call."""

    parameters: list[Parameter] = []
    request_body: Body | None = None
    responses: dict[str, Answer] = {}
    deprecated: bool = False
    sunset: date | None = msgspec.field(name="x-sunset", default=None)


class Path(msgspec.Struct, frozen=True, kw_only=True):
    """The calls of one path."""

    get: Operation | None = None
    put: Operation | None = None
    post: Operation | None = None
    patch: Operation | None = None
    delete: Operation | None = None
    head: Operation | None = None


class Components(msgspec.Struct, frozen=True, kw_only=True):
    """What is referred to."""

    schemas: dict[str, Schema] = {}


class Document(msgspec.Struct, frozen=True, kw_only=True):
    """A whole description."""

    paths: dict[str, Path] = {}
    components: Components = Components()

    def calls(self) -> dict[str, Operation]:
        """Give every operation by method and path, like ``GET /health``."""
        return {
            f"{method.upper()} {path}": operation
            for path, item in self.paths.items()
            for method in Path.__struct_fields__
            if (operation := getattr(item, method)) is not None
        }

    def seen(self, schema: Schema) -> Schema:
        """Follow references to what they stand for."""
        while schema.ref is not None:
            schema = self.components.schemas[schema.ref.removeprefix(SCHEMAS)]
        return schema


def read_document(text: bytes) -> Document:
    """Read an OpenAPI document."""
    return msgspec.json.decode(text, type=Document)
