"""docs/event-store.md names tests; they are there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
NAMED = re.compile(r"`(?:tests/)?((?:gates|store|support)/\w+\.py|test_\w+\.py)(?:::(\w+)(…)?)?`")
DOCUMENT = ROOT.joinpath("docs", "event-store.md").read_text()


@pytest.mark.parametrize(("file", "name", "is_cut"), sorted(set(NAMED.findall(DOCUMENT))))
def test_a_test_that_the_document_names_exists(file: str, name: str, is_cut: str) -> None:
    text = (ROOT / "tests" / file).read_text()

    assert text
    assert not name or re.search(f"def {name}" + ("" if is_cut else r"\b"), text)
