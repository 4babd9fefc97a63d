"""``ledger audit log``: the history on a terminal, read from the database beside the service.

Whoever runs commands on this machine can read the database past any record of it; so this is not recorded, as reading
over HTTP is.
"""

import asyncio
import sys
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from typing import Annotated, Final, TypeAlias
from uuid import UUID

import msgspec
from cyclopts import Parameter
from cyclopts.validators import Number

from ledger.api.history.query import wrong_names
from ledger.api.history.wire import Form, line
from ledger.cli.operating import overseeing
from ledger.cli.tables import print_json, print_table
from ledger.domain.decision.state import DecisionNotFound
from ledger.domain.errors import Invalid
from ledger.domain.ids import CommandId, DecisionId, PersonId, Position, StreamName
from ledger.history.chains import said
from ledger.history.naming import NOBODY, actor_called, is_begun, persons_in
from ledger.identity.people import ERASED, names_of
from ledger.store.findings import Sought, aim, find_page
from ledger.store.ledger import Ledger
from ledger.store.streams import Stored

Json: TypeAlias = Annotated[bool, Parameter(negative="", help="As JSON, for programs.")]
NdJson: TypeAlias = Annotated[
    bool, Parameter(negative="", help="A line of JSON for each event, of any number.")
]
PAGE: Final = 500
USUAL: Final = 100
COLUMNS: Final = ("Position", "Recorded", "Who", "Type", "What", "Stream")
Names: TypeAlias = Mapping[PersonId, str]


class NamesNothing(Invalid):
    """A filter names nothing that is in a ledger.

    Context: each such option, and what it takes.
    """

    code = "names-nothing"


class NobodyIsCalledSo(Invalid):
    """Nobody has this user name, and it is no person's id."""

    code = "nobody-is-called-so"


def log(
    *,
    type: Annotated[tuple[str, ...], Parameter(negative="", help="Only of these types.")] = (),  # noqa: A002
    decision: Annotated[str | None, Parameter(help="Only of this decision.")] = None,
    stream: Annotated[str | None, Parameter(help="Only of this stream.")] = None,
    actor: Annotated[
        str | None, Parameter(help="Only by this person, or operator, system, imported.")
    ] = None,
    correlation: Annotated[str | None, Parameter(help="Only of this trace.")] = None,
    command: Annotated[UUID | None, Parameter(help="Only of this command.")] = None,
    since: Annotated[
        datetime | None,
        Parameter(name="--from", help="Recorded from then on, like 2026-03-01 or 2026-03-01T08:30:00 (UTC)."),
    ] = None,
    until: Annotated[datetime | None, Parameter(name="--to", help="Recorded before then, alike.")] = None,
    text: Annotated[str | None, Parameter(help="Only where people wrote this.")] = None,
    after: Annotated[int, Parameter(validator=Number(gte=0), help="Only behind this position.")] = 0,
    newest: Annotated[bool, Parameter(negative="", help="The newest first.")] = False,
    limit: Annotated[
        int | None,
        Parameter(validator=Number(gte=1), help="At most so many; 100 by default, all with --ndjson."),
    ] = None,
    json: Json = False,
    ndjson: NdJson = False,
) -> int:
    """Show what happened, from the database; nobody is told of it."""
    wrong = wrong_names(type, stream, correlation)
    if wrong:
        raise NamesNothing(**{f"--{one.field}": one.message for one in wrong})
    sought = Sought(
        types=type or None,
        stream=None if stream is None else StreamName(stream),
        correlation=correlation,
        command=None if command is None else CommandId(command),
        since=_utc(since),
        until=_utc(until),
        first=Position(after + 1),
        words=text,
        is_descending=newest,
    )
    most = limit if limit is not None or ndjson else USUAL
    return asyncio.run(
        _show(sought, decision, actor, most, "ndjson" if ndjson else "json" if json else "table")
    )


async def _show(sought: Sought, decision: str | None, actor: str | None, most: int | None, form: str) -> int:
    async with overseeing() as ledger:
        if decision is not None:
            sought = msgspec.structs.replace(sought, stream=await _stream(ledger, decision))
        if actor is not None:
            sought = msgspec.structs.replace(sought, actor=await _actor(ledger, actor))
        pages = _pages(ledger, sought, most)
        if form == "ndjson":
            async for events, names in pages:
                for one in events:
                    sys.stdout.write(msgspec.json.encode(line(one, Form.STORED, names)).decode() + "\n")
            return 0
        found = [(one, names) async for events, names in pages for one in events]
        if form == "json":
            print_json([line(one, Form.STORED, names) for one, names in found])
        else:
            print_table(COLUMNS, [_cells(one, names) for one, names in found])
    return 0


async def _pages(
    ledger: Ledger, sought: Sought, most: int | None
) -> AsyncIterator[tuple[tuple[Stored, ...], Names]]:
    aimed, behind = await aim(ledger, sought, await ledger.head()), None
    while most is None or most > 0:
        page = await find_page(ledger, aimed, behind=behind, limit=PAGE if most is None else min(PAGE, most))
        yield page.events, await names_of(ledger.pool, ledger.ledger_id, list(persons_in(page.events)))
        most = None if most is None else most - len(page.events)
        behind = page.next
        if behind is None:
            return


async def _stream(ledger: Ledger, decision: str) -> StreamName:
    stream = ledger.decision_stream(DecisionId(decision))
    if not await is_begun(ledger, stream):
        raise DecisionNotFound
    return stream


async def _actor(ledger: Ledger, text: str) -> str:
    actor = await actor_called(ledger, text)
    if actor is None:
        raise NobodyIsCalledSo(name=text)
    return actor


def _cells(event: Stored, names: Names) -> tuple[object, ...]:
    who = event.actor if event.actor in NOBODY else names.get(PersonId(UUID(event.actor)), ERASED)
    recorded = event.recorded_at.isoformat(sep=" ", timespec="seconds").removesuffix("+00:00")
    return event.position, recorded, who, event.type, said(event) or "", event.stream


def _utc(moment: datetime | None) -> datetime | None:
    if moment is None:
        return None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
