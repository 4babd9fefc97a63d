"""The repository as a whole: nothing in it that belongs elsewhere, and papers that say what the code says."""

import os
import re
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ledger.domain.event import type_name
from tools import new_adr, snapshots
from tools.check_repository import ROOT, findings, tracked_files

HERE = "/work" + "/main/src"


def found_in(tmp_path: Path, name: str, text: str) -> list[str]:
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return list(findings(tmp_path))


def test_this_repository_holds_nothing_that_belongs_elsewhere():
    assert list(findings(ROOT)) == []


@pytest.mark.parametrize(
    "line",
    [
        "https://" + "pypi" + ".org/simple",
        "files." + "pythonhosted" + ".org/packages/x.whl",
        "https://registry." + "npmjs.org/x",
        "pip install --index-" + "url=https://mirror.example",
        "--extra-index-" + "url https://mirror.example",
    ],
)
def test_the_host_of_a_package_index_is_refused(tmp_path, line):
    assert found_in(tmp_path, "requirements/x.txt", line) == [
        "requirements/x.txt:1: names a package index; which one is used is the installer's own affair"
    ]


@pytest.mark.parametrize(
    "path",
    [HERE, "/home" + "/sam/x", "/ro" + "ot/.cache", "/Use" + "rs/sam/x", "file:///ho" + "me/sam/x"],
)
def test_a_path_of_somebodys_machine_is_refused(tmp_path, path):
    assert found_in(tmp_path, "docs/x.md", f"first\nsee {path}") == [
        "docs/x.md:2: names a path of somebody's machine"
    ]


def test_a_folder_outside_the_project_is_refused(tmp_path):
    assert found_in(tmp_path, "x.md", "see .." + "/shared/x") == [
        "x.md:1: names a folder outside the project"
    ]


@pytest.mark.parametrize(
    "line",
    [
        "uv pip compile --no-emit-index-" + "url",
        "docs/wo" + "rk/x",
        "${BASE}/ro" + "ot/x",
        "GET /api/wo" + "rkers",
    ],
)
def test_what_only_looks_like_it_is_let_through(tmp_path, line):
    assert found_in(tmp_path, "x.md", line) == []


def test_a_decision_record_that_is_cited_exists(tmp_path):
    (tmp_path / "docs/adr").mkdir(parents=True)
    (tmp_path / "docs/adr/0001-one.md").touch()

    cited = "# AD" + "R 0001, 0002 and docs/ad" + "r/0003"

    assert found_in(tmp_path, "x.py", cited) == [
        "x.py:1: cites ADR 0002, which does not exist",
        "x.py:1: cites ADR 0003, which does not exist",
    ]


def test_a_file_and_a_function_of_the_source_have_a_greatest_length(tmp_path):
    body = "    x = 1\n"
    short = 'def short():\n    """' + "a\n" * 60 + '"""\n' + body * 40
    long = "async def long():\n" + body * 41

    assert found_in(tmp_path, "src/a.py", short + long) == ["src/a.py:103: long has 41 lines, more than 40"]
    assert found_in(tmp_path, "src/a.py", "x = 1\n" * 401) == [
        "src/a.py:1: the file has 401 lines, more than 400"
    ]


@pytest.mark.skipif(shutil.which("git") is None, reason="there is no git here")
def test_with_git_only_tracked_files_are_looked_at(tmp_path):
    environ = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    for name in ("tracked.txt", "untracked.txt", "removed.txt"):
        (tmp_path / name).touch()
    for arguments in (["init", "--quiet"], ["add", "tracked.txt", "removed.txt"]):
        subprocess.run(["git", *arguments], cwd=tmp_path, check=True, env=environ)
    (tmp_path / "removed.txt").unlink()

    assert [path.name for path in tracked_files(tmp_path)] == ["tracked.txt"]


