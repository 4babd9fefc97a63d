"""Refusals in sentences, for whoever sits at the terminal."""

from typing import Final

from ledger.domain.errors import LedgerError

UNTOLD: Final = frozenset({"person"})
"""Opaque ids mean nothing at a terminal; whoever sits there has named the person."""


def explain(refused: LedgerError) -> list[str]:
    """Say what was refused and what to do about it, then the facts, one line each."""
    from ledger.settings import SettingsRefused

    if isinstance(refused, SettingsRefused):
        return refused.lines()
    sentences = " ".join(part for part in (refused.title(), refused.advice) if part)
    facts = {name: fact for name, fact in refused.context.items() if name not in UNTOLD}
    return [sentences, *(line for name, fact in facts.items() for line in _fact(name, fact))]


def _fact(name: str, fact: object) -> list[str]:
    label = name.replace("_", " ")
    if isinstance(fact, dict):
        return [f"  {label}:", *(f"    {key}: {value}" for key, value in fact.items())]
    if isinstance(fact, list | tuple):
        return [f"  {label}:", *(f"    {entry}" for entry in fact)]
    lines = str(fact).splitlines()
    if len(lines) > 1:
        return [f"  {label}:", *(f"    {line}" for line in lines)]
    return [f"  {label}: {fact}"]


def printable_lines(text: str, indent: int) -> str:
    """Make text of others harmless to a terminal line by line, the second and all later ones indented."""
    return f"\n{'':<{indent}}".join(printable(line) for line in text.splitlines())


def printable(text: str) -> str:
    """Make text of others harmless to a terminal: no escape sequences, one line."""
    return "".join(
        character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text
    )
