"""Looking at some of the stored snapshots: each must be what its stream's events say."""

from collections.abc import Sequence
from typing import Final

import msgspec

from ledger.domain.access.decide import ACCESS
from ledger.domain.account.decide import ACCOUNT
from ledger.domain.decider import C, Decider, E, S, fold
from ledger.domain.decision.decide import DECISION
from ledger.domain.errors import Corrupt
from ledger.domain.export.decide import EXPORT
from ledger.domain.ids import StreamName
from ledger.domain.kind.decide import KIND
from ledger.domain.login.decide import LOGIN
from ledger.domain.notary.decide import NOTARY
from ledger.domain.operations.decide import OPERATIONS
from ledger.domain.policy.decide import POLICY
from ledger.domain.reading.decide import READING
from ledger.domain.session.decide import SESSION
from ledger.domain.subject.decide import SUBJECT
from ledger.domain.webhook.decide import WEBHOOK
from ledger.store.pool import Connection
from ledger.store.snapshots import Snapshot, fingerprint_of, thaw
from ledger.store.streams import Stored, read_until, recorded

SAMPLE: Final = 50

# $1 ledger
COUNT: Final = "select count(*) from work.snapshots where ledger_id = $1"
# $1 ledger, $2 at most this many
CHOOSE: Final = """
select s.stream, s.version, s.position, s.leaf_hash, s.fingerprint, s.state
from (select stream from work.snapshots where ledger_id = $1 order by random() limit $2) chosen
join work.snapshots s on s.ledger_id = $1 and s.stream = chosen.stream
order by s.stream
"""


class SnapshotSample(msgspec.Struct, frozen=True, kw_only=True):
    """How many snapshots there are, how many of them were looked at, and the streams of those that are wrong."""

    stored: int
    looked_at: int
    wrong: tuple[StreamName, ...]


async def sample_snapshots(conn: Connection, ledger_id: int, *, most: int = SAMPLE) -> SnapshotSample:
    """Compare up to ``most`` snapshots, chosen at random, with a full replay of their streams up to there.

    Those of another release's shape are left out: nobody reads them.
    """
    rows = await conn.fetch(CHOOSE, ledger_id, most)
    readable = [row for row in rows if row["fingerprint"] == fingerprint_of(StreamName(row["stream"]))]
    wrong = []
    for row in readable:
        snapshot = Snapshot(
            stream=StreamName(row["stream"]),
            version=row["version"],
            position=row["position"],
            leaf=row["leaf_hash"],
            state=row["state"],
        )
        if not _is_right(snapshot, await read_until(conn, ledger_id, snapshot.stream, snapshot.version)):
            wrong.append(snapshot.stream)
    return SnapshotSample(
        stored=await conn.fetchval(COUNT, ledger_id), looked_at=len(readable), wrong=tuple(wrong)
    )


def _is_right(snapshot: Snapshot, events: Sequence[Stored]) -> bool:
    last = (events[-1].version, events[-1].position, events[-1].leaf) if events else None
    if last != (snapshot.version, snapshot.position, snapshot.leaf):
        return False
    return _is_its_replay(snapshot, events)


def _is_its_replay(snapshot: Snapshot, events: Sequence[Stored]) -> bool:  # noqa: C901, PLR0911, PLR0912 - one for each aggregate
    match snapshot.stream.partition("-")[0]:
        case DECISION.category:
            return _replays_to(DECISION, snapshot, events)
        case SESSION.category:
            return _replays_to(SESSION, snapshot, events)
        case ACCOUNT.category:
            return _replays_to(ACCOUNT, snapshot, events)
        case LOGIN.category:
            return _replays_to(LOGIN, snapshot, events)
        case ACCESS.category:
            return _replays_to(ACCESS, snapshot, events)
        case OPERATIONS.category:
            return _replays_to(OPERATIONS, snapshot, events)
        case KIND.category:
            return _replays_to(KIND, snapshot, events)
        case POLICY.category:
            return _replays_to(POLICY, snapshot, events)
        case SUBJECT.category:
            return _replays_to(SUBJECT, snapshot, events)
        case WEBHOOK.category:
            return _replays_to(WEBHOOK, snapshot, events)
        case EXPORT.category:
            return _replays_to(EXPORT, snapshot, events)
        case READING.category:
            return _replays_to(READING, snapshot, events)
        case NOTARY.category:
            return _replays_to(NOTARY, snapshot, events)
        case _:
            return False


def _replays_to(decider: Decider[C, S, E], snapshot: Snapshot, events: Sequence[Stored]) -> bool:
    try:
        replayed = fold(decider, (recorded(stored, decider.event_types).event for stored in events))
        return bool(thaw(decider, snapshot) == replayed)
    except (msgspec.MsgspecError, Corrupt):
        return False
