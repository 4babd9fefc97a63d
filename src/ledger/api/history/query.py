"""What is asked of the history: filters in, a search and what is recorded of it out."""

import hashlib
import hmac
import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from difflib import get_close_matches
from typing import Final
from uuid import UUID

import msgspec

from ledger.api.bodies import as_utc
from ledger.api.call import Call
from ledger.api.problems import FieldError, InvalidRequest
from ledger.api.types import HttpRequest
from ledger.api.wire import decision_id
from ledger.domain.event import type_name
from ledger.domain.ids import CommandId, Digest, Position, StreamName
from ledger.domain.reading.events import Filter, Query
from ledger.history.naming import actor_called, is_begun
from ledger.store.envelope import timestamp
from ledger.store.event_types import EVENT_TYPES
from ledger.store.findings import Sought
from ledger.store.ledger import Ledger

TYPE_NAMES: Final = tuple(map(type_name, EVENT_TYPES))
LONGEST_TYPE: Final = max(map(len, TYPE_NAMES))
A_STREAM: Final = re.compile(r"[a-z]{1,20}-[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
A_TRACE: Final = re.compile(r"[0-9a-f]{32}")
MOST_TYPES: Final = 100


class Filters(msgspec.Struct, frozen=True, kw_only=True):
    """What a caller wants, as they wrote it; ``None``: whatever that is."""

    types: tuple[str, ...] | None
    stream: str | None
    decision: str | None
    actor: str | None
    correlation: str | None
    command: UUID | None
    since: str | None
    until: str | None
    first: int | None
    last: int | None
    words: str | None
    is_descending: bool


def refuse_unknown(request: HttpRequest, known: frozenset[str]) -> None:
    """Refuse a filter that nobody knows: to pass over it would answer another question.

    Raises:
        InvalidRequest: naming them.
    """
    odd = sorted(set(request.query_params.keys()) - known)
    if odd:
        raise InvalidRequest(*(FieldError(name, "is no parameter of this call") for name in odd))


async def sought(call: Call, filters: Filters) -> Sought:
    """Make a search of them.

    Raises:
        InvalidRequest: one is not what it says, or names nobody.
    """
    if filters.stream is not None and filters.decision is not None:
        raise InvalidRequest(FieldError("stream", "and 'decision' name the same thing: send one"))
    if filters.first is not None and filters.last is not None and filters.first > filters.last:
        raise InvalidRequest(FieldError("first", "lies behind 'last'"))
    since, until = moment(filters.since, "from"), moment(filters.until, "to")
    if since is not None and until is not None and since >= until:
        raise InvalidRequest(FieldError("from", "is not before 'to'"))
    if filters.types is not None and len(filters.types) > MOST_TYPES:
        raise InvalidRequest(FieldError("type", f"is sent at most {MOST_TYPES} times"))
    wrong = wrong_names(filters.types or (), filters.stream, filters.correlation)
    if wrong:
        raise InvalidRequest(*wrong)
    ledger = call.services.ledger
    return Sought(
        types=filters.types,
        stream=await _stream(ledger, filters),
        actor=None if filters.actor is None else await _actor(ledger, filters.actor),
        correlation=filters.correlation,
        command=None if filters.command is None else CommandId(filters.command),
        since=since,
        until=until,
        first=None if filters.first is None else Position(filters.first),
        last=None if filters.last is None else Position(filters.last),
        words=filters.words,
        is_descending=filters.is_descending,
    )


def wrong_names(types: Sequence[str], stream: str | None, correlation: str | None) -> list[FieldError]:
    """Say what names nothing in a ledger: what was asked for is recorded for good, and may be somebody's name."""
    wrong = []
    unknown = next((name for name in types if name not in TYPE_NAMES), None)
    if unknown is not None:
        (nearest,) = get_close_matches(unknown[:LONGEST_TYPE], TYPE_NAMES, n=1, cutoff=0)
        wrong.append(FieldError("type", f"is an event type; the nearest one is {nearest}"))
    if stream is not None and not A_STREAM.fullmatch(stream):
        wrong.append(FieldError("stream", "is a stream's name, as events tell it"))
    if correlation is not None and not A_TRACE.fullmatch(correlation):
        wrong.append(FieldError("correlation", "is a trace id: 32 hexadecimal digits"))
    return wrong


def query_of(ledger: Ledger, search: Sought) -> Query:
    """Say what of a search is recorded: who and what is meant by opaque ids, and words by a keyed digest."""
    return Query(call="events", filters=tuple(_filters(search)), words=_words(ledger, search.words))


def moment(text: str | None, field: str) -> datetime | None:
    """Read a time (RFC 3339); without an offset it is UTC.

    Raises:
        InvalidRequest: it is none, or lies outside the years 1970 to 2199.
    """
    if text is None:
        return None
    try:
        read = msgspec.convert(text.replace(" ", "+"), datetime)  # a plus that was not escaped
    except msgspec.ValidationError as odd:
        raise InvalidRequest(FieldError(field, "is a time like 2026-11-30T09:00:00Z")) from odd
    return as_utc(read, field)


def _filters(search: Sought) -> Iterator[Filter]:
    yield from (Filter("type", name) for name in sorted(search.types or ()))
    for name, value in (
        ("stream", search.stream),
        ("actor", search.actor),
        ("correlation", search.correlation),
        ("command", search.command),
        ("from", None if search.since is None else timestamp(search.since)),
        ("to", None if search.until is None else timestamp(search.until)),
        ("first", search.first),
        ("last", search.last),
    ):
        if value is not None:
            yield Filter(name, str(value))


def _words(ledger: Ledger, words: str | None) -> Digest | None:
    if words is None:
        return None
    said = b"words searched for\0" + words.casefold().encode()
    return Digest(hmac.new(ledger.request_key, said, hashlib.sha256).hexdigest())


async def _stream(ledger: Ledger, filters: Filters) -> StreamName | None:
    if filters.decision is None:
        return None if filters.stream is None else StreamName(filters.stream)
    stream = ledger.decision_stream(decision_id(filters.decision, "decision"))
    if not await is_begun(ledger, stream):
        raise InvalidRequest(FieldError("decision", "is the id of nothing that was ever submitted"))
    return stream


async def _actor(ledger: Ledger, text: str) -> str:
    actor = await actor_called(ledger, text)
    if actor is None:
        raise InvalidRequest(FieldError("actor", "is nobody's user name, and no person's id"))
    return actor
