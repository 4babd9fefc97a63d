"""The rows of policies: one for each kind that ever had a draft, with what is in force and what is proposed."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

import asyncpg
import msgspec

from ledger.domain.ids import PersonId, StreamName, Version
from ledger.domain.policy.events import PolicyDrafted, PolicyEvent, PolicyPublished, PolicyRetired
from ledger.domain.policy.state import ByDefault, PolicyState, evolve
from ledger.domain.terms import BUILT_IN_KIND
from ledger.projections.projection import fold_rows, load_rows, must_exist
from ledger.store.pool import Connection
from ledger.store.streams import Recorded

# One range of the key at a time, in its order: another index of this ledger looks as good while the table is, or is
# known to be, empty, and would be read whole ever after.
# $1 ledger, $2 streams
LOAD: Final = """
select found.*
from unnest($2::text[]) as asked(stream)
cross join lateral (
    select stream, kind, state, in_force, published_by, published_at, drafts, changed_at, version
    from policies_v1
    where ledger_id = $1 and stream >= asked.stream and stream <= asked.stream
    order by stream
    limit 1
) found
"""
# $1 ledger; arrays, a kind each: $2 stream, $3 kind, $4 state, $5 in force, $6 published by, $7 published at,
# $8 drafts, $9 changed at, $10 version
SAVE: Final = """
insert into policies_v1 (
    ledger_id, stream, kind, state, in_force, published_by, published_at, drafts, changed_at, version)
select $1, p.stream, p.kind, p.state, p.in_force, p.published_by, p.published_at, p.drafts, p.changed_at, p.version
from unnest($2::text[], $3::text[], $4::text[], $5::integer[], $6::uuid[], $7::timestamptz[], $8::integer[],
            $9::timestamptz[], $10::integer[])
    as p(stream, kind, state, in_force, published_by, published_at, drafts, changed_at, version)
on conflict (ledger_id, stream) do update
set state = excluded.state, in_force = excluded.in_force, published_by = excluded.published_by,
    published_at = excluded.published_at, drafts = excluded.drafts, changed_at = excluded.changed_at,
    version = excluded.version
"""
# $1 ledger, $2 after this kind (empty: from the first), $3 at most this many, $4 the built-in kind
PAGE: Final = """
select k.kind, p.stream, p.state, p.in_force, p.published_by, p.published_at, p.drafts, p.changed_at, p.version
from (
    (select kind from views.kinds_v1 where ledger_id = $1 and kind > $2 order by kind limit $3)
    union all
    select $4::text collate "C" where $4::text collate "C" > $2
) k
left join views.policies_v1 p on p.ledger_id = $1 and p.kind = k.kind
order by k.kind
limit $3
"""


class Publication(msgspec.Struct, frozen=True, kw_only=True):
    """Who published a version, and when."""

    policy_version: int
    by: PersonId
    at: datetime


class PolicyRow(msgspec.Struct, frozen=True, kw_only=True):
    """The policies of a kind; no ``publication``: the default holds. ``version`` is that of the stream."""

    stream: StreamName
    kind: str
    state: PolicyState
    publication: Publication | None
    changed_at: datetime
    version: Version


async def page(
    conn: Connection, ledger_id: int, *, after: str, limit: int
) -> tuple[tuple[str, PolicyRow | None], ...]:
    """Read up to ``limit`` kinds by name, after a name or from the first (empty), each with its policies.

    ``None``: nothing was ever drafted for it.
    """
    rows = await conn.fetch(PAGE, ledger_id, after, limit, BUILT_IN_KIND)
    return tuple((row["kind"], None if row["stream"] is None else _row(row)) for row in rows)


async def apply(conn: Connection, ledger_id: int, batch: Sequence[Recorded[PolicyEvent]]) -> None:
    """Bring the policies of the batch's kinds up to date."""
    loaded = await load_rows(conn, LOAD, ledger_id, batch)
    before = {StreamName(row["stream"]): _row(row) for row in loaded}
    rows = [row for row in fold_rows(before, batch, _evolve).values() if row is not None]
    publications = [row.publication for row in rows]
    await conn.execute(
        SAVE,
        ledger_id,
        [row.stream for row in rows],
        [row.kind for row in rows],
        [msgspec.json.encode(row.state).decode() for row in rows],
        [one and one.policy_version for one in publications],
        [one and one.by for one in publications],
        [one and one.at for one in publications],
        [len(row.state.drafts) for row in rows],
        [row.changed_at for row in rows],
        [row.version for row in rows],
    )


def _evolve(row: PolicyRow | None, item: Recorded[PolicyEvent]) -> PolicyRow:
    event = item.event
    if row is None and not isinstance(event, PolicyDrafted):
        must_exist(row, item)
    return PolicyRow(
        stream=item.stream,
        kind=event.kind,
        state=evolve(ByDefault() if row is None else row.state, event),
        publication=_publication(None if row is None else row.publication, event),
        changed_at=event.at,
        version=item.version,
    )


def _publication(before: Publication | None, event: PolicyEvent) -> Publication | None:
    if isinstance(event, PolicyPublished):
        return Publication(policy_version=event.version, by=event.by, at=event.at)
    return None if isinstance(event, PolicyRetired) else before


def _row(row: asyncpg.Record) -> PolicyRow:
    publication = None
    if row["in_force"] is not None:
        publication = Publication(
            policy_version=row["in_force"], by=row["published_by"], at=row["published_at"]
        )
    return PolicyRow(
        stream=row["stream"],
        kind=row["kind"],
        state=msgspec.json.decode(row["state"], type=PolicyState),
        publication=publication,
        changed_at=row["changed_at"],
        version=row["version"],
    )
