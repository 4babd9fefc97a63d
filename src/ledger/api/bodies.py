"""Bodies in: strictly typed, every wrong field named, nothing let through that PostgreSQL cannot store."""

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final, TypeAlias, TypeVar
from urllib.parse import parse_qsl

import msgspec

from ledger.api.auth import header_of
from ledger.api.problems import FieldError, InvalidRequest, WrongContentType
from ledger.api.types import HttpRequest
from ledger.personal.tokens import MARK

T = TypeVar("T", bound=msgspec.Struct)

Rules: TypeAlias = Callable[[Mapping[str, object]], Sequence[FieldError]]
"""Say of fields whose types are right what is wrong with them that no type can say; texts and numbers, nothing raw."""

JSON_TYPES: Final = re.compile(r"application/(?:[\w.-]+\+)?json")
JSON_TYPE: Final = "application/json"
FORM_TYPE: Final = "application/x-www-form-urlencoded"
MULTIPART_TYPE: Final = "multipart/form-data"
EARLIEST: Final = datetime(1970, 1, 1, tzinfo=UTC)
LATEST: Final = datetime(2200, 1, 1, tzinfo=UTC)
MARK_BYTES: Final = MARK.encode()
TWICE: Final = "is sent more than once"
SEALED: Final = "holds sealed text, which stays where it is: send the text itself"


def as_utc(moment: datetime, field: str) -> datetime:
    """Read a moment without an offset as UTC, and bring every other one there.

    Raises:
        InvalidRequest: it does not lie between 1970 and 2200.
    """
    try:
        utc = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except OverflowError:
        utc = EARLIEST - EARLIEST.resolution
    if not EARLIEST <= utc < LATEST:
        raise InvalidRequest(FieldError(field, "lies outside the years 1970 to 2199"))
    return utc


def text_of(raw: msgspec.Raw, field: str) -> str:
    """Give the text of a part of the body that is kept verbatim.

    Raises:
        InvalidRequest: it is not valid UTF-8.
    """
    try:
        return bytes(raw).decode()
    except UnicodeDecodeError as garbled:
        raise InvalidRequest(FieldError(field, "is not valid UTF-8")) from garbled


async def read_json(request: HttpRequest, shape: type[T], rules: Rules | None = None) -> T:
    """Read the body as ``shape``, whose fields keep to ``rules``.

    Raises:
        InvalidRequest: it is not JSON, or fields are missing, mistyped, against the rules or hold NUL, all of which are
            named; or it holds sealed text, wherever.
        WrongContentType: it does not say that it is JSON.
        BodyTooLarge: it is larger than the service takes.
    """
    body = await request.body()
    if body:
        _require_json(request)
    try:
        return decode_json(body, shape, rules)
    except InvalidRequest:
        _refuse_coded(request)
        raise


def decode_json(body: bytes, shape: type[T], rules: Rules | None = None) -> T:
    """Decode JSON strictly as ``shape``, whose fields keep to ``rules``, naming every wrong field."""
    try:
        decoded = msgspec.json.decode(body, type=shape)
    except msgspec.ValidationError as wrong:
        raise InvalidRequest(*_wrong_fields(body, shape, wrong, rules)) from wrong
    except RecursionError as deep:
        raise InvalidRequest(FieldError("body", "is nested too deeply")) from deep
    except UnicodeDecodeError as garbled:
        raise InvalidRequest(FieldError("body", "is not valid UTF-8")) from garbled
    except msgspec.DecodeError as malformed:
        raise InvalidRequest(FieldError("body", f"is not valid JSON: {malformed}")) from malformed
    _refuse_twice(decoded, body)
    _refuse_nul(decoded, body)
    if _holds_sealed(body):
        raise InvalidRequest(FieldError("body", SEALED))
    broken = () if rules is None else rules(msgspec.structs.asdict(decoded))
    if broken:
        raise InvalidRequest(*broken)
    return decoded


