"""Everything that a check lets pass, found in the files and compared with the one list of it, docs/exclusions.toml.

``python -m tools.exclusions`` runs bandit as well: what it finds must be excused beside the line (``noqa: S…``, the
same numbers as its own) or be on the list.
"""

import io
import json
import re
import subprocess
import sys
import tokenize
import tomllib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Final, TypeAlias

ROOT: Final = Path(__file__).resolve().parent.parent
LIST: Final = "docs/exclusions.toml"
# Put together from pieces, so that this very file does not hold what it looks for.
NOQA: Final = re.compile(r"#\s*no" + r"qa:\s*([A-Z]+[0-9]+(?:,\s*[A-Z]+[0-9]+)*)")
SECURITY: Final = re.compile(r"S\d+")
COMMENTS: Final = {"no cover": re.compile("pragma: no " + "cover"), "nosec": re.compile("#\\s*no" + "sec")}
SKIP: Final = re.compile(r"mark\.(?:skip|skipif|xfail)\b|pytest\.(?:skip|importorskip|xfail)\(")

Place: TypeAlias = tuple[str, str]


def found(root: Path) -> Counter[Place]:
    """Count what is excluded, by file and by what is let pass."""
    count = Counter[Place]()
    for room in ("src", "tools", "benchmarks", "tests"):
        for path in sorted(root.glob(f"{room}/**/*.py")):
            name, text = path.relative_to(root).as_posix(), path.read_text(encoding="utf-8")
            count.update((name, what) for what in _of_comments(text))
            if room == "tests":
                count.update((name, "skip") for _ in SKIP.finditer(text))
    return count + _of_settings(root)


def differences(root: Path) -> Iterator[str]:
    """Say where the list and the files differ, one line each."""
    path = root / LIST
    if not path.exists():
        return
    listed = tomllib.loads(path.read_text(encoding="utf-8"))
    entries = listed["exclusion"]
    counts = Counter({(entry["where"], entry["what"]): entry["count"] for entry in entries})
    there = found(root)
    for where, what in sorted(there.keys() | {place for place in counts if not place[1].startswith("B")}):
        if there[where, what] != counts[where, what]:
            yield f"{where}: {there[where, what]} of {what}, {counts[where, what]} in {LIST}"
    yield from (f"{LIST}: {entry['where']} has no reason" for entry in entries if not entry["why"].strip())
    if listed["total"] != counts.total():
        yield f"{LIST}: the total says {listed['total']}, the entries add up to {counts.total()}"


def unexcused(root: Path) -> Iterator[str]:
    """Run bandit and say what is neither excused beside its line nor on the list."""
    command = [sys.executable, "-m", "bandit", "-q", "-r", "src", "-f", "json", "--exit-zero"]
    told = subprocess.run(command, cwd=root, capture_output=True, check=True).stdout
    entries = tomllib.loads((root / LIST).read_text(encoding="utf-8"))["exclusion"]
    listed = {(entry["where"], entry["what"]) for entry in entries}
    for finding in json.loads(told)["results"]:
        where, code = finding["filename"].removeprefix("./"), finding["test_id"]
        lines = (root / where).read_text(encoding="utf-8").splitlines()
        excused = {code for line in finding["line_range"] for code in _codes(lines[line - 1])}
        if f"S{code[1:]}" not in excused and not {(where, code), ("src", code)} & listed:
            yield f"{where}:{finding['line_number']}: {code} {finding['issue_text']}"


def _of_comments(text: str) -> Iterator[str]:
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            yield from _codes(token.string)
            yield from (what for what, pattern in COMMENTS.items() if pattern.search(token.string))


def _codes(line: str) -> Iterator[str]:
    match = NOQA.search(line)
    codes = re.split(r",\s*", match[1]) if match else []
    return (code for code in codes if SECURITY.fullmatch(code))


def _of_settings(root: Path) -> Counter[Place]:
    """Count what pyproject.toml lets pass for whole files, and the mutants that nobody has to kill."""
    count = Counter[Place]()
    project, mutants = root / "pyproject.toml", root / "tests" / "mutants.toml"
    if project.exists():
        tool = tomllib.loads(project.read_text(encoding="utf-8"))["tool"]
        ignores = tool["ruff"]["lint"]["per-file-ignores"].values()
        codes = [code for codes in ignores for code in codes if SECURITY.fullmatch(code)]
        count.update(("pyproject.toml", code) for code in codes)
        count["pyproject.toml", "no cover"] = len(tool["coverage"]["report"]["exclude_also"])
    if mutants.exists():
        entries = tomllib.loads(mutants.read_text(encoding="utf-8")).get("survivor", [])
        count["tests/mutants.toml", "mutant"] = len(entries)
    return count


def main() -> int:
    """Print what differs and what bandit found; 0 when nothing does."""
    wrong = [*differences(ROOT), *unexcused(ROOT)]
    print(
        "\n".join(wrong)
        or f"{found(ROOT).total()} exclusions, all of them on the list; bandit finds nothing else."
    )
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
