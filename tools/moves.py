"""Reads the tables of legal moves in the docstrings of the aggregates, and draws what the decision's says."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final, TypeAlias

from ledger.domain.decision import moves as decision_moves
from tools.event_types import ROOT

Moves: TypeAlias = dict[tuple[str, str], tuple[str, ...]]
"""(state, command) → what may come of it: names of events, nothing, or ``refused`` and why."""

WORKFLOW: Final = ROOT / "docs" / "workflow.md"
BEGIN: Final = "<!-- moves: made from src/ledger/domain/decision/moves.py by `make workflow` -->"
END: Final = "<!-- moves: end -->"
INDENT: Final = "    "

LEADS_TO: Final = {
    "DecisionSubmitted": "Pending",
    "DecisionClaimed": "InReview",
    "ClaimReleased": "Pending",
    "DecisionEscalated": "Pending",
    "DecisionResolved": "Resolved",
    "DecisionOverridden": "Resolved",
    "DecisionExpired": "Closed",
    "DecisionWithdrawn": "Closed",
    "DecisionSuperseded": "Closed",
    "DecisionCancelled": "Closed",
}
"""The state that an event leads to; all others leave a decision in the one it is in."""


def moves_in(docstring: str | None) -> Moves:
    """Read a table: indented lines of a state, a command and a cell; one that begins with ``or`` goes on."""
    found: Moves = {}
    for line in (docstring or "").splitlines():
        if not line.startswith(INDENT):
            continue
        if line.split()[0] == "or":
            state_and_command = next(reversed(found))
            found[state_and_command] += _cells(line.split(maxsplit=1)[1])
        else:
            state, command, cell = line.split(maxsplit=2)
            found[state, command] = _cells(cell)
    return found


def _cells(text: str) -> tuple[str, ...]:
    return tuple("" if move == "-" else move for move in text.split(" or "))


def target(state: str, move: str) -> str:
    """Say in which state a decision is after these events."""
    for event in move.split():
        state = LEADS_TO.get(event, state)
    return state


def workflow(path: Path = WORKFLOW) -> str:
    """Give the document with the diagram and the table of the moves as they are now."""
    before, _, rest = path.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{drawn(moves_in(decision_moves.__doc__))}\n\n{END}{after}"


def drawn(moves: Moves) -> str:
    """Draw a state diagram, and set a table of the moves below it."""
    return "\n".join(["```mermaid", "stateDiagram-v2", *_edges(moves), "```", "", *_table(moves)])


def _edges(moves: Moves) -> Iterator[str]:
    """Draw what changes the state, one arrow for each pair of states; ends have an arrow out of the diagram."""
    labels: dict[tuple[str, str], list[str]] = {}
    for (state, command), cells in moves.items():
        for after in dict.fromkeys(target(state, move) for move in cells if not move.startswith("refused")):
            if after != state:
                labels.setdefault((state, after), []).append(command)
    for (state, after), commands in labels.items():
        yield f"    {_node(state)} --> {after}: {'<br/>'.join(commands)}"
    states = dict.fromkeys(state for state, _ in moves)
    leaving = {state for state, _ in labels}
    yield from (f"    {state} --> [*]" for state in states if state not in leaving)


def _node(state: str) -> str:
    return "[*]" if state == "NotSubmitted" else state


def _table(moves: Moves) -> Iterator[str]:
    yield "| in state | command | what happens |"
    yield "| --- | --- | --- |"
    for (state, command), cells in moves.items():
        if not all(move.startswith("refused") for move in cells):
            yield f"| {state} | {command} | {'<br/>'.join(_told(state, move) for move in cells)} |"


def _told(state: str, move: str) -> str:
    if not move:
        return "nothing"
    if move.startswith("refused"):
        return f"{move.removeprefix('refused ')} (refused)"
    after = target(state, move)
    where = f" → {after}" if after != state else ""
    return f"{', '.join(move.split())}{where}"