def must_not_be_sealed(text: str, field: str) -> None:
    """Refuse a text that holds a token, or what looks like one: it would be opened for whoever reads it.

    Raises:
        InvalidRequest: it does.
    """
    if MARK in text:
        raise InvalidRequest(FieldError(field, SEALED))


def _holds_sealed(body: bytes) -> bool:
    """Look into every text of a body, names too, also where it is not read and however it is escaped."""
    if b"\\u" not in body:
        return MARK_BYTES in body
    try:
        return MARK_BYTES in msgspec.json.encode(msgspec.json.decode(body))
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return True  # what cannot be read as a whole is not let through unread


def _require_json(request: HttpRequest) -> None:
    if header_of(request, b"content-type") == JSON_TYPE:  # nearly always; the framework would take it apart
        return
    kind, options = request.content_type
    charset = options.get("charset", "utf-8").lower()
    if not JSON_TYPES.fullmatch(kind):
        raise WrongContentType(expected=JSON_TYPE, got=kind or "none")
    if charset not in ("utf-8", "utf8"):
        raise WrongContentType(expected=f"{JSON_TYPE} in UTF-8", got=f"{kind}; charset={charset}")


def _refuse_coded(request: HttpRequest) -> None:
    """Say of a body that could not be read that it is compressed, where it is (RFC 9110, section 15.5.16)."""
    coding = header_of(request, b"content-encoding")
    if coding is not None and coding.strip().lower() != "identity":
        raise WrongContentType(expected=f"{JSON_TYPE}, not compressed", got=f"content-encoding {coding}")


def _wrong_fields(
    body: bytes, shape: type[T], first: msgspec.ValidationError, rules: Rules | None
) -> tuple[FieldError, ...]:
    """Decode field by field, because the decoder stops at the first fault."""
    try:
        fields = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return (FieldError("body", str(first)),)
    faults = {
        field.encode_name: _fault(field, fields.get(field.encode_name))
        for field in msgspec.structs.fields(shape)
    }
    wrong = tuple(fault for fault in faults.values() if fault) or (FieldError("body", str(first)),)
    sound = [name for name, fault in faults.items() if name in fields and fault is None]
    broken = () if rules is None else rules({name: msgspec.json.decode(fields[name]) for name in sound})
    return (*wrong, *broken)


def _fault(field: msgspec.structs.FieldInfo, raw: msgspec.Raw | None) -> FieldError | None:
    if raw is None:
        return FieldError(field.encode_name, "is required") if field.required else None
    try:
        msgspec.json.decode(raw, type=field.type)
    except (msgspec.MsgspecError, ValueError, RecursionError) as wrong:
        return FieldError(field.encode_name, str(wrong))
    return None


def sent_twice(names: Iterable[str]) -> Iterator[FieldError]:
    """Say which of the names of a form or a query are there more than once, each in the place of its first."""
    return (FieldError(name[:100], TWICE) for name, times in Counter(names).items() if times > 1)


class _Twice(Exception):
    """A name stands twice in one object."""


def _once(pairs: list[tuple[str, object]]) -> None:
    if len(dict(pairs)) < len(pairs):
        raise _Twice


def _members(pairs: list[tuple[str, object]]) -> object:
    members = dict(pairs)
    if len(members) == len(pairs):
        return members
    names = [name for name, _ in pairs]
    return _Twice(next(name for name in names if names.count(name) > 1))


_ONCE: Final = json.JSONDecoder(object_pairs_hook=_once, parse_int=str, parse_float=str)
_MEMBERS: Final = json.JSONDecoder(object_pairs_hook=_members, parse_int=str, parse_float=str)
"""Read only to see what is named; what our own decoder makes of a body is what counts."""


