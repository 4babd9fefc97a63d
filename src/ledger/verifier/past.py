"""Checkpoints of before, as far as the log still keeps them: each has to be one of the tree that there is now."""

import msgspec

from ledger.verifier.checkpoint import Checkpoint, parse_checkpoint
from ledger.verifier.merkle import EMPTY_ROOT, node_hash
from ledger.verifier.notes import SignatureWrong
from ledger.verifier.policy import NoLogSignature, Policy, accepted
from ledger.verifier.tree import HistoryDiffers
from ledger.verifier.verdict import Tampered, Unverified


class CheckpointDiffers(Tampered):
    """A checkpoint in the database is not one of this log: somebody wrote it, or wrote to it.

    Context: its ``size``; the ``reason``.
    """

    code = "checkpoint-differs"


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """A checkpoint as it is stored: what its row says, and the note beside it."""

    size: int
    root: bytes
    note: bytes


class Growing:
    """The root of the first leaves, whatever their number, while they come one after the other.

    It holds the roots of the full subtrees that they fall into, the largest first: as many as the number has binary ones.
    """

    def __init__(self) -> None:
        """Begin with the empty tree."""
        self.size = 0
        self._full: list[bytes] = []

    def add(self, leaf: bytes) -> None:
        """Take the hash of the next leaf."""
        merges = self.size
        while merges & 1:
            leaf = node_hash(self._full.pop(), leaf)
            merges >>= 1
        self._full.append(leaf)
        self.size += 1

    def root(self) -> bytes:
        """Give the root."""
        if not self._full:
            return EMPTY_ROOT
        *rest, reached = self._full
        for left in reversed(rest):
            reached = node_hash(left, reached)
        return reached


def check_row(kept: Kept) -> Checkpoint:
    """Read a stored checkpoint whose row says what its note says.

    Raises:
        CheckpointDiffers: the note is none, or says something else.
    """
    try:
        checkpoint = parse_checkpoint(kept.note)
    except Unverified as malformed:
        raise CheckpointDiffers(size=kept.size, reason="its note is none") from malformed
    if (checkpoint.size, checkpoint.root) != (kept.size, kept.root):
        raise CheckpointDiffers(size=kept.size, reason="its columns say something else than its note")
    return checkpoint


def check_kept(kept: Kept, found: bytes, policy: Policy | None) -> None:
    """Check a stored checkpoint of before against the root ``found`` of as many events, which were verified themselves.

    Raises:
        CheckpointDiffers: it is not one that the log signed.
        HistoryDiffers: it is, and the log has signed another history since.
    """
    checkpoint = check_row(kept)
    is_signed = policy is not None and _is_signed(checkpoint, policy)
    if checkpoint.root == found:
        return
    if is_signed:
        raise HistoryDiffers(older=checkpoint.size, signed=checkpoint.root.hex(), found=found.hex())
    raise CheckpointDiffers(size=checkpoint.size, reason="its root is not that of the events")


def _is_signed(checkpoint: Checkpoint, policy: Policy) -> bool:
    """Tell whether a log of the policy signed it; by a key of before, which the policy names no more, nobody can say."""
    try:
        accepted(policy, checkpoint, with_quorum=False)
    except NoLogSignature:
        return False
    except SignatureWrong as wrong:
        raise CheckpointDiffers(size=checkpoint.size, reason="a signature on it is wrong") from wrong
    return True
