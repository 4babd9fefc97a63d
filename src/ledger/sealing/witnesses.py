"""Witnesses of this log, and the cosignatures they gave: rows that were verified before they were written (ADR 0027)."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from collections.abc import Set as AbstractSet
from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec

from ledger.sealing.notes import COSIGNATURE, MalformedNote, Note, Verifier
from ledger.sealing.partners import Partner, standings
from ledger.sealing.rows import Sealed, checkpoints_from
from ledger.store.pool import Connection

TIME_BYTES: Final = 8
CLOCKS_AGREE_WITHIN: Final = timedelta(minutes=5)
LATE_AFTER: Final = timedelta(minutes=5)
LOOK_BACK: Final = 64
"""How many checkpoints back, of those that anybody cosigned, a quorum is looked for."""

# $1 ledger, $2 sizes of checkpoints
LINES: Final = """
select size, line from work.notary_cosignatures where ledger_id = $1 and size = any($2) order by size, name, key_id
"""
# $1 ledger, $2 size of the checkpoint, $3 name of the key, $4 its id, $5 line, $6 moment
KEEP: Final = """
insert into work.notary_cosignatures as c (ledger_id, size, name, key_id, line, cosigned_at)
values ($1, $2, $3, $4, $5, $6)
on conflict (ledger_id, size, name, key_id) do update
set line = excluded.line, cosigned_at = excluded.cosigned_at
where c.cosigned_at < excluded.cosigned_at
"""
# $1 ledger, arrays: $2 names of keys, $3 their ids
LAST: Final = """
select w.name, w.key_id, last.size, last.cosigned_at
from unnest($2::text[], $3::bytea[]) as w(name, key_id)
cross join lateral (
    select c.size, c.cosigned_at from work.notary_cosignatures c
    where c.ledger_id = $1 and c.name = w.name and c.key_id = w.key_id
    order by c.size desc limit 1
) last
"""
# $1 ledger, $2 at most so many
NEWEST: Final = """
select size, name, key_id, cosigned_at from work.notary_cosignatures
where ledger_id = $1 order by size desc limit $2
"""


class Witness(msgspec.Struct, frozen=True, kw_only=True):
    """A witness: its ``name`` in the policy, its key, and where it is asked (``None``: it is not, by us)."""

    name: str
    key: Verifier
    url: str | None

    @property
    def partner(self) -> str:
        """Name it in rows: a name in a file may come to mean another key."""
        return f"{self.key.name}+{self.key.key_id.hex()}"


class Watch(msgspec.Struct, frozen=True, kw_only=True):
    """Whom this installation asks, and whether witnesses of these names are enough for its auditors.

    ``logs`` are the vkeys of the logs that those auditors know, ``late_after`` how long a checkpoint may go without a
    quorum.
    """

    witnesses: tuple[Witness, ...]
    quorum_met: Callable[[AbstractSet[str]], bool]
    logs: tuple[str, ...] = ()
    late_after: timedelta = LATE_AFTER


class Cosignature(msgspec.Struct, frozen=True, kw_only=True):
    """A line that was verified, without its newline, and the moment that it names."""

    line: str
    cosigned_at: datetime


class Cosigned(msgspec.Struct, frozen=True, kw_only=True):
    """The newest checkpoint that a witness has cosigned."""

    size: int
    cosigned_at: datetime


class WitnessStanding(msgspec.Struct, frozen=True, kw_only=True):
    """How it goes with a witness; ``None``: it has not cosigned, or not been asked."""

    witness: Witness
    last: Cosigned | None
    partner: Partner | None

    def is_forked(self) -> bool:
        """Tell whether it has seen a history that this database does not hold."""
        return self.partner is not None and self.partner.forked_at is not None


class Witnessed(msgspec.Struct, frozen=True, kw_only=True):
    """How far the log is witnessed.

    ``quorum_size`` and ``quorum_at``: the newest checkpoint with a quorum, and when the last of those cosigned it
    (``None``: there is none). ``waiting_since``: when the first checkpoint beyond it was sealed (``None``: none is).
    """

    quorum_size: int | None
    quorum_at: datetime | None
    waiting_since: datetime | None
    standings: tuple[WitnessStanding, ...]

    def is_late(self, now: datetime, bound: timedelta) -> bool:
        """Tell whether checkpoints have been waiting for a quorum for too long."""
        return self.waiting_since is not None and now - self.waiting_since > bound

    def is_forked(self) -> bool:
        """Tell whether any witness has seen another history."""
        return any(one.is_forked() for one in self.standings)


async def cosigned_note(conn: Connection, ledger_id: int, sealed: Sealed) -> str:
    """Write a checkpoint with the cosignatures that it has so far."""
    (note,) = await cosigned_notes(conn, ledger_id, [sealed])
    return note


async def cosigned_notes(conn: Connection, ledger_id: int, several: Sequence[Sealed]) -> list[str]:
    """Write checkpoints, each with the cosignatures that it has so far."""
    lines = defaultdict[int, list[str]](list)
    for row in await conn.fetch(LINES, ledger_id, [sealed.size for sealed in several]):
        lines[row["size"]].append(f"{row['line']}\n")
    return [sealed.note + "".join(lines[sealed.size]) for sealed in several]


def verified(witness: Witness, text: str, lines: str, *, now: datetime) -> Cosignature | None:
    """Find a witness's cosignature of a checkpoint's text among ``lines``; whoever else signed does not count.

    ``None``: there is none that verifies, or it is from the future.
    """
    try:
        note = Note.parse(f"{text}\n{lines}")
    except MalformedNote:
        return None
    key = witness.key
    if note.text != text or key.kind != COSIGNATURE:
        return None
    latest = int((now + CLOCKS_AGREE_WITHIN).timestamp())
    for signature in note.signatures:
        seconds = int.from_bytes(signature.value[:TIME_BYTES])
        signed = f"cosignature/v1\ntime {seconds}\n{text}".encode()
        is_its = (signature.name, signature.key_id) == (key.name, key.key_id)
        if is_its and seconds <= latest and key.verifies(signature.value[TIME_BYTES:], signed):
            return Cosignature(
                line=signature.line().removesuffix("\n"), cosigned_at=datetime.fromtimestamp(seconds, UTC)
            )
    return None


async def keep(conn: Connection, ledger_id: int, size: int, key: Verifier, found: Cosignature) -> None:
    """Write a cosignature down; a later one of the same checkpoint takes the place of an earlier."""
    await conn.execute(KEEP, ledger_id, size, key.name, key.key_id, found.line, found.cosigned_at)


async def last_cosigned(
    conn: Connection, ledger_id: int, witnesses: Iterable[Witness]
) -> dict[str, Cosigned]:
    """Read what each has cosigned last, by the name of its row."""
    keys = [witness.key for witness in witnesses]
    rows = await conn.fetch(LAST, ledger_id, [key.name for key in keys], [key.key_id for key in keys])
    return {
        f"{row['name']}+{row['key_id'].hex()}": Cosigned(size=row["size"], cosigned_at=row["cosigned_at"])
        for row in rows
    }


async def witnessed(conn: Connection, ledger_id: int, watch: Watch) -> Witnessed:
    """Read how far the log is witnessed, and how it goes with each witness."""
    last = await last_cosigned(conn, ledger_id, watch.witnesses)
    partners = await standings(conn, ledger_id, [witness.partner for witness in watch.witnesses])
    met = await _quorum(conn, ledger_id, watch)
    beyond = 1 if met is None else met.size + 1
    asks_nobody = watch.quorum_met(frozenset())
    waiting = () if asks_nobody else await checkpoints_from(conn, ledger_id, beyond, 1)
    return Witnessed(
        quorum_size=None if met is None else met.size,
        quorum_at=None if met is None else met.cosigned_at,
        waiting_since=waiting[0].sealed_at if waiting else None,
        standings=tuple(
            WitnessStanding(witness=one, last=last.get(one.partner), partner=partners.get(one.partner))
            for one in watch.witnesses
        ),
    )


async def _quorum(conn: Connection, ledger_id: int, watch: Watch) -> Cosigned | None:
    """Find the newest checkpoint that enough have cosigned."""
    names = {witness.partner: witness.name for witness in watch.witnesses}
    rows = await conn.fetch(NEWEST, ledger_id, LOOK_BACK * max(1, len(names)))
    times: dict[int, dict[str, datetime]] = {}
    for row in rows:
        partner = f"{row['name']}+{row['key_id'].hex()}"
        if partner in names:
            times.setdefault(row["size"], {})[names[partner]] = row["cosigned_at"]
    for size, cosigned in times.items():
        if watch.quorum_met(cosigned.keys()):
            return Cosigned(size=size, cosigned_at=max(cosigned.values()))
    return None
