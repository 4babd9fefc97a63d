"""``ledger audit verify --database``: live rows against the tiles and the checkpoint that were made of them."""

import asyncio

import asyncpg

from ledger.cli.audit import beside
from ledger.cli.audit.checkpoints import PastCheckpoints, kept
from ledger.cli.operating import overseeing
from ledger.cli.progress import Bar
from ledger.domain.ids import Position
from ledger.sealing.rows import Sealed, checkpoints_from, last_checkpoint, read_tiles
from ledger.sealing.tree import Tile as StoredTile
from ledger.sealing.tree import TileMissing
from ledger.store.pool import Connection, reading
from ledger.store.whole_rows import WholeRow, find_added, read_rows
from ledger.verifier.beside import Beside
from ledger.verifier.checkpoint import Checkpoint, parse_checkpoint
from ledger.verifier.past import CheckpointDiffers, check_row
from ledger.verifier.payloads import PayloadDiffers, TypeDiffers
from ledger.verifier.policy import Policy, accepted, parse_policy
from ledger.verifier.report import Report, attested_by
from ledger.verifier.rows import RewrittenBetween, Row, Rows, RowsAdded
from ledger.verifier.tiles import Tile, TileBroken, edge_of, root, tiles_of
from ledger.verifier.tree import LogShrunk, RootDiffers, Upper, check_history, names_of
from ledger.verifier.verdict import Forked, Unusable, Unverified

PAGE = 256
TILES = 256
MOST_NAMED = 20


def verify_rows(policy: bytes | None, since: bytes | None = None) -> Report:
    """Verify the rows of this installation's database; without a policy, not whose the checkpoint is.

    ``since`` is an earlier checkpoint, which the log has to go on from: a database that was set back as a whole agrees
    with itself.

    Raises:
        PolicyMalformed, KeyMalformed: the policy cannot be read.
        NoteMalformed, CheckpointMalformed: the earlier checkpoint cannot.
        SettingsRefused: as for every command that needs the database.
    """
    believed = None if policy is None else parse_policy(policy)
    return asyncio.run(_verified(believed, None if since is None else parse_checkpoint(since)))


async def _verified(policy: Policy | None, since: Checkpoint | None) -> Report:
    async with overseeing() as ledger, reading(ledger.pool) as conn:
        return await verify_ledger(conn, ledger.ledger_id, policy, since)


async def verify_ledger(
    conn: Connection, ledger_id: int, policy: Policy | None, since: Checkpoint | None = None
) -> Report:
    """Verify every row that there is now against the last checkpoint that was published."""
    report = Report(tier="payload")
    try:
        await _Audit(conn, ledger_id, policy, report).verify(since)
    except Unverified as wrong:
        report.found_wrong(wrong)
    except asyncpg.PostgresError as failed:
        report.found_wrong(
            RowsUnreadable(verified_to=report.last, reason=str(failed.args[0] if failed.args else failed))
        )
    return report


class RowsUnreadable(Unusable):
    """The database does not give its rows: they are damaged, or its tables are not those of this release."""

    code = "rows-unreadable"


