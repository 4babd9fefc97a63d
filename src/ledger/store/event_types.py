"""Every event type that a ledger may hold, of whatever aggregate: for whoever reads the log as a whole."""

from typing import Final

from ledger.domain.access.decide import ACCESS
from ledger.domain.account.decide import ACCOUNT
from ledger.domain.archive.events import AuditEntryImported
from ledger.domain.decision.decide import DECISION
from ledger.domain.event import Event
from ledger.domain.export.decide import EXPORT
from ledger.domain.kind.decide import KIND
from ledger.domain.login.decide import LOGIN
from ledger.domain.notary.decide import NOTARY
from ledger.domain.operations.decide import OPERATIONS
from ledger.domain.policy.decide import POLICY
from ledger.domain.reading.decide import READING
from ledger.domain.session.decide import SESSION
from ledger.domain.subject.decide import SUBJECT
from ledger.domain.webhook.decide import WEBHOOK

EVENT_TYPES: Final[tuple[type[Event], ...]] = (
    *DECISION.event_types,
    *SESSION.event_types,
    *ACCOUNT.event_types,
    *ACCESS.event_types,
    *LOGIN.event_types,
    *OPERATIONS.event_types,
    *KIND.event_types,
    *POLICY.event_types,
    *SUBJECT.event_types,
    *WEBHOOK.event_types,
    *EXPORT.event_types,
    *READING.event_types,
    *NOTARY.event_types,
    AuditEntryImported,
)
