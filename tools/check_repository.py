"""Refuses what no linter looks for, over every tracked file: run it by ``make repository``."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
LONGEST_FILE: Final = 400
LONGEST_FUNCTION: Final = 40

# Put together from pieces, so that this very file does not hold what it looks for.
INDEX_HOSTS: Final = re.compile(
    r"\b(?:"
    + "|".join((r"pypi\." + "org", "files" + r"\.pythonhosted\." + "org", "test" + r"\.pypi\b"))
    + r")"
    r"|\bregistry\." + r"(?:npmjs|yarnpkg)\." + r"|(?<!no-emit-)\b(?:extra-)?index-" + r"url\b"
    r"|(?<!no-emit-)\bfind-" + r"links\b"
)
HOME_PATHS: Final = re.compile(r"(?<![\w.}-])/(?:home/[\w.-]+|root|Users/[\w.-]+|work)" + r"/")
OUTSIDE: Final = re.compile(r"\.\./" + "shared")
FORBIDDEN: Final = (
    (INDEX_HOSTS, "names a package index; which one is used is the installer's own affair"),
    (HOME_PATHS, "names a path of somebody's machine"),
    (OUTSIDE, "names a folder outside the project"),
)
ADR_CITED: Final = re.compile(r"\bADRs? ((?:\d{4}(?:,| and|,? or)? ?)+)|docs/adr/(\d{4})")
SKIPPED_FOLDERS: Final = frozenset({"dist", "mutants", "__pycache__", "node_modules"})


def tracked_files(root: Path) -> list[Path]:
    """List what belongs to the project; without git, what is not hidden, built or installed."""
    try:
        listed = subprocess.run(["git", "ls-files", "-z"], cwd=root, capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return sorted(path for path in root.rglob("*") if path.is_file() and not _is_skipped(path, root))
    names = listed.stdout.decode().split("\0")
    return sorted(path for name in names if name and (path := root / name).is_file())


def findings(root: Path) -> Iterator[str]:
    """Say everything that is wrong, one line each, as ``path:line: what``."""
    decided = {path.name[:4] for path in root.glob("docs/adr/[0-9]*.md")}
    for path in tracked_files(root):
        name = path.relative_to(root).as_posix()
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        for number, line in enumerate(text.splitlines(), 1):
            for finding in (*_forbidden(line), *_undecided(line, decided)):
                yield f"{name}:{number}: {finding}"
        if name.startswith("src/") and name.endswith(".py"):
            yield from (f"{name}:{finding}" for finding in _too_long(text))


def _is_skipped(path: Path, root: Path) -> bool:
    folders = path.relative_to(root).parts[:-1]
    return any(name in SKIPPED_FOLDERS or (name.startswith(".") and name != ".ci") for name in folders)


def _forbidden(line: str) -> Iterator[str]:
    return (why for pattern, why in FORBIDDEN if pattern.search(line))


def _undecided(line: str, decided: set[str]) -> Iterator[str]:
    for cited in ADR_CITED.finditer(line):
        for number in re.findall(r"\d{4}", cited[0]):
            if number not in decided:
                yield f"cites ADR {number}, which does not exist"


def _too_long(source: str) -> Iterator[str]:
    length = len(source.splitlines())
    if length > LONGEST_FILE:
        yield f"1: the file has {length} lines, more than {LONGEST_FILE}"
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = _body_lines(node)
            if lines > LONGEST_FUNCTION:
                yield f"{node.lineno}: {node.name} has {lines} lines, more than {LONGEST_FUNCTION}"


def _body_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Count the lines of the body; the docstring is for the caller and counts for nothing."""
    body = function.body[1:] if ast.get_docstring(function) is not None else function.body
    return (function.end_lineno or 0) - body[0].lineno + 1 if body else 0


def main() -> int:
    """Print what is wrong; 0 when nothing is."""
    found = list(findings(ROOT))
    print("\n".join(found) or f"{len(tracked_files(ROOT))} files: nothing that does not belong here.")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
