"""Bytes to events and back, and what is said of bytes that are no event."""

from datetime import UTC, datetime

import pytest

from ledger.domain.decision.events import ClaimRenewed, DecisionResolved
from ledger.domain.session.events import EndCause, SessionEnded, SessionExpired
from ledger.store.codec import UnknownSchemaVersion, UnknownType, UnreadableEvent, decode, encode, read
from tools.golden import Golden

ENDED = SessionEnded(at=datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC), cause=EndCause.LOGOUT)
STORED = b'{"type":"session-ended","at":"2026-01-02T03:04:05.678901Z","cause":"logout"}'


def test_an_event_is_written_as_compact_json_with_its_type_first() -> None:
    assert encode(ENDED) == STORED


def test_what_was_written_reads_the_same() -> None:
    assert decode((SessionExpired, SessionEnded), "session-ended", 1, STORED) == ENDED


def test_an_unknown_type_is_named() -> None:
    with pytest.raises(UnknownType) as refusal:
        decode((SessionExpired,), "session-ended", 1, STORED)

    assert refusal.value.context == {"type": "session-ended"}


def test_a_newer_version_asks_for_an_upgrade() -> None:
    with pytest.raises(UnknownSchemaVersion) as refusal:
        decode((SessionEnded,), "session-ended", 2, STORED)

    assert refusal.value.context == {"type": "session-ended", "schema_version": 2, "newest": 1}
    assert "upgrade" in str(refusal.value)


@pytest.mark.parametrize("version", [0, 3])
def test_a_version_without_a_way_is_not_guessed_at(version: int) -> None:
    with pytest.raises(UnknownSchemaVersion) as refusal:
        decode((DecisionResolved,), "decision-resolved", version, b"{}")

    assert refusal.value.context == {"type": "decision-resolved", "schema_version": version, "newest": 2}


def test_a_reading_shows_what_was_stored_and_what_was_made_of_it() -> None:
    stored = Golden().stored("decision-resolved", 1)
    reading = read((DecisionResolved,), "decision-resolved", 1, stored)

    assert reading.stored == stored
    assert reading.event == decode((DecisionResolved,), "decision-resolved", 1, stored)
    assert reading.upcasters == ("decision_resolved_v1_to_v2",)


def test_a_reading_of_todays_version_names_no_upcaster() -> None:
    reading = read((SessionEnded,), "session-ended", 1, STORED)

    assert (reading.stored, reading.event, reading.upcasters) == (STORED, ENDED, ())


@pytest.mark.parametrize("payload", [b"", b"{}", b"[]", b"\xff", b'{"type":"session-expired"}', STORED[:-1]])
def test_broken_bytes_are_unreadable_not_guessed_at(payload: bytes) -> None:
    with pytest.raises(UnreadableEvent) as refusal:
        decode((SessionEnded,), "session-ended", 1, payload)

    assert refusal.value.context["type"] == "session-ended"


def test_a_field_that_a_newer_release_added_is_passed_over() -> None:
    assert decode((SessionEnded,), "session-ended", 1, STORED[:-1] + b',"new":1}') == ENDED


def test_a_time_without_an_offset_is_unreadable() -> None:
    naive = (
        b'{"type":"claim-renewed","at":"2026-01-02T03:04:05","holder":"9f0f5a1e-0000-4000-8000-000000000000",'
        b'"lease_id":"9f0f5a1e-0000-4000-8000-000000000000","expires_at":"2026-01-02T03:04:05Z"}'
    )
    with pytest.raises(UnreadableEvent):
        decode((ClaimRenewed,), "claim-renewed", 1, naive)
