"""The bodies of messages: a type, a moment and what is told, as Standard Webhooks recommends."""

from collections.abc import Iterator
from datetime import datetime
from typing import Final
from uuid import UUID

import msgspec

from ledger.delivery.notices import TYPES, Notice, Told, public_type
from ledger.domain.errors import Invalid
from ledger.domain.event import Utc
from ledger.domain.ids import WebhookId
from ledger.webhooks.queue import Filter, NewMessage, message_id

PING: Final = "webhook.ping"
TOPICS: Final = tuple(sorted({public_type(stored) for stored in TYPES}))
"""What a webhook can be asked to be told of."""


class UnknownTopic(Invalid):
    """There is no such topic.

    Context: ``topic``, and the ``topics`` there are.
    """

    code = "unknown-topic"


class Body(msgspec.Struct, frozen=True, kw_only=True):
    """A message about a decision."""

    type: str
    timestamp: Utc
    data: Told


class Pinged(msgspec.Struct, frozen=True, kw_only=True):
    """What a ping says."""

    webhook_id: UUID


class PingBody(msgspec.Struct, frozen=True, kw_only=True):
    """A test message."""

    type: str
    timestamp: Utc
    data: Pinged


def ping_body(webhook: WebhookId, now: datetime) -> bytes:
    """Write a test message."""
    return msgspec.json.encode(PingBody(type=PING, timestamp=now, data=Pinged(webhook_id=webhook)))


def messages_for(wanted: Filter, notices: tuple[Notice, ...]) -> Iterator[NewMessage]:
    """Make a message of each notice that a webhook wants."""
    for notice in notices:
        told = notice.told
        is_wanted = not wanted.topics or told.type in wanted.topics
        is_theirs = wanted.submitter is None or notice.submitted_by == wanted.submitter
        if is_wanted and is_theirs:
            yield NewMessage(
                message=message_id(wanted.webhook, told.position),
                webhook=wanted.webhook,
                position=told.position,
                topic=told.type,
                body=msgspec.json.encode(Body(type=told.type, timestamp=told.at, data=told)),
                parent=notice.parent,
            )


def check_topics(topics: tuple[str, ...]) -> tuple[str, ...]:
    """Put topics in order, each once.

    Raises:
        UnknownTopic: naming the first that there is not.
    """
    for topic in topics:
        if topic not in TOPICS:
            raise UnknownTopic(topic=topic, topics=", ".join(TOPICS))
    return tuple(sorted(set(topics)))
