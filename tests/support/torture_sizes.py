"""How hard a gate is tried: short in ``make test``, long in ``make test-long``, longest in ``make torture``."""

import os
from typing import Final

import pytest

LONGEST: Final = os.environ.get("LEDGER_TORTURE") == "longest"
HANG: Final = 3600.0 if LONGEST else 420.0
"""Seconds after which a gate has hung; says nothing about how long anything may take."""


def sizes(short: int, long: int, longest: int) -> pytest.MarkDecorator:
    """Try the gate at its ``size``: the short one always, one of the others among the long tests."""
    return pytest.mark.parametrize(
        "size",
        [
            pytest.param(short, id="short"),
            pytest.param(
                longest if LONGEST else long, id="longest" if LONGEST else "long", marks=pytest.mark.long
            ),
        ],
    )
