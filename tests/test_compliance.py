"""docs/compliance.md: no row without a word on what shows it, or on whose business it is."""

from tools.event_types import ROOT

TEXT = ROOT.joinpath("docs", "compliance.md").read_text(encoding="utf-8")


def test_each_row_has_a_test_a_gap_or_somebody_who_has_to_do_it() -> None:
    rows = [line for line in TEXT.splitlines() if line.startswith("| ") and not line.startswith("| ---")]
    headings = {"article", "section", "criterion", "asks for", "id"}
    bare = [row for row in rows if row.split("|")[1].strip() not in headings and not _says_something(row)]
    assert bare == []


def _says_something(row: str) -> bool:
    *_, shown, left, _ = row.split("|")
    return bool(shown.strip() or left.strip())
