"""The directory: every account as its stream has it, by the domain's own fold; no name, address or secret.

Nor keys, nor what a password must be: only an account's own stream says what opens it.
"""

from collections.abc import Sequence
from typing import Final, get_args

import asyncpg
import msgspec

from ledger.domain.account.events import AccountEvent, AccountRegistered
from ledger.domain.account.state import Registered, Unregistered, evolve
from ledger.domain.authority import Role
from ledger.domain.ids import PersonId, StreamName
from ledger.projections.projection import Projection, fold_rows, load_rows, must_exist
from ledger.store.pool import Connection
from ledger.store.streams import Recorded

# One range of the key at a time, in its order: another index of this ledger looks as good while the table is, or is
# known to be, empty, and would be read whole ever after.
# $1 ledger, $2 streams
LOAD: Final = """
select found.*
from unnest($2::text[]) as asked(stream)
cross join lateral (
    select stream, person_id, role, registered_at, is_active, is_lead, groups, epoch, kept_session, second_factor
    from directory_v2
    where ledger_id = $1 and stream >= asked.stream and stream <= asked.stream
    order by stream
    limit 1
) found
"""
# $1 ledger; arrays, an account each: $2 stream, $3 person, $4 role, $5 registered at, $6 is active,
# $7 is lead, $8 groups (by commas), $9 epoch, $10 kept session, $11 second factor
SAVE: Final = """
insert into directory_v2 (
    ledger_id, stream, person_id, role, registered_at, is_active, is_lead, groups, epoch, kept_session,
    second_factor)
select $1, a.stream, a.person_id, a.role, a.registered_at, a.is_active, a.is_lead,
       string_to_array(a.groups, ','), a.epoch, a.kept_session, a.second_factor
from unnest($2::text[], $3::uuid[], $4::text[], $5::timestamptz[], $6::boolean[], $7::boolean[], $8::text[],
            $9::integer[], $10::uuid[], $11::boolean[])
    as a(stream, person_id, role, registered_at, is_active, is_lead, groups, epoch, kept_session, second_factor)
on conflict (ledger_id, stream) do update
set role = excluded.role, is_active = excluded.is_active, is_lead = excluded.is_lead, groups = excluded.groups,
    epoch = excluded.epoch, kept_session = excluded.kept_session, second_factor = excluded.second_factor
"""
# $1 ledger, $2 person
FIND: Final = """
select person_id, role, registered_at, is_active, is_lead, groups, epoch, kept_session, second_factor
from views.directory_v2
where ledger_id = $1 and person_id = $2
"""
# $1 ledger, $2 after this person (null: from the first), $3 at most this many
PAGE: Final = """
select person_id, role, registered_at, is_active, is_lead, groups, epoch, kept_session, second_factor
from views.directory_v2
where ledger_id = $1 and person_id > coalesce($2, '00000000-0000-0000-0000-000000000000'::uuid)
order by person_id
limit $3
"""
# $1 ledger, $2 persons
OF: Final = """
select person_id, role, registered_at, is_active, is_lead, groups, epoch, kept_session, second_factor
from views.directory_v2
where ledger_id = $1 and person_id = any($2)
"""
# $1 ledger, $2 after this group, $3 at most this many
GROUPS: Final = """
select member.of as name, array_agg(d.person_id order by d.person_id) as members
from views.directory_v2 d
cross join lateral unnest(d.groups) as member(of)
where d.ledger_id = $1 and d.is_active and d.groups <> '{}' and member.of > $2
group by member.of
order by member.of
limit $3
"""
# $1 ledger
COUNT: Final = "select count(*) from views.directory_v2 where ledger_id = $1"
# $1 ledger, $2 a person
ANOTHER_ACTIVE_ADMIN: Final = """
select person_id from views.directory_v2
where ledger_id = $1 and role = 'admin' and is_active and person_id <> $2
order by person_id
limit 1
"""


class Group(msgspec.Struct, frozen=True):
    """A group, and who of its members is active."""

    name: str
    members: tuple[PersonId, ...]


async def find(conn: Connection, ledger_id: int, person: PersonId) -> Registered | None:
    """Look an account up; ``None``: nobody is known under this id."""
    row = await conn.fetchrow(FIND, ledger_id, person)
    return None if row is None else _account(row)


async def page(
    conn: Connection, ledger_id: int, *, limit: int, after: PersonId | None
) -> tuple[Registered, ...]:
    """Read up to ``limit`` accounts by person id, after a person or from the first (``None``)."""
    return tuple(_account(row) for row in await conn.fetch(PAGE, ledger_id, after, limit))


async def accounts_of(
    conn: Connection, ledger_id: int, persons: Sequence[PersonId]
) -> dict[PersonId, Registered]:
    """Look up accounts; who is not registered is not in the answer."""
    rows = await conn.fetch(OF, ledger_id, list(persons))
    return {row["person_id"]: _account(row) for row in rows}


async def groups(conn: Connection, ledger_id: int, *, limit: int, after: str = "") -> tuple[Group, ...]:
    """Read up to ``limit`` groups by name, after a name, each with its active members."""
    rows = await conn.fetch(GROUPS, ledger_id, after, limit)
    return tuple(Group(row["name"], tuple(row["members"])) for row in rows)


async def count(conn: Connection, ledger_id: int) -> int:
    """Count the accounts, deactivated ones too."""
    return int(await conn.fetchval(COUNT, ledger_id))


async def another_active_admin(conn: Connection, ledger_id: int, excluding: PersonId) -> PersonId | None:
    """Name an active administrator other than ``excluding``; ``None``: there is none."""
    person: PersonId | None = await conn.fetchval(ANOTHER_ACTIVE_ADMIN, ledger_id, excluding)
    return person


async def apply(conn: Connection, ledger_id: int, batch: Sequence[Recorded[AccountEvent]]) -> None:
    """Register and change the accounts of the batch."""
    loaded = await load_rows(conn, LOAD, ledger_id, batch)
    before = {StreamName(row["stream"]): _account(row) for row in loaded}
    folded = fold_rows(before, batch, _evolve)
    rows = [(stream, account) for stream, account in folded.items() if account is not None]
    await conn.execute(
        SAVE,
        ledger_id,
        [stream for stream, _ in rows],
        [account.person for _, account in rows],
        [account.role.value for _, account in rows],
        [account.registered_at for _, account in rows],
        [account.is_active for _, account in rows],
        [account.is_lead for _, account in rows],
        [",".join(account.groups) for _, account in rows],
        [account.epoch for _, account in rows],
        [account.kept_session for _, account in rows],
        [account.second_factor for _, account in rows],
    )


def _evolve(row: Registered | None, item: Recorded[AccountEvent]) -> Registered | None:
    if row is None and not isinstance(item.event, AccountRegistered):
        must_exist(row, item)
    state = evolve(Unregistered() if row is None else row, item.event)
    return state if isinstance(state, Registered) else None


def _account(row: asyncpg.Record) -> Registered:
    return Registered(
        person=row["person_id"],
        role=Role(row["role"]),
        registered_at=row["registered_at"],
        is_active=row["is_active"],
        is_lead=row["is_lead"],
        epoch=row["epoch"],
        kept_session=row["kept_session"],
        second_factor=row["second_factor"],
        groups=tuple(row["groups"]),
    )


DIRECTORY: Final = Projection[AccountEvent](
    name="directory",
    version=2,
    event_types=get_args(AccountEvent),
    tables=("directory_v2",),
    apply=apply,
)
