"""What happens to the policies of a kind; each kind has one stream of them.

STORAGE FORMAT. Tags, field names and meanings are in every ledger out there. Add a field only with a
default; anything else is a new schema version and owes an upcaster and a golden file (ADR 0004).
"""

from typing import TypeAlias

from ledger.domain.event import Event
from ledger.domain.ids import PersonId
from ledger.domain.terms import Policy


class PolicyDrafted(Event, frozen=True, kw_only=True, tag="policy-drafted"):
    """Somebody proposes other terms; they hold for nobody before another person publishes them."""

    kind: str
    version: int
    terms: Policy
    by: PersonId
    reason: str


class PolicyPublished(Event, frozen=True, kw_only=True, tag="policy-published"):
    """Decisions that are submitted from now on are taken under this draft, in place of what held before."""

    kind: str
    version: int
    by: PersonId
    reason: str


class PolicyWithdrawn(Event, frozen=True, kw_only=True, tag="policy-withdrawn"):
    """A draft will not be published."""

    kind: str
    version: int
    by: PersonId
    reason: str


class PolicyRetired(Event, frozen=True, kw_only=True, tag="policy-retired"):
    """What was published holds no more: the default does, until another one is published."""

    kind: str
    version: int
    by: PersonId
    reason: str


PolicyEvent: TypeAlias = PolicyDrafted | PolicyPublished | PolicyWithdrawn | PolicyRetired
