"""Checking a payload by its kind's JSON Schema: no network, no files, no pattern that takes for ever."""

from collections.abc import Iterator
from functools import cache, lru_cache
from itertools import islice
from typing import Final

import msgspec
from jsonschema_rs import Draft202012Validator, RegexOptions, ValidationError, ValidationErrorKind

from ledger.payloads.documents import Document, NoDocument, read
from ledger.payloads.faults import (
    MOST_FAULTS,
    Fault,
    InvalidPayload,
    InvalidSchema,
    UnreadableSchema,
    pointer_to,
)
from ledger.payloads.schemas import DIALECT, faults_in, unfolded

PATTERN_BYTES: Final = 256 * 1024
"""A compiled pattern, and what matching it may remember."""
VALIDATORS_HELD: Final = 32
MOST_CHECKS_TOLD: Final = 30_000
"""The engine makes an error for every check that fails, before the first is told; beyond so many it is not asked."""
MASK: Final = "the value"
"""Stands for what was sent, which may be a secret."""


class _Checker(msgspec.Struct, frozen=True):
    validator: Draft202012Validator
    unfolded: int


def check_schema(text: str) -> None:
    """Refuse what cannot be a kind's schema.

    Raises:
        InvalidSchema: naming the places.
    """
    document = _read(text, InvalidSchema)
    faults = list(islice(faults_in(document.value), MOST_FAULTS))
    faults = faults or list(islice(_faults_by_dialect(document.value), MOST_FAULTS))
    if faults:
        raise InvalidSchema(faults)
    try:
        _compiled(document.value)
    except ValidationError as refused:
        raise InvalidSchema([Fault(pointer_to(refused.instance_path), _said(refused))]) from refused


def check_payload(text: str, schema: str) -> dict[str, object]:
    """Read a payload and refuse one that is not as the registered ``schema`` says.

    Raises:
        InvalidPayload: naming the places.
        UnreadableSchema: this release cannot read the schema.
    """
    document = _read(text, InvalidPayload)
    checker = _checker(schema)
    if not checker.validator.is_valid(document.value):
        raise InvalidPayload(_told(checker, document))
    return document.value


def _said(refused: ValidationError) -> str:
    kind = refused.kind
    if isinstance(kind, ValidationErrorKind.Format) and kind.format == "regex":
        return "is no pattern that is matched in linear time: no lookaround, no backreference, not too large"
    return refused.message


def _read(text: str, refusal: type[InvalidSchema | InvalidPayload]) -> Document:
    try:
        return read(text)
    except NoDocument as none:
        raise refusal(none.faults) from none


def _told(checker: _Checker, document: Document) -> Iterator[Fault]:
    if checker.unfolded * document.nodes > MOST_CHECKS_TOLD:
        yield Fault("", "is not as the schema says; it is too large to say where")
        return
    for error in islice(checker.validator.iter_errors(document.value), MOST_FAULTS):
        yield Fault(pointer_to(error.instance_path), error.message)


def _faults_by_dialect(schema: dict[str, object]) -> Iterator[Fault]:
    """Compare with the metaschema of the dialect."""
    for error in _dialect().iter_errors(schema):
        yield Fault(pointer_to(error.instance_path), error.message)


@cache
def _dialect() -> Draft202012Validator:
    return Draft202012Validator({"$ref": DIALECT}, offline=True, mask=MASK)


@lru_cache(maxsize=VALIDATORS_HELD)
def _checker(schema: str) -> _Checker:
    try:
        document = read(schema)
        return _Checker(_compiled(document.value), unfolded(document.value))
    except (NoDocument, ValidationError, LookupError) as broken:
        raise UnreadableSchema from broken


def _compiled(schema: dict[str, object]) -> Draft202012Validator:
    return Draft202012Validator(
        schema,
        offline=True,
        validate_formats=True,
        ignore_unknown_formats=False,
        mask=MASK,
        pattern_options=RegexOptions(size_limit=PATTERN_BYTES, dfa_size_limit=PATTERN_BYTES),
    )
