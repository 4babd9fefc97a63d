"""Rows of a live database, given as plain values."""

import msgspec
import pytest

from ledger.verifier.rows import Row, Rows, RowsAdded, RowsMissing
from ledger.verifier.tree import Upper

BEHIND = Row(
    position=3,
    stream="decision-behind",
    version=1,
    type="comment-added",
    schema_version=1,
    event_id="",
    recorded_at="2026-03-01T00:00:00.000000Z",
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


def test_a_row_at_a_position_that_was_passed_is_one_too_many():
    rows = Rows(None, Upper(0, {}.__getitem__), ledger=1)
    again = msgspec.structs.replace(BEHIND, position=0)

    with pytest.raises(RowsAdded) as added:
        rows.take(again)

    assert added.value.context == {"position": 0, "streams": ["decision-behind"]}
