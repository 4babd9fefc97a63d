"""What in a new description of the HTTP interface breaks clients of the old one, and whether the changelog says so.

Breaking is: a path, method, parameter, field or content type that is gone; a new input that must be sent; an input
that takes less than before; an answer that may be something clients have never seen, or may lack what they read.
"""

import re
from collections.abc import Iterator
from datetime import date
from typing import Final

import msgspec
from msgspec.structs import replace

from tools.openapi_document import Answer, Body, Document, Operation, Parameter, Schema, read_document
from tools.schema_fit import Fit

UNRELEASED: Final = re.compile(r"^## Unreleased\n(.*?)(?=^## |\Z)", re.DOTALL | re.MULTILINE)
BREAKING: Final = re.compile(r"^### Breaking\n(.*?)(?=^### |\Z)", re.DOTALL | re.MULTILINE)
SUCCESS: Final = "2"


class Break(msgspec.Struct, frozen=True, order=True):
    """One thing that a client may stumble over: the ``call`` it makes, and ``what`` has become of it."""

    call: str
    what: str

    def __str__(self) -> str:
        return f"{self.call}: {self.what}"


def breaks(before: bytes, after: bytes, *, on: date) -> list[Break]:
    """Compare two OpenAPI documents; nothing: every client of the old one can speak to the new one.

    A call that was deprecated may be gone ``on`` the day of its sunset, as its clients were told with every answer.
    """
    old, new = read_document(before), read_document(after)
    now = new.calls()
    found: list[Break] = []
    for call, operation in old.calls().items():
        if call not in now:
            if not _is_over(operation, on):
                found.append(Break(call, "is gone"))
        else:
            found += (Break(call, what) for what in _of_one(old, new, operation, now[call]))
    return sorted(set(found))


def unexplained(found: list[Break], changelog: str) -> list[Break]:
    """Leave out the breaks whose call stands, in backticks, under *Breaking* of the changelog's unreleased part."""
    unreleased = UNRELEASED.search(changelog)
    breaking = BREAKING.search(unreleased[1]) if unreleased else None
    said = breaking[1] if breaking else ""
    return [one for one in found if f"`{one.call}`" not in said]


def _is_over(operation: Operation, on: date) -> bool:
    return operation.deprecated and operation.sunset is not None and operation.sunset <= on


def _of_one(old: Document, new: Document, before: Operation, after: Operation) -> Iterator[str]:
    if before.sunset is not None and after.sunset is not None and after.sunset < before.sunset:
        yield f"goes before {before.sunset}, which is what clients were told"
    sent = Fit(old, new, is_sent=True)
    yield from _parameters(sent, before.parameters, after.parameters)
    yield from _bodies(sent, before.request_body or Body(), after.request_body or Body())
    answered = Fit(old, new, is_sent=False)
    for status, answer in before.responses.items():
        if status in after.responses:
            yield from _answers(answered, status, answer, after.responses[status])
        elif status.startswith(SUCCESS):
            yield f"does not answer {status} any more"


def _parameters(fit: Fit, before: list[Parameter], after: list[Parameter]) -> Iterator[str]:
    known = {(one.place, one.name): one for one in before}
    now = {(one.place, one.name): one for one in after}
    for key, parameter in now.items():
        at = f"{parameter.place} parameter {parameter.name}"
        if parameter.required and not (key in known and known[key].required):
            yield f"{at}: must be sent now"
        if key in known:
            yield from fit.breaks(_sendable(known[key].schema), parameter.schema, at)
    for place, name in known.keys() - now.keys():
        yield f"{place} parameter {name}: is not taken any more"


def _sendable(schema: Schema) -> Schema:
    """Leave null out: in an address or a header there is text, or nothing."""
    several = [one for one in schema.one_of or () if one.type != "null"]
    return replace(schema, one_of=several) if several else schema


def _bodies(fit: Fit, before: Body, after: Body) -> Iterator[str]:
    if after.required and not before.required:
        yield "body: must be sent now"
    for kind, media in before.content.items():
        if kind not in after.content:
            yield f"body: {kind} is not taken any more"
        else:
            yield from fit.breaks(media.schema, after.content[kind].schema, "body")


def _answers(fit: Fit, status: str, before: Answer, after: Answer) -> Iterator[str]:
    for name in before.headers.keys() - after.headers.keys():
        yield f"{status}: header {name} is not answered any more"
    for kind, media in before.content.items():
        if kind in after.content:
            yield from fit.breaks(media.schema, after.content[kind].schema, status)
        else:
            yield f"{status}: {kind} is not answered any more"
