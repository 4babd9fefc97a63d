"""What ``ledger doctor`` finds, and its words for it."""

from collections.abc import Sequence
from enum import StrEnum

import msgspec


class Verdict(StrEnum):
    """How a check came out."""

    GOOD = "good"
    WARNING = "warning"
    BAD = "bad"


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One line: what was looked at, what was seen, and what to do about it (empty when all is well)."""

    check: str
    verdict: Verdict
    seen: str
    advice: str = ""


def good(check: str, seen: str) -> Finding:
    """All is well."""
    return Finding(check=check, verdict=Verdict.GOOD, seen=seen)


def warning(check: str, seen: str, advice: str) -> Finding:
    """It works, and should be seen to."""
    return Finding(check=check, verdict=Verdict.WARNING, seen=seen, advice=advice)


def bad(check: str, seen: str, advice: str) -> Finding:
    """It does not work, or must not stay so."""
    return Finding(check=check, verdict=Verdict.BAD, seen=seen, advice=advice)


def is_healthy(findings: Sequence[Finding]) -> bool:
    """Say whether nothing is bad."""
    return all(finding.verdict is not Verdict.BAD for finding in findings)
