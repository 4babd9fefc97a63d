"""What is asked of bundles in these tests, and what is answered."""

from pathlib import Path

from ledger.verifier.bundle import Asked, verify_bundle
from ledger.verifier.checkpoint import parse_checkpoint
from ledger.verifier.manifest import Tier
from ledger.verifier.policy import parse_policy
from ledger.verifier.report import Report
from tests.support.bundles import (
    SEEN_AT,
    on,
    policy,
    seal,
)

STREAMS = "abcabbcadeab"
HISTORY = seal(on(*STREAMS))
LONG = seal(on(*(STREAMS * 55)))  # 660 events: two whole tiles and a partial one


def verify(
    folder: Path,
    *,
    text: str | None = None,
    since: bytes | None = None,
    tier: Tier = Tier.ENVELOPE,
    max_age: int | None = None,
    now: int = SEEN_AT,
) -> Report:
    asked = Asked(
        policy=parse_policy((text or policy()).encode()),
        now=now,
        since=None if since is None else parse_checkpoint(since),
        tier=tier,
        max_age=max_age,
    )
    return verify_bundle(folder, asked)


def found(report: Report) -> tuple[str, object, object]:
    """The first finding: its code, position and stream."""
    first = report.found[0]
    return first.code, first.facts.get("position"), first.facts.get("stream")
