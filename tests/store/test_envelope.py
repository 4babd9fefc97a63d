"""The envelope is storage format: its bytes, its times and its hashes never change."""

import hashlib
from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID

import hypothesis.strategies as st
from hypothesis import given

from ledger.domain.ids import CommandId, EventId, StreamName, Version
from ledger.store.envelope import Provenance, leaf_hash, open_envelope, seal, timestamp

PROVENANCE = Provenance(
    actor="6f1c1c52-6a0e-4a0c-9d3e-0a4f4e7b1d11",
    command_id=CommandId(UUID("01890000-0000-7000-8000-000000000001")),
    is_keyed=True,
    causation_id=EventId(UUID("01890000-0000-7000-8000-000000000002")),
    correlation_id="4bf92f3577b34da6a3ce929d0e0e4736",
    request="ab" * 32,
)
GOLDEN = (
    b'{"v":1,"event_id":"01890000-0000-7000-8000-000000000003","ledger":1,'
    b'"stream":"decision-0f8fad5b-d9cb-469f-a165-70867728950e","version":7,"type":"vote-cast","schema_version":2,'
    b'"recorded_at":"2026-03-01T08:30:00.000000Z","actor":"6f1c1c52-6a0e-4a0c-9d3e-0a4f4e7b1d11",'
    b'"command_id":"01890000-0000-7000-8000-000000000001",'
    b'"causation_id":"01890000-0000-7000-8000-000000000002",'
    b'"correlation_id":"4bf92f3577b34da6a3ce929d0e0e4736",'
    b'"request":"'
    + b"ab"
    * 32
    + b'","data":"2a20ff26b0b0e55598fe61529ac186a43666af3876b8780fb8f20a3a8c34daa3",'
    b'"prev":"' + b"cd" * 32 + b'"}'
)


def sealed(recorded_at: datetime = datetime(2026, 3, 1, 8, 30, tzinfo=UTC)) -> bytes:
    return seal(
        provenance=PROVENANCE,
        event_id=EventId(UUID("01890000-0000-7000-8000-000000000003")),
        ledger_id=1,
        stream=StreamName("decision-0f8fad5b-d9cb-469f-a165-70867728950e"),
        version=Version(7),
        event_type="vote-cast",
        schema_version=2,
        recorded_at=recorded_at,
        salt=b"0123456789abcdef",
        payload=b'{"type":"vote-cast"}',
        prev=b"\xcd" * 32,
    )


def test_the_golden_envelope_is_written_byte_for_byte() -> None:
    assert sealed() == GOLDEN


def test_a_leaf_is_the_envelope_behind_a_zero_byte() -> None:
    """RFC 6962, section 2.1."""
    assert leaf_hash(sealed()) == hashlib.sha256(b"\x00" + sealed()).digest()


def test_what_is_not_known_is_empty_never_null() -> None:
    bare = Provenance(actor="system", command_id=PROVENANCE.command_id)
    envelope = open_envelope(
        seal(
            provenance=bare,
            event_id=EventId(UUID(int=3)),
            ledger_id=1,
            stream=StreamName("x"),
            version=Version(1),
            event_type="t",
            schema_version=1,
            recorded_at=datetime(2026, 3, 1, tzinfo=UTC),
            salt=b"",
            payload=b"",
            prev=b"",
        )
    )

    assert (envelope.causation_id, envelope.correlation_id, envelope.request, envelope.prev) == (
        "",
        "",
        "",
        "",
    )


@given(st.datetimes(min_value=datetime(1970, 1, 1), max_value=datetime(2199, 1, 1)), st.integers(-840, 840))  # noqa: DTZ001
def test_a_time_is_written_in_utc_with_six_digits(moment: datetime, minutes: int) -> None:
    aware = moment.replace(tzinfo=timezone(timedelta(minutes=minutes)))

    assert timestamp(aware) == aware.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


@given(st.datetimes(min_value=datetime(1970, 1, 1)), st.sampled_from([0, 120]))  # noqa: DTZ001
def test_an_envelope_holds_its_time_so_written(moment: datetime, minutes: int) -> None:
    zone = timezone(timedelta(minutes=minutes)) if minutes else UTC
    for aware in (moment.replace(tzinfo=zone), moment.replace(microsecond=0, tzinfo=zone)):
        assert open_envelope(sealed(aware)).recorded_at == timestamp(aware)
