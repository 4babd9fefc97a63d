"""How the projections of this process are doing."""

from enum import StrEnum

import msgspec

from ledger.domain.ids import Position


class State(StrEnum):
    """What a projection's loop is doing in this process."""

    STARTING = "starting"
    STANDBY = "standby"
    RUNNING = "running"
    RETRYING = "retrying"
    FAILING = "failing"
    PAUSED = "paused"
    WAITING_FOR_NEWER_RELEASE = "waiting for a newer release"
    CRASHED = "crashed"
    STOPPED = "stopped"


class ProjectionHealth(msgspec.Struct, frozen=True, kw_only=True):
    """One projection.

    ``parked`` counts the events that wait for a repair. ``error`` names the class of what its last attempt failed with (``None``: it did not fail); ``is_alive``
    says that its loop has been round lately, whatever it does there; ``was_level``, that it has once caught up
    with the head found at start or reconnect.
    """

    name: str
    version: int
    state: State
    error: str | None
    attempts: int
    position: Position
    parked: int
    head: Position
    is_alive: bool
    is_leader: bool
    is_paused: bool
    was_level: bool

    def lag_events(self) -> int:
        """Count the events it has not seen."""
        return max(0, self.head - self.position)
