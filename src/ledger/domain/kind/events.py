"""What happens to a kind of item; each kind has a stream of its own.

STORAGE FORMAT. Tags, field names and meanings are in every ledger out there. Add a field only with a
default; anything else is a new schema version and owes an upcaster and a golden file (ADR 0004).

``schema`` is the JSON Schema of the payload, an object, as the text that was sent.
"""

from typing import TypeAlias

from ledger.domain.event import Event
from ledger.domain.ids import PersonId


class KindRegistered(Event, frozen=True, kw_only=True, tag="kind-registered"):
    """Items of this kind can be submitted from now on; ``schema`` is its version 1."""

    name: str
    title: str
    schema: str
    by: PersonId
    reason: str


class KindRevised(Event, frozen=True, kw_only=True, tag="kind-revised"):
    """Later items have another shape; those submitted before keep the version they were submitted under."""

    name: str
    version: int
    title: str
    schema: str
    by: PersonId
    reason: str


class KindRetired(Event, frozen=True, kw_only=True, tag="kind-retired"):
    """No more items of this kind; those submitted before are decided as ever."""

    name: str
    by: PersonId
    reason: str


KindEvent: TypeAlias = KindRegistered | KindRevised | KindRetired