def _refuse_twice(decoded: msgspec.Struct, body: bytes) -> None:
    """Refuse what a proxy or an auditor might read otherwise than we do, also in what is passed over.

    Documents that are kept as they were sent have readers of their own, who say so in their words.
    """
    try:
        _ONCE.decode(body.decode())
    except _Twice:
        twice = _first_twice(decoded, _MEMBERS.decode(body.decode()))
        if twice is not None:
            said = f"names {str(twice)[:50]!r} twice in one object"
            raise InvalidRequest(FieldError("body", said)) from twice
    except RecursionError as deep:
        raise InvalidRequest(FieldError("body", "is nested too deeply")) from deep
    except UnicodeDecodeError as garbled:
        raise InvalidRequest(FieldError("body", "is not valid UTF-8")) from garbled
    except ValueError as malformed:
        raise InvalidRequest(FieldError("body", f"is not valid JSON: {malformed}")) from malformed


def _first_twice(decoded: msgspec.Struct, read: object) -> _Twice | None:
    waiting = [read]
    if isinstance(read, dict):
        kept = {name for name in read if isinstance(getattr(decoded, name, None), msgspec.Raw)}
        waiting = [value for name, value in read.items() if name not in kept]
    while waiting:
        value = waiting.pop()
        if isinstance(value, _Twice):
            return value
        if isinstance(value, dict):
            waiting += value.values()
        elif isinstance(value, list):
            waiting += value
    return None


def _refuse_nul(decoded: msgspec.Struct, body: bytes) -> None:
    """PostgreSQL's text cannot hold U+0000; JSON can only spell it as an escape."""
    if b"\\u0000" not in body:
        return
    named = tuple(
        FieldError(name, "holds a NUL character")
        for name in decoded.__struct_fields__
        if b"\\u0000" in msgspec.json.encode(getattr(decoded, name)) and _holds_nul(getattr(decoded, name))
    )
    if named:
        raise InvalidRequest(*named)


def _holds_nul(value: object) -> bool:
    """Look into everything that a body is made of."""
    if isinstance(value, str):
        return "\x00" in value
    if isinstance(value, msgspec.Struct):
        return any(_holds_nul(getattr(value, name)) for name in value.__struct_fields__)
    if isinstance(value, dict):
        return any(_holds_nul(key) or _holds_nul(inner) for key, inner in value.items())
    return isinstance(value, list | tuple) and any(_holds_nul(item) for item in value)


async def read_form(request: HttpRequest, shape: type[T]) -> T:
    """Read a form as ``shape``, whose fields are strings.

    Raises:
        InvalidRequest: fields are missing, do not fit or are not valid UTF-8; all of them are named.
        WrongContentType: it does not say that it is a form.
    """
    kind, _ = request.content_type
    if kind == MULTIPART_TYPE:
        pairs = await _multipart(request)
    else:
        body = await request.body()
        if body and kind != FORM_TYPE:
            raise WrongContentType(expected=FORM_TYPE, got=kind or "none")
        pairs = _urlencoded(body)
    twice = tuple(sent_twice(sorted(name for name, _ in pairs)))
    if twice:
        raise InvalidRequest(*twice)
    return decode_json(_as_json(dict(pairs)), shape)


async def _multipart(request: HttpRequest) -> list[tuple[str, str]]:
    try:
        form = await request.form()
    except (UnicodeDecodeError, LookupError) as garbled:  # LookupError: a part of an unknown charset
        raise InvalidRequest(FieldError("body", "is not a valid form in UTF-8")) from garbled
    return [(name, value) for name, value in form.multi_items() if isinstance(value, str)]


def _urlencoded(body: bytes) -> list[tuple[str, str]]:
    try:
        return parse_qsl(body.decode("utf-8"), keep_blank_values=True, errors="strict")
    except (UnicodeDecodeError, ValueError) as garbled:
        raise InvalidRequest(FieldError("body", "is not a valid form in UTF-8")) from garbled


def _as_json(form: dict[str, str]) -> bytes:
    try:
        return msgspec.json.encode(form)
    except UnicodeEncodeError as garbled:
        raise InvalidRequest(FieldError("body", "is not valid UTF-8")) from garbled