class _Audit:
    def __init__(self, conn: Connection, ledger_id: int, policy: Policy | None, report: Report) -> None:
        self._conn = conn
        self._ledger_id = ledger_id
        self._policy = policy
        self._report = report
        self._beside = Beside()

    async def verify(self, since: Checkpoint | None) -> None:
        sealed = await last_checkpoint(self._conn, self._ledger_id)
        checkpoint = None if sealed is None else self._believed(sealed)
        size = 0 if checkpoint is None else checkpoint.size
        upper = Upper(size, (await self._tiles([tile for tile in tiles_of(size) if tile.level])).__getitem__)
        if since is not None:
            try:
                await self._check_history(since, checkpoint, upper)
            except Forked as forked:  # the rows may say where
                self._report.found_wrong(forked)
        rows = Rows(checkpoint, upper, ledger=self._ledger_id)
        last = 0 if sealed is None else min(size, sealed.size)
        past = PastCheckpoints(self._conn, self._ledger_id, self._policy, last)
        try:
            await self._take_all(rows, past, size)
        except RootDiffers as differs:
            raise await self._located(differs, size) from differs
        finally:
            self._tell(rows, size)
        for wrong in past.wrong[:MOST_NAMED]:
            self._report.found_wrong(wrong)
        await self._look_for_more(rows)
        await beside.finish(self._conn, self._ledger_id, self._beside, self._report)
        if checkpoint is None:
            self._report.lacks("a checkpoint: nothing was sealed yet")

    def _believed(self, sealed: Sealed) -> Checkpoint:
        checkpoint = parse_checkpoint(sealed.note.encode())
        if self._policy is None:
            self._report.lacks("a policy: nobody looked whose signature the checkpoint bears")
        else:
            # What is asked is whether the rows are those that the log signed; witnesses saw later what they saw.
            by = accepted(self._policy, checkpoint, with_quorum=False)
            self._report.attested = attested_by(by, self._policy.quorum)
        try:
            check_row(kept(sealed))
        except CheckpointDiffers as wrong:  # the note is what is signed, and what the rows are held against
            self._report.found_wrong(wrong)
        return checkpoint

    async def _check_history(self, since: Checkpoint, checkpoint: Checkpoint | None, upper: Upper) -> None:
        """Check that the log goes on from an earlier checkpoint."""
        if self._policy is not None:
            accepted(self._policy, since, with_quorum=False)
        size = 0 if checkpoint is None else checkpoint.size
        if checkpoint is None or since.size > size:
            names = {} if checkpoint is None else names_of(since, checkpoint)
            raise LogShrunk(older=since.size, newer=size, **names)
        lowest = await self._tiles([tile for tile in edge_of(since.size, within=size) if not tile.level])
        for tile, hashes in lowest.items():
            upper.check(tile, hashes)
        check_history(since, checkpoint, upper, lowest.__getitem__)
        self._report.since = since.size

    async def _take_all(self, rows: Rows, past: PastCheckpoints, size: int) -> None:
        with Bar("Verifying") as bar:
            while page := await read_rows(
                self._conn, self._ledger_id, after=Position(rows.chain.next - 1), limit=PAGE
            ):
                for row in page:
                    if (tile := rows.next_tile()) is not None:
                        rows.tile(tile, (await self._tiles([tile]))[tile])
                    self._take(rows, row)
                    await past.take(row.leaf_hash)
                await beside.compare_page(self._conn, self._ledger_id, self._beside, self._report)
                bar.to(rows.chain.next - 1, max(size, rows.chain.next - 1))
        rows.finish()

    async def _look_for_more(self, rows: Rows) -> None:
        last = Position(rows.chain.next - 1)
        added = await find_added(self._conn, self._ledger_id, upto=last)
        if added is not None:
            self._report.found_wrong(
                RowsAdded(position=added.position, streams=added.streams, rows=added.rows)
            )

    def _take(self, rows: Rows, row: WholeRow) -> None:
        """Take a row; go on behind a content that is not the one that was sealed: entries and chain do not depend on it."""
        try:
            self._beside.take(row.position, rows.take(_plain(row)), row.payload)
        except (PayloadDiffers, TypeDiffers) as wrong:
            self._report.payloads_wrong += 1
            if self._report.payloads_wrong <= MOST_NAMED:
                self._report.found_wrong(wrong)

    def _tell(self, rows: Rows, size: int) -> None:
        last = rows.chain.next - 1
        self._report.first, self._report.last = min(last, 1), last
        self._report.streams, self._report.payloads = rows.chain.streams, rows.payloads
        if last > size:
            self._report.unsealed_from = size + 1

    async def _tiles(self, tiles: list[Tile]) -> dict[Tile, bytes]:
        found = dict[Tile, bytes]()
        for at in range(0, len(tiles), TILES):
            names = {StoredTile(tile.level, tile.index, tile.width): tile for tile in tiles[at : at + TILES]}
            try:
                stored = await read_tiles(self._conn, self._ledger_id, list(names))
            except TileMissing as missing:
                raise TileBroken(tile=missing.context["tile"]) from missing
            found |= {names[name]: hashes for name, hashes in stored.items()}
        return found

    async def _located(self, differs: RootDiffers, size: int) -> Unverified:
        """Narrow down what was rewritten with all that depends on it, if the checkpoints of before are the log's own."""
        try:
            return await self._narrowed(differs, size)
        except Unverified:  # by a key that the policy does not know any more, or by nobody's
            return differs

    async def _narrowed(self, differs: RootDiffers, size: int) -> RewrittenBetween:
        good, bad, end = 0, size, size
        while end - good > 1:
            middle = (good + end) // 2
            (found,) = await checkpoints_from(self._conn, self._ledger_id, middle, 1)
            if found.size >= bad:  # there is none between
                end = middle
                continue
            if await self._is_reproduced(found, size):
                good = found.size
            else:
                bad = end = found.size
        return RewrittenBetween(first=good + 1, last=bad, **differs.context)

    async def _is_reproduced(self, sealed: Sealed, size: int) -> bool:
        checkpoint = parse_checkpoint(sealed.note.encode())
        if self._policy is not None:
            accepted(self._policy, checkpoint, with_quorum=False)
        tiles = await self._tiles(list(edge_of(checkpoint.size, within=size)))
        return root(checkpoint.size, tiles.__getitem__, within=size) == checkpoint.root


def _plain(row: WholeRow) -> Row:
    return Row(
        position=row.position,
        stream=row.stream,
        version=row.version,
        type=row.type,
        schema_version=row.schema_version,
        event_id=row.event_id,
        recorded_at=row.recorded_at,
        actor=row.actor,
        command_id=row.command_id,
        causation_id=row.causation_id,
        correlation_id=row.correlation_id,
        envelope=row.envelope,
        leaf_hash=row.leaf_hash,
        salt=row.salt,
        payload=row.payload,
    )
