"""Rows of a live database, given as plain values."""

from datetime import UTC, datetime

import pytest

from ledger.verifier.rows import Row, Rows, RowsMissing
from ledger.verifier.tree import Upper

BEHIND = Row(
    position=3,
    stream="decision-behind",
    version=1,
    type="comment-added",
    schema_version=1,
    event_id="",
    recorded_at=datetime(2026, 3, 1, tzinfo=UTC),
    actor="",
    command_id="",
    causation_id="",
    correlation_id="",
    envelope=b"",
    leaf_hash=b"",
    salt=b"",
    payload=b"",
)


def test_missing_rows_are_not_said_to_be_of_the_stream_behind_them():
    rows = Rows(None, Upper(0, {}.__getitem__), ledger=1)

    with pytest.raises(RowsMissing) as missing:
        rows.take(BEHIND)

    assert missing.value.context == {"position": 1, "events": 2}
