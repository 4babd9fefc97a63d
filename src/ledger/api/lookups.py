"""What nearly every answer looks up by a key: decisions and the names of people, for many answers at once."""

from collections.abc import Mapping, Sequence

from ledger.domain.ids import PersonId, StreamName
from ledger.identity import people
from ledger.identity.following import Following
from ledger.projections.decision_row import DecisionRow
from ledger.projections.views import decisions
from ledger.store.lately import Lately
from ledger.store.ledger import Ledger


class Lookups:
    """Looks up what is asked for at the same moment by one query."""

    def __init__(self, ledger: Ledger, following: Following) -> None:
        """Look up in ``ledger``, which ``following`` follows."""
        self.lately = Lately(following.is_current)
        following.on_forgotten(self.lately.clear)
        self._ledger = ledger
        self._decisions = decisions.lookups(ledger)
        self._names = people.lookups(ledger.pool, ledger.ledger_id)

    async def decision(self, stream: StreamName) -> DecisionRow | None:
        """Give a decision as its stream has it; ``None``: there is none. Raises as ``decisions.current``."""
        return await decisions.current(self._ledger, stream, self._decisions)

    async def names(self, persons: Sequence[PersonId]) -> Mapping[PersonId, str]:
        """Look up user names; the erased are missing."""
        return await self._names.find(persons) if persons else {}
