"""Operators' commands and the data folder that they are given."""

from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest


@pytest.mark.parametrize(
    "looked",
    [("audit", "log"), ("user", "list"), ("key", "list"), ("notary", "rotate-key", "--reason", "yearly")],
    ids=" ".join,
)
def test_whoever_looks_into_a_folder_that_was_mistyped_makes_no_ledger_there(
    ledger_here: Callable[..., CompletedProcess[str]], looked: tuple[str, ...], tmp_path: Path
):
    mistyped = tmp_path / "mistyped"

    refused = ledger_here(*looked, settings={"LEDGER_DATA_DIR": str(mistyped)})

    assert refused.returncode == 1
    assert "There is no ledger in the data folder yet." in refused.stderr
    assert str(mistyped) in refused.stderr
    assert not mistyped.exists()
