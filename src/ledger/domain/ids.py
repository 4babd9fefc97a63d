"""Identifiers and counters: one type per meaning, made at the edge and never mixed up."""

from typing import Final, NewType
from uuid import UUID

PersonId = NewType("PersonId", UUID)
"""A natural person or a machine's account; random, says nothing about them."""

SessionId = NewType("SessionId", UUID)
KeyId = NewType("KeyId", UUID)
"""An API key of a service account; the key itself is a secret, this is not."""

LeaseId = NewType("LeaseId", UUID)
EvidenceId = NewType("EvidenceId", UUID)
"""A file that somebody attached to a decision."""

BulkId = NewType("BulkId", UUID)
"""One act on many decisions at once."""

SubjectId = NewType("SubjectId", UUID)
"""Whose personal data it is: a person's id, or one derived from what a submitter called a data subject."""

HoldId = NewType("HoldId", UUID)
"""A legal hold on somebody's personal data."""

EventId = NewType("EventId", UUID)
CommandId = NewType("CommandId", UUID)
FailureId = NewType("FailureId", UUID)
RebuildId = NewType("RebuildId", UUID)
WebhookId = NewType("WebhookId", UUID)
MessageId = NewType("MessageId", UUID)
"""What a webhook is sent about one event: the same for every attempt, so that receivers know a repeat."""

DecisionId = NewType("DecisionId", str)
"""The ``analysis_id`` a submitter chose; unique in a ledger."""

StreamName = NewType("StreamName", str)
"""``category-uuid``; opaque, because an id chosen by a client may be personal."""

Version = NewType("Version", int)
"""How many events a stream holds; its first event makes it version 1."""

Position = NewType("Position", int)
"""An event's place in the whole ledger: 1, 2, 3 … without holes, in commit order."""

SubjectKeyId = NewType("SubjectKeyId", str)
"""Names the key of a data subject and commits to it: SHA-256 in base64url, 43 characters."""

Digest = NewType("Digest", str)
"""A SHA-256 in lower-case hexadecimal, 64 characters."""

NO_EVENTS: Final = Version(0)
FIRST_VERSION: Final = Version(1)
START: Final = Position(0)
