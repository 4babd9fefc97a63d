"""A bundle that was written for the test."""

from pathlib import Path

import pytest

from tests.support.bundles import (
    Bundle,
)
from tests.verifier.asking import HISTORY


@pytest.fixture
def written(tmp_path: Path) -> Path:
    return Bundle(sealed=list(HISTORY)).write(tmp_path / "bundle")
