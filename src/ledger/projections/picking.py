"""The next item for somebody: the best one that is ready and that they may work on, reserved while they claim it.

What is ready lies in an index by groups and kind, in the queue's order. So a look-up hops from one combination of
the two to the next and takes the first row of each: what others hold, what is assigned to them and what is for other
groups is never read, however much of it there is. What becomes ready by itself (a lease that ended, a question that
nobody answered) lies in an index by that moment; of this, the thousand that have been ready for the longest are looked
at, so that a queue full of abandoned leases is no slower.

A reservation keeps those who ask at the same time from trying the same item. It is a row of its own, good for a few
seconds by the database's clock: whoever dies between reserving and claiming holds an item up for no longer. The
domain gives out the lease, and refuses whoever comes second all the same.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

import msgspec

from ledger.domain.decision.events import Priority
from ledger.domain.errors import RuleViolation
from ledger.domain.ids import PersonId, StreamName
from ledger.projections.submission import RANKS
from ledger.store.pool import Pool, reading

NO_STREAM: Final = StreamName("")
RESERVED_SECONDS: Final = 10.0
"""Longer than a claim takes, and the second that its caller waits for the view."""

# What fits is said three times, once for each index that finds what is ready; "rank + 0" keeps a plan made for any
# ranks from reading the whole queue in its order instead.
# $1 ledger, $2 now, $3 person, $4 their groups, $5 are they an administrator, $6 kind (null: any), $7 to $8 these
# ranks, $9 but none of these streams, $10 reservation, $11 for so many seconds
RESERVE: Final = """
with recursive turns as (
    (select groups, kind from views.queue_v2
     where ledger_id = $1 and ready_at is null and assigned_to is null
     order by groups, kind limit 1)
    union all
    select next.groups, next.kind
    from turns t
    cross join lateral (
        select q.groups, q.kind from views.queue_v2 q
        where q.ledger_id = $1 and q.ready_at is null and q.assigned_to is null
          and (q.groups, q.kind) > (t.groups, t.kind)
        order by q.groups, q.kind limit 1
    ) next
), own as (
    select q.stream, 0 as turn, q.rank, q.position from views.queue_v2 q
    where q.ledger_id = $1 and q.assigned_to = $3 and (q.ready_at is null or q.ready_at <= $2)
      and (q.groups = '' or $5 or string_to_array(q.groups, ',') && $4::text[])
      and ($6::text is null or q.kind = $6) and q.rank between $7 and $8
      and (q.deadline_at is null or q.deadline_at > $2)
      and not (q.four_eyes and ($3 = q.submitted_by or $3 is not distinct from q.on_behalf_of))
      and $3 <> all(q.voters) and ($5 or $3 <> all(q.escalators))
      and q.stream <> all($9::text[])
      and not exists (
          select from work.reservations r
          where r.ledger_id = $1 and r.stream = q.stream and r.until > clock_timestamp())
    order by q.rank, q.position
    limit 1
), ready as (
    select best.stream, 1 as turn, best.rank, best.position
    from turns t
    cross join lateral (
        select q.stream, q.rank, q.position from views.queue_v2 q
        where q.ledger_id = $1 and q.groups = t.groups and q.kind = t.kind
          and q.ready_at is null and q.assigned_to is null
          and ($6::text is null or q.kind = $6) and q.rank between $7 and $8
          and (q.deadline_at is null or q.deadline_at > $2)
          and not (q.four_eyes and ($3 = q.submitted_by or $3 is not distinct from q.on_behalf_of))
          and $3 <> all(q.voters) and ($5 or $3 <> all(q.escalators))
          and q.stream <> all($9::text[])
          and not exists (
              select from work.reservations r
              where r.ledger_id = $1 and r.stream = q.stream and r.until > clock_timestamp())
        order by q.rank, q.position
        limit 1
    ) best
    where t.groups = '' or $5 or string_to_array(t.groups, ',') && $4::text[]
), later as (
    select longest.stream, 1 as turn, longest.rank, longest.position
    from (
        select q.stream, q.rank, q.position from views.queue_v2 q
        where q.ledger_id = $1 and q.ready_at <= $2 and q.assigned_to is null
          and (q.groups = '' or $5 or string_to_array(q.groups, ',') && $4::text[])
          and ($6::text is null or q.kind = $6) and q.rank + 0 between $7 and $8
          and (q.deadline_at is null or q.deadline_at > $2)
          and not (q.four_eyes and ($3 = q.submitted_by or $3 is not distinct from q.on_behalf_of))
          and $3 <> all(q.voters) and ($5 or $3 <> all(q.escalators))
          and q.stream <> all($9::text[])
          and not exists (
              select from work.reservations r
              where r.ledger_id = $1 and r.stream = q.stream and r.until > clock_timestamp())
        order by q.ready_at
        limit 1000
    ) longest
    order by longest.rank, longest.position
    limit 1
), best as (
    select stream
    from (select * from own union all select * from ready union all select * from later) found
    order by turn, rank, position
    limit 1
), reserved as (
    insert into work.reservations as held (ledger_id, stream, reservation_id, until)
    select $1, stream, $10::uuid, clock_timestamp() + make_interval(secs => $11) from best
    on conflict on constraint reservations_pkey do update
    set reservation_id = excluded.reservation_id, until = excluded.until
    where held.until <= clock_timestamp()
    returning stream
)
select best.stream, reserved.stream is not null as is_reserved from best left join reserved using (stream)
"""
# $1 ledger, $2 reservation
GIVE_UP: Final = "delete from work.reservations where ledger_id = $1 and reservation_id = $2"
# One that nobody can have made was left by a clock that leapt ahead.
# $1 ledger, $2 seconds of a reservation
FORGET: Final = """
delete from work.reservations
where ledger_id = $1
  and (until <= clock_timestamp() or until > clock_timestamp() + 10 * make_interval(secs => $2))
