"""What a check lets pass is on one list, counted and with its reason."""

from pathlib import Path

from tools.exclusions import ROOT, differences, found

EXCUSED = "x = 1  # no" + "qa: S311, D100 - why\ny = 2  # pragma: no " + "cover\n"
SKIPPED = "@pytest.mark." + "skipif(True, reason='x')\ndef test_x(): ...\n"
LIST = """total = 2

[[exclusion]]
where = "src/a.py"
what = "S311"
count = 1
why = "because"

[[exclusion]]
where = "src/a.py"
what = "no cover"
count = 1
why = "because"
"""


def put(root: Path, name: str, text: str) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def test_the_list_of_this_repository_is_whole():
    assert list(differences(ROOT)) == []


def test_what_is_excused_is_found_by_file(tmp_path):
    put(tmp_path, "src/a.py", EXCUSED)
    put(tmp_path, "tests/test_a.py", SKIPPED)

    assert found(tmp_path) == {
        ("src/a.py", "S311"): 1,
        ("src/a.py", "no cover"): 1,
        ("tests/test_a.py", "skip"): 1,
    }


def test_what_is_not_on_the_list_or_no_longer_there_is_told(tmp_path):
    put(tmp_path, "docs/exclusions.toml", LIST)
    put(tmp_path, "src/a.py", EXCUSED + EXCUSED.splitlines()[0])
    put(tmp_path, "src/b.py", EXCUSED.splitlines()[1])

    assert list(differences(tmp_path)) == [
        "src/a.py: 2 of S311, 1 in docs/exclusions.toml",
        "src/b.py: 1 of no cover, 0 in docs/exclusions.toml",
    ]


def test_the_count_and_the_reasons_are_held_to(tmp_path):
    put(
        tmp_path,
        "docs/exclusions.toml",
        LIST.replace("total = 2", "total = 3").replace('"because"', '" "', 1),
    )
    put(tmp_path, "src/a.py", EXCUSED)

    assert list(differences(tmp_path)) == [
        "docs/exclusions.toml: src/a.py has no reason",
        "docs/exclusions.toml: the total says 3, the entries add up to 2",
    ]
