"""When something was last used: known to this process, written down from time to time."""

from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

MAX_NOTED: Final = 10_000


class Uses:
    """Says when a use is to be written down: the first one, and then at most once every so often."""

    def __init__(self, every: timedelta) -> None:
        """Write down at most once ``every`` so often."""
        self._every = every
        self._noted: dict[UUID, datetime] = {}

    def is_due(self, which: UUID, now: datetime) -> bool:
        """Say whether the use of ``which`` is to be written down now; whoever hears yes does it."""
        before = self._noted.get(which)
        if before is not None and now - before < self._every:
            return False
        if len(self._noted) >= MAX_NOTED:
            self._noted.clear()
        self._noted[which] = now
        return True
