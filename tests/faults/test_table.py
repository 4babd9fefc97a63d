"""The table of faults: every row names the test that wrote it, every such test has its row."""

import ast
from collections.abc import Iterator

from tests.support.reliability import BEGIN, DOCUMENT, END, FAULTS, ROOT, Row, named_in, rewritten

A_ROW = Row(fault="a cut", clients_see="200", slowest=0.24, normal_after=None, test="test_a.py::test_cut")
DOCUMENT_WITH_A_ROW = rewritten(f"Before\n{BEGIN}\n{END}\nAfter\n", [A_ROW])


def recording_tests() -> Iterator[str]:
    for path in sorted((ROOT / FAULTS).glob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            is_test = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith(
                "test_"
            )
            if is_test and "record" in {argument.arg for argument in node.args.args}:
                yield f"{path.name}::{node.name}"


def test_every_row_is_of_a_test_and_every_test_has_its_row() -> None:
    assert sorted(named_in(DOCUMENT.read_text(encoding="utf-8"))) == sorted(recording_tests())


def test_a_row_says_what_was_seen() -> None:
    assert A_ROW.written() == "| a cut | 200 | 0.2 s | nothing | at once | `test_a.py::test_cut` |"


def test_rows_are_written_between_the_markers() -> None:
    assert DOCUMENT_WITH_A_ROW.startswith("Before\n")
    assert DOCUMENT_WITH_A_ROW.endswith(f"{END}\nAfter\n")
    assert named_in(DOCUMENT_WITH_A_ROW) == ["test_a.py::test_cut"]


def test_a_new_run_replaces_its_own_rows_alone() -> None:
    other = Row(fault="a pause", clients_see="503", slowest=1, normal_after=2, test="test_a.py::test_pause")
    again = Row(fault="a cut", clients_see="503", slowest=1, normal_after=2, test=A_ROW.test)

    both = rewritten(rewritten(DOCUMENT_WITH_A_ROW, [other]), [again])

    assert named_in(both) == [A_ROW.test, other.test]
    assert again.written() in both
    assert A_ROW.written() not in both
