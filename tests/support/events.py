"""Streams and events for tests that do not care what happened, only that it did."""

from datetime import UTC, datetime
from uuid import uuid4

import msgspec

from ledger.domain.ids import SessionId
from ledger.domain.session.events import EndCause, SessionEnded
from ledger.store.appends import Append
from ledger.store.envelope import Provenance
from ledger.store.ledger import session_stream
from ledger.store.streams import Stream, draft, keyed_command_id, new_command_id


def an_event() -> SessionEnded:
    return SessionEnded(at=datetime.now(UTC), cause=EndCause.LOGOUT)


def new_stream() -> Stream:
    return Stream(name=session_stream(SessionId(uuid4())), events=())


def by_somebody() -> Provenance:
    return Provenance(actor="system", command_id=new_command_id())


def a_large_append(size: int) -> Append:
    """Draft one event with a payload of ``size`` bytes."""
    plain = draft(new_stream(), [an_event()], by_somebody())
    large = msgspec.structs.replace(plain.events[0], payload=b"x" * size)
    return msgspec.structs.replace(plain, events=(large,))


def with_key(key: str, request: str = "") -> Provenance:
    caller = uuid4()
    return Provenance(
        actor=str(caller), command_id=keyed_command_id(caller, key), is_keyed=True, request=request
    )
