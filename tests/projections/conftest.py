"""How long whoever waits for a view is kept, where a test is not about that."""

import pytest

from tests.projections.given import HANG


@pytest.fixture
def no_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever waits gets what they wait for, however busy the machine is."""
    monkeypatch.setattr("ledger.projections.progress.MAX_WAIT", HANG)
    monkeypatch.setattr("ledger.projections.progress.BEHIND_TOO_LONG", HANG)
