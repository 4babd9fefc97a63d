"""A use is written down at once, then at most once a minute."""

from datetime import timedelta
from uuid import UUID

import pytest

from ledger.identity import uses
from ledger.identity.uses import Uses
from tests.builders.people import NOW, later

PHONE, DESK = UUID(int=1), UUID(int=2)


def test_the_first_use_is_due_and_the_next_one_a_minute_later():
    noted = Uses(timedelta(minutes=1))

    assert [noted.is_due(PHONE, later(seconds)) for seconds in (0, 30, 59, 60, 61)] == [
        *(True, False, False, True, False)
    ]
    assert noted.is_due(DESK, NOW)


def test_it_does_not_grow_for_ever(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(uses, "MAX_NOTED", 1)
    noted = Uses(timedelta(minutes=1))

    assert [noted.is_due(which, NOW) for which in (PHONE, PHONE, DESK, PHONE)] == [True, False, True, True]
