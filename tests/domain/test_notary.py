"""What is written down of what the operator does to the notary."""

import pytest

from ledger.domain.decider import fold
from ledger.domain.errors import ReasonMissing
from ledger.domain.notary.decide import NOTARY
from ledger.domain.notary.state import Signing, Unsigned
from tests.builders import notary
from tests.domain.given import Given


def test_a_rotated_key_is_written_down_with_the_one_before():
    Given(NOTARY).when(notary.rotate_key()).then(notary.key_rotated())


@pytest.mark.parametrize("known", [(12, notary.OTHER_ROOT), (None, None)])
def test_what_was_adopted_is_written_down_with_what_the_guard_knew(known):
    size, root = known
    Given(NOTARY, notary.key_rotated()).when(notary.adopt(guard_size=size, guard_root=root)).then(
        notary.adopted(guard_size=size, guard_root=root)
    )


@pytest.mark.parametrize("wish", [notary.rotate_key(reason=" "), notary.adopt(reason="")])
def test_without_a_reason_nothing_is_done_to_the_notary(wish):
    Given(NOTARY).when(wish).then_refused(ReasonMissing)


def test_it_signs_with_the_key_it_was_last_told_of():
    assert fold(NOTARY, []) == Unsigned()
    assert fold(NOTARY, [notary.key_rotated()]) == Signing(notary.SECOND)
    assert fold(NOTARY, [notary.adopted(), notary.key_rotated()]) == Signing(notary.SECOND)