"""
# $1 ledger, $2 person, $3 now, $4 not counting this stream
HELD_BY: Final = """
select count(*) from views.queue_v2
where ledger_id = $1 and holder = $2 and expires_at > $3 and (deadline_at is null or deadline_at > $3)
  and stream <> $4
"""


class TooManyClaims(RuleViolation):
    """You hold as many items as one person may.

    Context: ``most``.
    """

    code = "too-many-claims"
    advice = "Decide one, or give one back."


class Seeker(msgspec.Struct, frozen=True, kw_only=True):
    """Who asks for work, and which (``None``: any)."""

    person: PersonId
    groups: tuple[str, ...]
    is_admin: bool
    priority: Priority | None
    kind: str | None


async def reserve(
    pool: Pool,
    ledger_id: int,
    seeker: Seeker,
    *,
    now: datetime,
    reservation: UUID,
    without: Sequence[StreamName] = (),
) -> StreamName | None:
    """Reserve the best item that nobody holds and this person may work on, ``without`` some; ``None``: there is none.

    What is assigned to them comes first. Whoever meets another one over the same item goes on to the next.

    Raises:
        DatabaseUnreachable: the connection is lost, or none is free.
    """
    first, last = (0, max(RANKS.values())) if seeker.priority is None else (RANKS[seeker.priority],) * 2
    while True:
        async with reading(pool) as conn:
            row = await conn.fetchrow(
                RESERVE,
                ledger_id,
                now,
                seeker.person,
                list(seeker.groups),
                seeker.is_admin,
                seeker.kind,
                first,
                last,
                list(without),
                reservation,
                RESERVED_SECONDS,
            )
        if row is None:
            return None
        if row["is_reserved"]:
            return StreamName(row["stream"])


async def give_up(pool: Pool, ledger_id: int, reservation: UUID) -> None:
    """Let others have what was reserved."""
    async with reading(pool) as conn:
        await conn.execute(GIVE_UP, ledger_id, reservation)


async def forget(pool: Pool, ledger_id: int) -> None:
    """Delete the reservations of those who never came back."""
    async with reading(pool) as conn:
        await conn.execute(FORGET, ledger_id, RESERVED_SECONDS)


async def held_by(
    pool: Pool, ledger_id: int, person: PersonId, *, now: datetime, beside: StreamName = NO_STREAM
) -> int:
    """Count what somebody holds under living leases ``beside`` one item."""
    async with reading(pool) as conn:
        return int(await conn.fetchval(HELD_BY, ledger_id, person, now, beside))
