"""What the documents name is there: pages and sections, tests, settings, calls and commands with their options."""

import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from ledger.api.permissions import PERMISSIONS
from ledger.cli.commands import app
from ledger.settings import TEST_PREFIX, known_names
from tests.support.documents import blocks, code, links, prose, sections_of
from tools.check_repository import ROOT

DOCUMENTS: Final = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
NAMES: Final = [path.relative_to(ROOT).as_posix() for path in DOCUMENTS]
TESTS: Final = sorted(ROOT.glob("tests/**/*.py"))
TEST: Final = re.compile(r"`(?:tests/)?((?:\w+/)*\w*test_\w+\.py)(?:::(\w+)(…)?)?`")
SETTING: Final = re.compile(r"\bLEDGER_[A-Z0-9]+(?:_[A-Z0-9]+)*\b(?![_*…])")
CALL: Final = re.compile(
    r"`(GET|POST|DELETE|WS) (/(?:api|admin|health|tlog|metrics|ws|openapi)\b[^`\s?…,]*)[?`\s]"
)
COMMAND: Final = re.compile(
    r"(?:^|[(;|] ?)(?:[A-Z_]+=\S+ )*(?:\.venv/bin/)?ledger ([a-z][a-z-]*(?: [^|;&#$]*)?)"
)
every_document = pytest.mark.parametrize("document", DOCUMENTS, ids=NAMES)


def test_there_are_documents():
    assert {"README.md", "CHANGELOG.md", "docs/auditing.md", "docs/operations/README.md"} < set(NAMES)


@every_document
def test_a_link_leads_to_a_page_and_a_section_that_are_there(document: Path):
    assert [link for link in links(document) if not _leads_somewhere(document, link)] == []


@every_document
def test_a_test_that_is_named_exists(document: Path):
    named = set(TEST.findall(document.read_text(encoding="utf-8")))
    assert [one for one in sorted(named) if not _is_there(*one)] == []


@every_document
def test_a_setting_that_is_named_is_one(document: Path):
    named = set(SETTING.findall(document.read_text(encoding="utf-8")))
    known = set(known_names())
    assert {name for name in named - known if not name.startswith(TEST_PREFIX)} == set()


def test_the_readme_has_every_setting():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert [name for name in known_names() if f"`{name}`" not in readme] == []


@every_document
def test_a_call_that_is_named_is_served(document: Path):
    named = set(CALL.findall(document.read_text(encoding="utf-8")))
    assert [f"{method} {path}" for method, path in sorted(named) if not _is_served(method, path)] == []


@every_document
def test_a_command_that_is_named_is_there_with_its_options(document: Path):
    assert [fault for words in _commands(document) for fault in _faults(words)] == []


def test_the_readme_shows_the_floors_as_they_are():
    """A floor of several rooms names them on one line, with commas; the contract bars those that may not meet."""
    (picture,) = [block for block in blocks(ROOT / "README.md") if block.startswith("__main__\n")]
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"][
        "contracts"
    ]
    (floors,) = [one["layers"] for one in contracts if one["name"] == "floors"]
    assert [re.findall(r"\w+", line.split("  ")[0]) for line in picture.splitlines()] == [
        [room for room in re.findall(r"\w+", floor) if room != "verifier"] for floor in floors
    ]


def _leads_somewhere(document: Path, link: str) -> bool:
    name, _, section = link.partition("#")
    page = (document.parent / name).resolve() if name else document
    return page.exists() and (not section or section in sections_of(page))


def _is_there(file: str, name: str, is_cut: str) -> bool:
    found = [path for path in TESTS if path.as_posix().endswith(f"/{file}")]
    end = "" if is_cut else r"\b"
    return any(not name or re.search(rf"def {name}{end}", path.read_text("utf-8")) for path in found)


def _is_served(method: str, path: str) -> bool:
    return any(_fits(f"{method} {path}".split("/"), template.split("/")) for template in PERMISSIONS)


def _fits(given: list[str], template: list[str]) -> bool:
    return len(given) == len(template) and all(
        there == asked or there.startswith("{") for asked, there in zip(given, template, strict=True)
    )


def _commands(document: Path) -> Iterator[list[str]]:
    """Cut the commands of ours out of blocks of code, and out of what stands in backticks."""
    for line in (*code(document), *prose(document)):
        for found in COMMAND.finditer(line):
            yield _words(found[1])


def _words(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError:  # a quote that is closed on another line
        return text.split()


def _faults(words: list[str]) -> Iterator[str]:
    command, rest = app, words
    while rest and rest[0] in set(command):
        command, rest = command[rest[0]], rest[1:]
    if command is app:
        yield f"no command: {words}"
        return
    is_group = command.default_command is None
    options = (
        set() if is_group else {name for one in command.assemble_argument_collection() for name in one.names}
    )
    for word in rest:
        option = word.strip("[]").partition("=")[0]
        if re.match(r"--?[a-z]", option) and option not in options | {"--help"}:
            yield f"{words} has no {option}"
