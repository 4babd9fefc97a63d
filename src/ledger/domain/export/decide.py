"""Who may take what out of the ledger, and how it is written down before it goes."""

from datetime import timedelta
from typing import Final, assert_never, get_args

from ledger.domain.authority import Role, require_fresh_factor_if_any, require_or_operator
from ledger.domain.decider import Decider
from ledger.domain.errors import Invalid, NotFound, RuleViolation
from ledger.domain.event import Utc
from ledger.domain.export.commands import ExportCommand, ExportDecision, ExportLedger
from ledger.domain.export.events import DecisionExported, ExportEvent, LedgerExported, Tier
from ledger.domain.export.state import ExportState, LedgerLeft, NotExported, evolve
from ledger.domain.ids import PersonId

TAKERS: Final = frozenset({Role.ADMIN, Role.AUDITOR})
GOOD_FOR: Final = timedelta(hours=24)
"""How long what was asked for may be fetched: a large ledger on a slow line, and a second try."""


class ExportRule(RuleViolation):
    """What was asked for does not allow it."""

    code = "export-rule"


class AlreadyExported(ExportRule):
    """This export has been asked for before."""

    code = "already-exported"
    advice = "Ask for another one."


class ExportOver(ExportRule):
    """This export was asked for more than a day ago."""

    code = "export-over"
    advice = "Ask for another one."


class NotInExport(ExportRule):
    """This export is of less than that.

    Context: ``tier``, ``first`` and ``last`` of what was asked for.
    """

    code = "not-in-export"
    advice = "Ask for an export that holds it."


class BadExportRange(Invalid):
    """These positions are not in the sealed part of the ledger.

    Context: ``first``, ``last``, and ``size``: the last position that is sealed.
    """

    code = "bad-export-range"
    advice = "Positions count from 1; wait until the newest ones are sealed, or leave them out."


class ExportNotFound(NotFound):
    """There is no such export of yours: it was not found."""

    code = "export-not-found"


def decide(command: ExportCommand, state: ExportState) -> tuple[ExportEvent, ...]:
    """Say what ``command`` causes.

    Raises:
        Refused: this person may not take it.
        StepUpRequired: names and keys are asked for, and the second factor was proven too long ago.
        BadExportRange: the positions are not in the tree.
        AlreadyExported: the id has been used.
    """
    by = require_or_operator(command.by, TAKERS)
    if not isinstance(state, NotExported):
        raise AlreadyExported
    match command:
        case ExportLedger():
            return (_ledger(command, by),)
        case ExportDecision():
            require_fresh_factor_if_any(command.by, command.now)
            exported = DecisionExported(
                at=command.now, by=by, decision_id=command.decision_id, last=command.last
            )
            return (exported,)
        case _:
            assert_never(command)


def require_export(state: ExportState, *, by: PersonId, now: Utc, tier: Tier) -> LedgerLeft:
    """Give what ``by`` asked for under this id, if ``tier`` is part of it and it may still be fetched.

    Raises:
        ExportNotFound: they asked for no such export.
        ExportOver: that was too long ago.
        NotInExport: they asked for less.
    """
    if not isinstance(state, LedgerLeft) or state.by != by:
        raise ExportNotFound
    if now > state.at + GOOD_FOR:
        raise ExportOver
    tiers = list(Tier)
    if tiers.index(tier) > tiers.index(state.tier):
        raise NotInExport(tier=state.tier.value, first=state.first, last=state.last)
    return state


def _ledger(command: ExportLedger, by: PersonId | None) -> LedgerExported:
    if command.tier is Tier.DISCLOSED:
        require_fresh_factor_if_any(command.by, command.now)
    if not 1 <= command.first <= command.last <= command.size:
        raise BadExportRange(first=command.first, last=command.last, size=command.size)
    return LedgerExported(
        at=command.now,
        by=by,
        tier=command.tier,
        first=command.first,
        last=command.last,
        size=command.size,
    )


EXPORT: Final = Decider[ExportCommand, ExportState, ExportEvent](
    category="export",
    event_types=get_args(ExportEvent),
    state_type=ExportState,
    initial=NotExported(),
    decide=decide,
    evolve=evolve,
)
"""What leaves the ledger, as a value."""
