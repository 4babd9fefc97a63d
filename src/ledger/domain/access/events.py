"""What happens to the rules of coming in; a ledger has one stream of these.

STORAGE FORMAT. Tags, field names and meanings are in every ledger out there. Add a field only with a
default; anything else is a new schema version and owes an upcaster and a golden file (ADR 0004).
"""

from typing import TypeAlias

from ledger.domain.authority import Role
from ledger.domain.event import Event
from ledger.domain.ids import PersonId


class SecondFactorDemanded(Event, frozen=True, kw_only=True, tag="second-factor-demanded"):
    """Whoever has this role logs in with a second factor, or sets one up; ``by`` is ``None`` for the operator."""

    role: Role
    by: PersonId | None
    reason: str


class SecondFactorWaived(Event, frozen=True, kw_only=True, tag="second-factor-waived"):
    """This role may do without a second factor again."""

    role: Role
    by: PersonId | None
    reason: str


AccessEvent: TypeAlias = SecondFactorDemanded | SecondFactorWaived
