"""docs/compliance.md names tests; they are there, so that nobody believes a row that nothing shows."""

import re

import pytest

from tools.event_types import ROOT

NAMED = re.compile(r"`((?:\w+/)?test_\w+\.py)(?:::(\w+))?`")
TEXT = ROOT.joinpath("docs", "compliance.md").read_text(encoding="utf-8")
CLAIMS = sorted(set(NAMED.findall(TEXT)))


@pytest.mark.parametrize(("file", "name"), CLAIMS)
def test_a_test_that_the_page_names_exists(file: str, name: str) -> None:
    text = ROOT.joinpath("tests", file).read_text(encoding="utf-8")
    assert not name or re.search(rf"def {name}\b", text)


def test_each_row_has_a_test_a_gap_or_somebody_who_has_to_do_it() -> None:
    rows = [line for line in TEXT.splitlines() if line.startswith("| ") and not line.startswith("| ---")]
    headings = {"article", "section", "criterion", "asks for", "id"}
    bare = [row for row in rows if row.split("|")[1].strip() not in headings and not _says_something(row)]
    assert bare == []


def _says_something(row: str) -> bool:
    *_, shown, left, _ = row.split("|")
    return bool(shown.strip() or left.strip())
