"""The queue over HTTP: open items, the most urgent and then the oldest first, page by page."""

import re
from types import GenericAlias
from typing import Annotated, Final

from litestar import Controller, Response, get
from litestar.params import QueryParameter
from msgspec import Raw

from ledger.api.call import STALE, Call, staleness
from ledger.api.colleagues import person_named
from ledger.api.decision_wire import ITEM, Details, Names, lease_told, written
from ledger.api.paging import next_page
from ledger.api.problems import FieldError, InvalidRequest
from ledger.api.types import HttpRequest
from ledger.domain.decision.events import Priority
from ledger.domain.event import Utc
from ledger.domain.ids import Position
from ledger.domain.terms import BUILT_IN_KIND
from ledger.projections.views import queue as queue_view
from ledger.projections.views.queue import Choice, Cursor, QueueItem
from ledger.store.ledger import Ledger
from ledger.store.pool import reading

ITEMS: Final = tuple(GenericAlias(list, (shape,)) for shape in ITEM)
CURSOR: Final = re.compile(r"([0-3])\.(\d{1,18})")


class QueueController(Controller):
    """What waits for a human."""

    path = "/api/decisions"
    tags = ("Decisions",)

    @get("/pending", opt={"answer": ITEMS, "tells": ("Link", STALE)})
    async def pending(
        self,
        request: HttpRequest,
        *,
        priority: Annotated[Priority | None, QueryParameter()] = None,
        kind: Annotated[str | None, QueryParameter(max_length=200)] = None,
        level: Annotated[int | None, QueryParameter(ge=0, le=100)] = None,
        mine: Annotated[bool, QueryParameter()] = False,
        assigned: Annotated[str | None, QueryParameter(max_length=1_000)] = None,
        limit: Annotated[int, QueryParameter(ge=1, le=100)] = 50,
        cursor: Annotated[str | None, QueryParameter(max_length=32)] = None,
    ) -> Response[bytes]:
        """List open items by priority, then age: all, or those the caller holds, or those assigned to a user name.

        The next page's address is in the Link header.
        """
        call = Call(request)
        after = cursor_of(cursor)
        choice = Choice(
            priority=priority,
            kind=kind,
            level=level,
            holder=call.principal.person if mine else None,
            assigned_to=None if assigned is None else await person_named(call, assigned, "assigned"),
        )
        now = call.services.clock()

        async def look(ledger: Ledger) -> tuple[QueueItem, ...]:
            async with reading(ledger.source) as conn:
                return await queue_view.page(
                    conn, ledger.ledger_id, now=now, limit=limit + 1, after=after, choice=choice
                )

        found = await call.services.read(("queue",), look)
        page = found[:limit]
        more = staleness(call.services, "queue")
        if len(found) > limit:
            more |= _next_page(page[-1].cursor(), limit, choice, assigned)
        return await call.shown(await shown(call, page, now), headers=more)


async def shown(call: Call, page: tuple[QueueItem, ...], now: Utc) -> list[Raw]:
    """Write items as the queue shows them at a moment."""
    holds = [item.standing.live_hold(now) for item in page]
    persons = {hold.holder for hold in holds if hold} | {item.assigned_to for item in page} - {None}
    names = Names(await call.names(list(persons)) if persons else {})
    return [Raw(written(item, _details(item, names, now))) for item in page]


def _details(item: QueueItem, names: Names, now: Utc) -> Details:
    hold = item.standing.live_hold(now)
    return Details(
        status=item.status_at(now),
        kind=item.kind if item.kind == BUILT_IN_KIND else None,
        subject_digest=item.subject_digest,
        level=item.standing.level,
        asked_priority=None if item.priority is item.asked_priority else item.asked_priority,
        submitted_at=item.submitted_at,
        deadline_at=item.deadline_at,
        target_at=item.target_at,
        groups=item.groups,
        assigned_to=names.of_any(item.assigned_to),
        lease=None if hold is None else lease_told(hold, names),
    )


def cursor_of(text: str | None) -> Cursor | None:
    """Read where the page before ended.

    Raises:
        InvalidRequest: it is nothing that a page says.
    """
    if text is None:
        return None
    match = CURSOR.fullmatch(text)
    if match is None:
        raise InvalidRequest(FieldError("cursor", "is what the page before said of the next one"))
    return Cursor(int(match[1]), Position(int(match[2])))


def _next_page(last: Cursor, limit: int, choice: Choice, assigned: str | None) -> dict[str, str]:
    """Name the next page of this very choice."""
    chosen = {
        "priority": choice.priority,
        "kind": choice.kind,
        "level": choice.level,
        "mine": None if choice.holder is None else "true",
        "assigned": assigned,
    }
    query = {"limit": str(limit), "cursor": f"{last.rank}.{last.position}"}
    query |= {name: str(value) for name, value in chosen.items() if value is not None}
    return next_page("/api/decisions/pending", query)
