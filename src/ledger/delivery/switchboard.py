"""Who is connected to this process for alerts, and how many there have been."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import msgspec

from ledger.domain.errors import Refused
from ledger.domain.ids import PersonId

MAX_OF_ONE_PERSON: Final = 20


class TooManyConnections(Refused):
    """This person has as many connections as one person may have."""

    code = "too-many-connections"
    advice = "Close one of the others."


class Counts(msgspec.Struct, frozen=True, kw_only=True):
    """What there has been since this process began; the last two are of this moment."""

    total_connections: int
    total_alerts_sent: int
    total_disconnects: int
    current_connections: int
    current_users: int


class Switchboard:
    """The connections for alerts."""

    def __init__(self) -> None:
        """Begin with nobody."""
        self._connections = self._alerts = self._disconnects = 0
        self._people: Counter[PersonId] = Counter()

    @contextmanager
    def connected(self, person: PersonId) -> Iterator[None]:
        """Count a connection for the time of the block.

        Raises:
            TooManyConnections: the person has 20 others.
        """
        if self._people[person] >= MAX_OF_ONE_PERSON:
            raise TooManyConnections
        self._people[person] += 1
        self._connections += 1
        try:
            yield
        finally:
            self._disconnects += 1
            self._people[person] -= 1
            if not self._people[person]:
                del self._people[person]

    def sent(self) -> None:
        """Count an alert that went out."""
        self._alerts += 1

    def counts(self) -> Counts:
        """Tell how many of everything."""
        return Counts(
            total_connections=self._connections,
            total_alerts_sent=self._alerts,
            total_disconnects=self._disconnects,
            current_connections=self._people.total(),
            current_users=len(self._people),
        )
