"""Why the notary seals no more until somebody has looked (ADR 0025)."""

from typing import ClassVar

from ledger.domain.errors import RuleViolation


class SealingHalted(RuleViolation):
    """The notary signs nothing.

    ``is_adoptable``: what the database holds is sound, and may be adopted by whoever answers for it. ``contradicts``:
    it is not what was signed before, so that another key has to sign it.
    """

    code = "sealing-halted"
    advice = "See docs/operations/sealing.md."
    is_adoptable: ClassVar[bool] = True
    contradicts: ClassVar[bool] = False


class GuardAhead(SealingHalted):
    """More was sealed than the database holds: it was restored from a backup, or lost what it had committed.

    Context: ``guard`` and ``database``: how many events each says were sealed.
    """

    code = "guard-ahead"
    advice = (
        "Restore what is missing if you can; else 'ledger notary adopt' goes on from here, with a new key."
    )
    contradicts = True


class HistoryDiffers(SealingHalted):
    """The database holds another history than the one that was sealed.

    Context: ``guard`` and ``database``: how many events each says were sealed.
    """

    code = "history-differs"
    advice = (
        "Find out who changed it and keep a copy; 'ledger notary adopt' goes on from here, with a new key."
    )
    contradicts = True


class GuardMissing(SealingHalted):
    """Nothing outside the database says what was sealed last: the guard is empty.

    Context: its ``place``, and how many events the ``database`` says were sealed.
    """

    code = "guard-missing"
    advice = "Put its file back if you can; else compare with a checkpoint that an auditor holds, and 'ledger notary adopt'."


class GuardUnreadable(SealingHalted):
    """The guard holds something that is no checkpoint.

    Context: its ``place``.
    """

    code = "guard-unreadable"
    advice = GuardMissing.advice


class OtherOrigin(SealingHalted):
    """The guard holds the checkpoint of another log.

    Context: the ``guard``'s origin, and the one that is ``set``.
    """

    code = "other-origin"
    advice = (
        "Put LEDGER_NOTARY_ORIGIN or LEDGER_NOTARY_STATE_URL back; or 'ledger notary adopt' the new name."
    )


class KeyLost(SealingHalted):
    """The last checkpoint was signed with a key that is not here.

    Context: ``keys``: the ids of those that are; missing where there is none.
    """

    code = "notary-key-lost"
    advice = "Put the key back if you can; else 'ledger notary adopt' goes on with a new one."


class CheckpointForged(SealingHalted):
    """The last checkpoint in the database was signed by nobody known, or says something else than its row.

    Context: its ``size``.
    """

    code = "checkpoint-forged"
    advice = "Somebody wrote to the database: find out who, keep a copy, and restore a backup."
    is_adoptable = False


class TilesDiffer(SealingHalted):
    """The stored hashes of the tree are not those that were signed.

    Context: the ``size`` of the tree.
    """

    code = "tiles-differ"
    advice = CheckpointForged.advice
    is_adoptable = False


class LeafDiffers(SealingHalted):
    """An event's stored hash is not that of its envelope.

    Context: its ``position``.
    """

    code = "leaf-differs"
    advice = CheckpointForged.advice
    is_adoptable = False


class PositionMissing(SealingHalted):
    """There is a hole in the log.

    Context: the ``position`` that is missing, and the one ``found`` instead.
    """

    code = "position-missing"
    advice = CheckpointForged.advice
    is_adoptable = False
