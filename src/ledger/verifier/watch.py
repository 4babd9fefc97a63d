"""What a monitor does with each checkpoint that it is shown: the log has to go on from the one it saw last."""

from collections.abc import Callable

import msgspec

from ledger.verifier.checkpoint import Checkpoint, parse_checkpoint
from ledger.verifier.policy import Accepted, Policy, accepted
from ledger.verifier.tiles import Tile, consistency_tiles, roots_from
from ledger.verifier.tree import HistoryDiffers, LogShrunk, check_root
from ledger.verifier.verdict import Forked

Fetch = Callable[[str, int], bytes]
"""Gives what the log serves under a path below its prefix, at most so many bytes."""

CHECKPOINT = "checkpoint"
MOST_BYTES = 1_000_000


class OtherOrigin(Forked):
    """Another log is served here now.

    Context: the ``older`` origin and the ``newer`` one.
    """

    code = "other-origin"


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """A checkpoint as it was shown, and who stands for it, enough or not; ``by`` is ``None`` where there is no policy."""

    raw: bytes
    checkpoint: Checkpoint
    by: Accepted | None


def shown(fetch: Fetch, policy: Policy | None) -> Shown:
    """Fetch the latest checkpoint, whether as many witnesses as the policy asks for have cosigned it or not.

    What the log has signed has to go on from what it signed before, before any witness saw it as well.

    Raises:
        Tampered, PolicyNotMet: it is none, or none of a log of the policy.
    """
    raw = fetch(CHECKPOINT, MOST_BYTES)
    checkpoint = parse_checkpoint(raw)
    by = None if policy is None else accepted(policy, checkpoint, with_quorum=False)
    return Shown(raw=raw, checkpoint=checkpoint, by=by)


def check_goes_on(older: Checkpoint, newer: Checkpoint, fetch: Fetch) -> None:
    """Check that the log at ``newer`` begins with what it was at ``older``, by the few tiles that show it.

    Raises:
        OtherOrigin, LogShrunk, HistoryDiffers: it does not: the log has forked.
        TileBroken, TilesDisagree, RootDiffers: the tiles are not those of the newer checkpoint.
    """
    if older.origin != newer.origin:
        raise OtherOrigin(older=older.origin, newer=newer.origin)
    if older.size > newer.size:
        raise LogShrunk(older=older.size, newer=newer.size)
    if older.size in {0, newer.size}:
        if older.size and older.root != newer.root:
            raise _differs(older, newer.root)
        return
    tiles = {tile: _fetched(tile, fetch) for tile in consistency_tiles(older.size, newer.size)}
    before, now = roots_from(older.size, newer.size, tiles)
    check_root(newer, now)
    if before != older.root:
        raise _differs(older, before)


def _fetched(tile: Tile, fetch: Fetch) -> bytes:
    return fetch(tile.path(), MOST_BYTES)


def _differs(older: Checkpoint, found: bytes) -> HistoryDiffers:
    return HistoryDiffers(older=older.size, signed=older.root.hex(), found=found.hex())
