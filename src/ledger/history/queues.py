"""The queue as it was at a moment, folded from the log.

Theory. What was on it is every submission up to there whose decision had not ended by then. The database finds those,
some positions at a time; their events are folded as the read model folds them, and the best of them are kept, so that
memory holds one page, whatever the ledger holds. A page costs a walk over all submissions up to the moment: some seconds
for a million events. It is for auditors, not for screens.
"""

import heapq
from collections.abc import AsyncIterator, Sequence
from typing import Final, get_args

import msgspec

from ledger.domain.decision.decide import DECISION
from ledger.domain.decision.evolving import Ending
from ledger.domain.event import Utc, type_name
from ledger.domain.ids import START, Position, StreamName
from ledger.history.moments import Moment
from ledger.projections.queue_row import QueueRow, evolve
from ledger.projections.submission import RANKS
from ledger.projections.views.queue import Cursor, QueueItem
from ledger.store.excerpts import read_log_of
from ledger.store.findings import looking
from ledger.store.ledger import Ledger
from ledger.store.pool import reading
from ledger.store.streams import recorded

WINDOW: Final = 50_000
AT_ONCE: Final = 200
TYPES: Final = tuple(type_name(event_type) for event_type in DECISION.event_types)
ENDS: Final = tuple(type_name(event_type) for event_type in get_args(Ending))

# $1 ledger, $2 submitted behind this position, $3 up to this one, $4 not ended up to this one, $5 the ends
NOT_ENDED: Final = """
select submitted.stream from ledger.events submitted
where submitted.ledger_id = $1 and submitted.position > $2 and submitted.position <= $3
  and submitted.type = 'decision-submitted'
  and not exists (
      select from ledger.events ended
      where ended.ledger_id = $1 and ended.stream = submitted.stream and ended.position <= $4
        and ended.type = any($5))
order by submitted.position
"""


class QueueThen(msgspec.Struct, frozen=True, kw_only=True):
    """A page of a queue of the past: the most urgent and then the oldest first; ``total`` were on it in all."""

    items: tuple[QueueItem, ...]
    total: int
    has_more: bool


async def queue_at(ledger: Ledger, moment: Moment, *, after: Cursor | None, limit: int) -> QueueThen:
    """Say what was on the queue at a moment, from behind a cursor on (``None``: from the beginning).

    Raises:
        Corrupt: this release cannot read an event of one of its decisions.
    """
    total, best = 0, list[QueueItem]()
    async for items in _open_items(ledger, moment):
        total += len(items)
        behind = [item for item in items if after is None or _key(item) > (after.rank, after.position)]
        best = heapq.nsmallest(limit + 1, [*best, *behind], key=_key)
    return QueueThen(items=tuple(best[:limit]), total=total, has_more=len(best) > limit)


async def _open_items(ledger: Ledger, moment: Moment) -> AsyncIterator[list[QueueItem]]:
    for start in range(START, moment.position, WINDOW):
        upto = min(start + WINDOW, moment.position)
        async with reading(ledger.source) as conn, looking(conn):
            rows = await conn.fetch(NOT_ENDED, ledger.ledger_id, start, upto, moment.position, list(ENDS))
        streams = [StreamName(row["stream"]) for row in rows]
        for first in range(0, len(streams), AT_ONCE):
            yield await _items(ledger, streams[first : first + AT_ONCE], moment)


async def _items(ledger: Ledger, streams: Sequence[StreamName], moment: Moment) -> list[QueueItem]:
    async with reading(ledger.source) as conn:
        stored = await read_log_of(conn, ledger.ledger_id, streams, upto=moment.position, wanted=TYPES)
    rows = dict[StreamName, QueueRow | None]()
    for one in stored:
        rows[one.stream] = evolve(rows.get(one.stream), recorded(one, DECISION.event_types))
    return [_item(row) for row in rows.values() if row is not None and _waits(row, moment.time)]


def _waits(row: QueueRow, now: Utc) -> bool:
    """Say whether it is on the queue; past its deadline it is not, whether or not that has been written down."""
    return row.deadline_at is None or now < row.deadline_at


def _item(row: QueueRow) -> QueueItem:
    return QueueItem(
        stream=row.stream,
        decision_id=row.decision_id,
        kind=row.kind,
        asked_priority=row.asked_priority,
        priority=row.priority,
        rank=RANKS[row.priority],
        position=row.position,
        submission=(row.submission or "").encode(),
        subject_digest=row.subject_digest,
        submitted_by=row.submitted_by,
        submitted_at=row.submitted_at,
        groups=row.groups,
        assigned_to=row.assigned_to,
        standing=row.standing,
        asked_at=row.asked_at,
        deadline_at=row.deadline_at,
        target_at=row.target_at,
        version=row.version,
    )


def _key(item: QueueItem) -> tuple[int, Position]:
    return item.rank, item.position
