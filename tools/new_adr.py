"""Begins a decision record with the next number: ``make adr TITLE="what was decided"``."""

import os
import re
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
FORM: Final = """# {number}. {title}

Status: proposed

Date: {date:%Y-%m-%d}

## Context

What forces a choice, and how others chose.

## Decision

What we do.

## Consequences

What becomes easier, what becomes harder, what must be watched.

## Alternatives considered

What was not chosen, and why not.
"""


def begin(folder: Path, title: str, now: datetime) -> Path:
    """Write the form for a new record and say where it is."""
    numbers = [int(path.name[:4]) for path in folder.glob("[0-9][0-9][0-9][0-9]-*.md")]
    number = f"{max(numbers, default=-1) + 1:04}"
    slug = "-".join(re.findall(r"[a-z0-9]+", title.lower()))
    path = folder / f"{number}-{slug}.md"
    path.write_text(FORM.format(number=number, title=title, date=now), encoding="utf-8")
    return path


def main() -> int:
    """Begin a record about ``TITLE``."""
    title = os.environ.get("TITLE", "").strip()
    if not re.search(r"\w", title):
        print('Say what was decided: make adr TITLE="what was decided"', file=sys.stderr)
        return 1
    print(begin(ROOT / "docs" / "adr", title, datetime.now(UTC)).relative_to(ROOT))
    return 0


if __name__ == "__main__":
    sys.exit(main())