def test_without_git_what_is_built_installed_or_hidden_is_left_out(tmp_path):
    for name in ("a.py", ".ci/run", ".venv/x.py", "src/__pycache__/x.pyc", "dist/x"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()

    assert [path.relative_to(tmp_path).as_posix() for path in tracked_files(tmp_path)] == [".ci/run", "a.py"]


def test_bytes_that_are_no_text_are_nobodys_business(tmp_path):
    (tmp_path / "image.png").write_bytes(b"\x89PNG\xff")

    assert list(findings(tmp_path)) == []


LINK = re.compile(r"\]\((?!https?:)([^)#\s]*)(?:#([^)\s]*))?\)")
PAGES = {path: path.read_text(encoding="utf-8") for path in tracked_files(ROOT) if path.suffix == ".md"}


def links_of(page: Path) -> list[tuple[Path, str]]:
    """Where a page leads within the project: to which file or folder, and to which section of it."""
    return [
        ((page.parent / name).resolve() if name else page, section)
        for name, section in LINK.findall(PAGES[page])
    ]


def sections_of(page: Path) -> set[str]:
    titles = re.findall(
        r"^#+ (.*)$", re.sub(r"^```.*?^```", "", PAGES[page], flags=re.MULTILINE | re.DOTALL), re.MULTILINE
    )
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_link_of_a_page_leads_somewhere(page):
    wrong = [
        (to.name, section)
        for to, section in links_of(page)
        if not to.exists() or (section and section not in sections_of(to))
    ]

    assert wrong == []


def test_every_page_is_reached_by_links_from_the_readme():
    begin, records = ROOT / "README.md", ROOT / "docs/adr"
    reached, ahead = set(), [begin]
    while ahead:
        page = ahead.pop()
        if page not in reached:
            reached.add(page)
            ahead += [to for to, _ in links_of(page) if to in PAGES]

    # Decision records are cited by number, and found in their folder.
    assert records in {to for to, _ in links_of(begin)}
    assert sorted(page.name for page in PAGES if page not in reached and page.parent != records) == []


@pytest.mark.parametrize(
    ("page", "to"),
    [
        ("docs/operations/deploying.md", "docs/operations/restarting.md"),
        ("docs/operations/README.md", "docs/operations/deploying.md"),
    ],
)
def test_whoever_reads_one_page_is_led_to_the_next(page, to):
    assert ROOT / to in {found for found, _ in links_of(ROOT / page)}


def test_the_next_decision_record_gets_the_next_number(tmp_path):
    (tmp_path / "0041-before.md").touch()

    path = new_adr.begin(
        tmp_path, "Votes: void when the subject changes!", datetime(2026, 11, 21, tzinfo=UTC)
    )

    assert path.name == "0042-votes-void-when-the-subject-changes.md"
    assert path.read_text(encoding="utf-8").startswith(
        "# 0042. Votes: void when the subject changes!\n\nStatus: proposed\n\nDate: 2026-11-21\n"
    )


@pytest.mark.parametrize("path", sorted(ROOT.glob("docs/adr/*.md")), ids=lambda path: path.stem)
def test_a_decision_record_has_every_part_and_fits_a_page(path):
    text = path.read_text(encoding="utf-8")

    assert text.startswith(f"# {path.name[:4]}. ")
    assert re.search(r"^Status: (proposed|accepted|superseded by ADR \d{4})$", text, re.MULTILINE)
    assert re.search(r"^Date: \d{4}-\d\d-\d\d$", text, re.MULTILINE)
    assert re.findall(r"^## (.*)$", text, re.MULTILINE) == [
        "Context",
        "Decision",
        "Consequences",
        "Alternatives considered",
    ]
    assert len(text.splitlines()) <= 60


def test_the_changelog_names_every_stored_format():
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    listed = re.findall(r"`([a-z-]+)` (\d+(?:(?:,| and) \d+)*)", changelog.split("### Stored formats", 1)[1])
    named = {(name, version) for name, versions in listed for version in re.findall(r"\d+", versions)}

    events = snapshots.event_types().values()
    assert {(type_name(event), str(event.schema_version)) for event in events} <= named


def test_the_catalogue_of_events_is_level_with_the_code():
    assert (ROOT / "docs/events.md").read_text(encoding="utf-8") == snapshots.events()


@pytest.mark.skipif(shutil.which("make") is None, reason="there is no make here")
def test_make_alone_lists_what_it_can_do():
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}

    listed = subprocess.run(
        ["make"], cwd=ROOT, capture_output=True, text=True, check=True, env=environ
    ).stdout

    for target in ("setup", "run", "demo", "test", "check", "test-long", "audit", "openapi", "adr", "lock"):
        assert re.search(rf"^  make {target} +\S", listed, re.MULTILINE), target
