"""Tests as sentences: given these events, when this command comes, then these events, or this refusal."""

from typing import Generic

import msgspec
import pytest

from ledger.domain.decider import C, Decider, E, S, fold
from ledger.domain.errors import LedgerError


class Given(Generic[C, S, E]):
    """What has happened so far."""

    def __init__(self, decider: Decider[C, S, E], *events: E) -> None:
        self.decider = decider
        self.events = events

    @property
    def state(self) -> S:
        return fold(self.decider, self.events)

    def when(self, command: C) -> "When[C, S, E]":
        return When(self, command)


class When(Generic[C, S, E]):
    """What is asked."""

    def __init__(self, given: Given[C, S, E], command: C) -> None:
        self.given = given
        self.command = command

    def then(self, *events: E) -> None:
        """Expect exactly these events; none: there was nothing to do."""
        assert self.given.decider.decide(self.command, self.given.state) == events

    def then_refused(self, refusal: type[LedgerError], **context: object) -> None:
        """Expect exactly this class, with these facts."""
        with pytest.raises(LedgerError) as refused:
            self.given.decider.decide(self.command, self.given.state)

        assert type(refused.value) is refusal
        assert refused.value.context == context


def survives_storage(event: msgspec.Struct) -> bool:
    """Say whether an event, or a state, reads back as itself and writes the same bytes again."""
    stored = msgspec.json.encode(event)
    read = msgspec.json.decode(stored, type=type(event))
    return read == event and msgspec.json.encode(read) == stored
