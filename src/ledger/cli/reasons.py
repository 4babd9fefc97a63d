"""Why something is done, as an option of commands."""

from typing import Annotated, TypeAlias

from cyclopts import Parameter


def _says_something(_: type, reason: str) -> None:
    if not reason.strip():
        raise ValueError("It says nothing: say in one sentence why.")


Why: TypeAlias = Annotated[str, Parameter(validator=_says_something, help="Why; it is kept in the ledger.")]
"""A reason that says nothing is refused; where none is needed the option is left out."""
