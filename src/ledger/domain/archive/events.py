"""What another system wrote down, as it wrote it.

STORAGE FORMAT. Tags, field names and meanings are in every ledger out there. Add a field only with a
default; anything else is a new schema version and owes an upcaster and a golden file (ADR 0004).

No name or address of a person is in here: where one stood, their id stands.
"""

from ledger.domain.event import Event, Imported
from ledger.domain.ids import PersonId


class AuditEntryImported(Event, frozen=True, kw_only=True, tag="audit-entry-imported"):
    """An entry of the prototype's audit log; each is alone in its stream.

    ``timestamp`` is its time as it was written, ``at`` the moment that was read in it; ``person`` who did it
    (``None``: it did not say); ``details`` are JSON, with person ids in the place of names.
    """

    timestamp: str
    event: str
    person: PersonId | None
    details: str
    imported: Imported
