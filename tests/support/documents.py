"""Documents cut into what a reader follows: links, sections, code, and what stands in backticks."""

import re
from pathlib import Path
from typing import Final

FENCE: Final = re.compile(r"(?ms)^ *```[a-z]*\n(.*?)^ *```")
LINK: Final = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
ELSEWHERE: Final = re.compile(r"[a-z]+:")


def text_of(document: Path) -> str:
    return document.read_text(encoding="utf-8")


def links(document: Path) -> list[str]:
    """List the links that lead to files of the project; those to elsewhere are nobody's business here."""
    return [link for link in LINK.findall(_without_code(document)) if not ELSEWHERE.match(link)]


def sections_of(document: Path) -> set[str]:
    """Name the sections as links name them: small letters, hyphens for spaces, nothing else."""
    headings = re.findall(r"(?m)^#+ +(.*)$", _without_code(document))
    return {_slug(LINK.sub("", re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading))) for heading in headings}


def blocks(document: Path) -> list[str]:
    """List the blocks of code."""
    return FENCE.findall(text_of(document))


def code(document: Path) -> list[str]:
    """List the lines of all blocks of code, with what is continued on the next line put together."""
    joined = (re.sub(r"\\\n\s*", "", block) for block in blocks(document))
    return [line.strip() for block in joined for line in block.splitlines()]


def prose(document: Path) -> list[str]:
    """List what stands in backticks, on one line or two."""
    return [" ".join(found.split()) for found in re.findall(r"`([^`]+)`", _without_code(document))]


def _without_code(document: Path) -> str:
    return FENCE.sub("", text_of(document))


def _slug(heading: str) -> str:
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")
