"""What happens to somebody whose password or second factor is being guessed.

STORAGE FORMAT. Tags, field names and meanings are in every ledger out there. Add a field only with a
default; anything else is a new schema version and owes an upcaster and a golden file (ADR 0004).
"""

from typing import TypeAlias

from ledger.domain.event import Event, Utc
from ledger.domain.ids import PersonId


class LoginFailed(Event, frozen=True, kw_only=True, tag="login-failed"):
    """Somebody did not get in: ``passwords`` and ``codes`` that were wrong or came too often, from ``since`` on.

    At most one a minute and person; it sums up what came since the one before.
    """

    person: PersonId
    passwords: int
    codes: int
    since: Utc


class LoginLockedOut(Event, frozen=True, kw_only=True, tag="login-locked-out"):
    """There were too many failures: nobody gets in under this name until then, whatever they type."""

    person: PersonId
    until: Utc


LoginEvent: TypeAlias = LoginFailed | LoginLockedOut
