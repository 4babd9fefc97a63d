"""How many examples hypothesis tries: a quarter of them before every change, all of them in the long run."""

import os
from collections.abc import Callable
from typing import Final, TypeVar

import pytest
from hypothesis import HealthCheck, settings

ALL: Final = os.environ.get("LEDGER_TEST_EXAMPLES") == "all"

Test = TypeVar("Test", bound=Callable[..., object])


def examples(whole: int) -> int:
    """Give how many of the ``whole`` number to try in this run."""
    return whole if ALL else max(whole // 4, 1)


def thorough(whole: int, *, suppress: tuple[HealthCheck, ...] = ()) -> Callable[[Test], Test]:
    """Mark a test by hypothesis as one that ``make test-long`` runs again, with the ``whole`` number of examples."""

    def marked(test: Test) -> Test:
        return pytest.mark.thorough(
            settings(max_examples=examples(whole), deadline=None, suppress_health_check=suppress)(test)
        )

    return marked
