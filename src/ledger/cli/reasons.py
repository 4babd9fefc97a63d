"""Why something is done, as an option of commands."""

from typing import Annotated, Final, TypeAlias

from cyclopts import Parameter


def _says_something(_: type, reason: str | None) -> None:
    if reason is not None and not reason.strip():
        raise ValueError("It says nothing: say in one sentence why.")


_REASON: Final = Parameter(validator=_says_something, help="Why; it is kept in the ledger.")

Why: TypeAlias = Annotated[str, _REASON]
"""A reason that must be given, and say something."""
PerhapsWhy: TypeAlias = Annotated[str | None, _REASON]
"""A reason that may be left out; one that is given says something."""
