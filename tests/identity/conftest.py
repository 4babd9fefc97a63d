"""An identity room in a database of its own, with a clock that stands still and cheap password hashes."""

import pytest

from ledger.identity.identity import Identity, Limits
from ledger.identity.passwords import Passwords
from ledger.store.ledger import Ledger
from tests.identity.house import SECRET, MovingClock


@pytest.fixture
def clock() -> MovingClock:
    return MovingClock()


@pytest.fixture
def identity(ledger: Ledger, clock: MovingClock) -> Identity:
    passwords = Passwords(memory_kib=64, passes=1)
    limits = Limits(idle_seconds=12 * 3600, absolute_seconds=7 * 24 * 3600)
    return Identity.of(ledger, secret_keys=[SECRET], passwords=passwords, clock=clock, limits=limits)
