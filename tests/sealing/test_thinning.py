"""Which checkpoints of a while may go."""

from ledger.sealing.notes import Checkpoint, Signer
from ledger.sealing.thinning import Candidate, Signed, dispensable, signed_by

OLD: Signed = frozenset({("log", b"old!")})
NEW: Signed = frozenset({("log", b"new!")})


def one(size: int, *, cosigned: int = 0, by: Signed = OLD, is_held: bool = False) -> Candidate:
    return Candidate(size=size, signed=by, cosigned=cosigned, is_held=is_held)


def test_of_a_while_the_last_stays() -> None:
    assert dispensable([one(1), one(2), one(3)]) == [1, 2]


def test_of_a_while_the_later_of_those_that_most_have_cosigned_stays() -> None:
    several = [one(1, cosigned=2), one(2, cosigned=2), one(3, cosigned=1), one(4)]
    assert dispensable(several) == [1, 3]


def test_what_is_held_stays() -> None:
    assert dispensable([one(1, is_held=True), one(2), one(3)]) == [2]


def test_where_the_key_changes_the_last_of_the_old_and_the_first_of_the_new_stay() -> None:
    several = [one(1), one(2), one(3, by=OLD | NEW), one(4, by=NEW), one(5, by=NEW), one(6, by=NEW)]
    assert dispensable(several) == [1, 5]


def test_a_key_that_changes_between_two_whiles_is_noticed() -> None:
    assert dispensable([one(1), one(2), one(3)], before=NEW, after=OLD) == [2]
    assert dispensable([one(1), one(2)], before=OLD, after=NEW) == [1]


def test_of_nothing_nothing_goes() -> None:
    assert dispensable([], before=OLD, after=NEW) == []


def test_who_signed_is_read_below_the_note() -> None:
    signer = Signer("log.test/one", bytes(32))
    note = Checkpoint(origin="log.test/one", size=1, root=bytes(32)).signed_by([signer])
    assert signed_by(note) == {("log.test/one", signer.verifier.key_id)}


def test_what_is_no_note_nobody_signed() -> None:
    assert signed_by("overwritten") == frozenset()
