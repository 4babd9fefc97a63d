"""The story of the demo, act by act: an engine asks, two analysts decide, the engine fetches its answers."""

import secrets
from collections.abc import Iterable, Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec
from rich.console import Console
from rich.progress import track
from rich.table import Table
from rich.text import Text

from ledger.cli.demo.items import ITEMS
from ledger.cli.demo.people import Player
from ledger.domain.ids import DecisionId
from ledger.history.timeline import timeline
from ledger.store.ledger import Ledger

ADMIN: Final = "admin"
ENGINE: Final = "night-watch-engine"
MIRA: Final = "mira"
JONAS: Final = "jonas"
DISPUTED: Final = "NIGHT-0419"


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What an analyst says about one item."""

    item: str
    status: str
    actions: tuple[str, ...] = ()
    notes: str
    why_up: str | None = None


MIRAS: Final = (
    Verdict(
        item="NIGHT-0417",
        status="approved",
        actions=("block_ip", "quarantine_system"),
        notes="Beaconing confirmed in the proxy log; build-07 is off the network.",
    ),
    Verdict(
        item="NIGHT-0418",
        status="approved",
        actions=("block_ip",),
        notes="Nobody uses that account. Spraying from the guest network.",
    ),
    Verdict(
        item=DISPUTED,
        status="escalated",
        notes="Four silent minutes are too long for me to call it harmless.",
        why_up="needs somebody who can read the memory image",
    ),
    Verdict(
        item="NIGHT-0420", status="rejected", notes="A known research scanner; blocking it gains nothing."
    ),
)
JONASES: Final = (
    Verdict(
        item=DISPUTED,
        status="approved",
        actions=("quarantine_system", "escalate_to_soc"),
        notes="The image holds a loader that waited for a reboot. Good catch.",
    ),
    Verdict(
        item="NIGHT-0421",
        status="approved",
        actions=("block_ip", "custom"),
        notes="The owner is on leave and did not do this. Credentials rotated.",
    ),
)


async def play(console: Console, url: str, ledger: Ledger, admin_password: str) -> None:
    """Play all acts against the service at ``url``; the last one reads ``ledger`` itself.

    Raises:
        DemoFailed: the service answered otherwise than the story goes.
    """
    async with AsyncExitStack() as stack:
        admin, engine, mira, jonas = [
            await stack.enter_async_context(Player(url, name)) for name in (ADMIN, ENGINE, MIRA, JONAS)
        ]
        await admin.log_in(admin_password)
        await _let_in(console, admin, {engine: "service", mira: "analyst", jonas: "analyst"})
        await _submit(console, engine)
        await _show_queue(console, mira)
        await _decide(console, mira, MIRAS)
        await _decide(console, jonas, JONASES)
        await _fetch(console, engine)
        await _show_history(console, ledger)
        await _show_counts(console, admin)


async def _let_in(console: Console, admin: Player, newcomers: dict[Player, str]) -> None:
    for player, role in newcomers.items():
        password = secrets.token_urlsafe(18)
        body: dict[str, object] = {
            "username": player.name,
            "email": f"{player.name}@demo.example",
            "password": password,
            "full_name": player.name.replace("-", " ").title(),
            "role": role,
        }
        await admin.post("/api/auth/register", body)
        await player.log_in(password)
    names = ", ".join(f"{player.name} ({role})" for player, role in newcomers.items())
    _say(console, "The administrator lets in", names)


async def _submit(console: Console, engine: Player) -> None:
    _say(console, f"{engine.name} submits", f"{len(ITEMS)} items that need a person")
    seen_at = datetime.now(UTC) - timedelta(minutes=20)
    for number, item in enumerate(
        track(ITEMS, "  submitting", console=console, transient=True, disable=not console.is_terminal)
    ):
        created_at = (seen_at + timedelta(minutes=3 * number)).isoformat()
        await engine.post("/api/decisions/submit", {**item, "created_at": created_at})


async def _show_queue(console: Console, analyst: Player) -> None:
    _say(console, f"{analyst.name} looks at the queue", "by priority, then age")
    queue = await analyst.get_list("/api/decisions/pending")
    rows = (
        [item["priority"], item["analysis_id"], item["threat_level"], item["source_ip"]] for item in queue
    )
    _show(console, ("Priority", "Item", "Threat", "From"), rows)


async def _decide(console: Console, analyst: Player, verdicts: Sequence[Verdict]) -> None:
    for verdict in verdicts:
        body: dict[str, object] = {
            "decision_id": verdict.item,
            "status": verdict.status,
            "approved_actions": list(verdict.actions),
            "notes": verdict.notes,
            "escalation_reason": verdict.why_up,
        }
        await analyst.post(f"/api/decisions/{verdict.item}/decide", body)
        _say(console, f"{analyst.name}: {verdict.item} {verdict.status}", verdict.notes)


async def _fetch(console: Console, engine: Player) -> None:
    _say(console, f"{engine.name} fetches", "the responses it may act on")
    decided = {verdict.item for verdict in (*MIRAS, *JONASES)}
    responses = [await engine.get(f"/api/decisions/{item}/response") for item in sorted(decided)]
    rows = (
        [answer["decision_id"], answer["status"], _listed(answer["approved_actions"]), answer["decided_by"]]
        for answer in responses
    )
    _show(console, ("Item", "Status", "Approved actions", "By"), rows)


async def _show_history(console: Console, ledger: Ledger) -> None:
    _say(console, f"The history of {DISPUTED}", "as it is in the append-only log")
    rows = (
        [entry.position, f"{entry.recorded_at:%H:%M:%S.%f}"[:-3], entry.leaf[:8], f"{entry.who} {entry.what}"]
        for entry in await timeline(ledger, DecisionId(DISPUTED))
    )
    _show(console, ("Position", "Recorded", "Leaf hash", "What happened"), rows)


async def _show_counts(console: Console, admin: Player) -> None:
    counts = await admin.get("/api/decisions/stats/summary")
    _say(
        console, "In the end", f"{counts['total_completed']} completed, {counts['total_pending']} still open"
    )


def _say(console: Console, what: str, more: str) -> None:
    console.print(Text.assemble(("● ", "green"), (what, "bold"), f"\n  {more}"))


def _show(console: Console, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    table = Table(*columns, box=None, pad_edge=False, padding=(0, 3, 0, 0))
    for row in rows:
        table.add_row(*(Text("" if cell is None else str(cell)) for cell in row))
    console.print(table, "")


def _listed(actions: object) -> str:
    return ", ".join(str(action) for action in actions) if isinstance(actions, list) else ""
