"""The account at the end: what was acknowledged against what there is, told by every way there is to know it."""

import asyncio
import json
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

import asyncpg
import msgspec

from benchmarks.server import Database
from benchmarks.service import Service
from benchmarks.soak.listening import Follower, Receiver
from benchmarks.soak.load import Outcome
from benchmarks.soak.watching import read_metrics

SETTLE_SECONDS: Final = 60.0
"""That read models, sealing, followers and webhooks have to be level once the load has ended."""
STORED: Final = "select count(*) from ledger.events where type = 'decision-submitted'"
SHOWN: Final = "select analysis_id, status from views.decisions_v2"
BEHIND: Final = ("ledger_projection_lag_events", "ledger_notary_lag_events", "ledger_webhook_messages")
PARKED: Final = "ledger_projection_active_failures"
TROUBLE: Final = frozenset({"error", "critical"})


class Acknowledged(msgspec.Struct, frozen=True):
    """What somebody was given an answer of success for."""

    submitted: frozenset[str]
    resolved: Mapping[str, str]

    @classmethod
    def of(cls, loads: Sequence[Outcome]) -> "Acknowledged":
        """Add up what several loads were told."""
        submitted = frozenset(name for load in loads for name in load.submitted)
        return cls(submitted, {name: status for load in loads for name, status in load.resolved.items()})


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """Of each how much is not as it must be; ``warnings`` (by what they say) and ``events`` are told only."""

    not_shown: int
    shown_otherwise: int
    never_acknowledged: int
    not_streamed: int
    streamed_again: int
    not_sent: int
    behind: int
    parked: int
    projections_exit: int
    audit_exit: int
    errors_logged: int
    warnings: Mapping[str, int]
    events: int


async def draw_up(
    service: Service,
    *,
    database: Database,
    told: Acknowledged,
    followers: Sequence[Follower],
    receiver: Receiver,
    folder: Path,
) -> Account:
    """Hold everything that was acknowledged against what is stored, shown and told; then have it verified."""
    behind = await _settle(service, told, followers[0], receiver)
    conn = await asyncpg.connect(database.owner_url)
    try:
        stored = int(await conn.fetchval(STORED))
        shown = {row["analysis_id"]: row["status"] for row in await conn.fetch(SHOWN)}
        events = int(await conn.fetchval("select count(*) from ledger.events"))
    finally:
        await conn.close()
    policy = await _policy(service, folder)
    lines = Counter(_lines(folder / "service.log"))
    return Account(
        not_shown=len(told.submitted - shown.keys()),
        shown_otherwise=sum(shown.get(name) != status for name, status in told.resolved.items()),
        never_acknowledged=max(0, stored - len(told.submitted)),
        not_streamed=len(told.submitted - followers[0].names("decision.submitted")),
        streamed_again=sum(follower.wrong for follower in followers),
        not_sent=len(told.resolved.keys() - receiver.names),
        behind=behind,
        parked=int((await read_metrics(service)).get(PARKED, 0)),
        projections_exit=await _ledger(service, "projections", "verify"),
        audit_exit=await _ledger(service, "audit", "verify", "--database", "--policy", str(policy)),
        errors_logged=sum(count for (level, _), count in lines.items() if level in TROUBLE),
        warnings={event: count for (level, event), count in sorted(lines.items()) if level == "warning"},
        events=events,
    )


async def _settle(service: Service, told: Acknowledged, follower: Follower, receiver: Receiver) -> int:
    """Wait until all is level and everybody has been told, a minute at most; how much is behind then."""
    deadline = time.monotonic() + SETTLE_SECONDS
    while True:
        metrics = await read_metrics(service)
        behind = int(sum(metrics.get(name, 0) for name in BEHIND))
        is_told = (
            told.submitted <= follower.names("decision.submitted") and told.resolved.keys() <= receiver.names
        )
        if (is_told and not behind) or time.monotonic() > deadline:
            return behind
        await asyncio.sleep(0.5)


async def _policy(service: Service, folder: Path) -> Path:
    """Write down whose the log is, as an auditor would have been told."""
    headers = {"Authorization": f"Bearer {await service.login()}"}
    vkey = (await service.client.get("/admin/notary/status", headers=headers)).json()["vkey"]
    policy = folder / "policy.txt"
    policy.write_text(f"log {vkey}\nquorum none\n", encoding="utf-8")
    return policy


async def _ledger(service: Service, *arguments: str) -> int:
    """Run a command beside the service; its exit code."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "ledger", *arguments),
        env=dict(service.environment),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    return await process.wait()


def _lines(log: Path) -> Iterator[tuple[str, str]]:
    """Read the level and the event of every line of a service's log, which is JSON; one that is not is trouble."""
    with log.open(encoding="utf-8") as lines:
        for line in lines:
            try:
                told = json.loads(line)
            except ValueError:
                yield "error", line[:100]
            else:
                yield told.get("level", ""), told.get("event", "")
