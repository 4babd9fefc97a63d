"""The chain lifts one version at a time, and is checked as a whole at start."""

from datetime import UTC, datetime

import msgspec
import pytest

from ledger.domain.session.events import EndCause, SessionEnded
from ledger.store.codec import UnknownSchemaVersion, UnreadableEvent, decode
from ledger.upcasters import chain
from ledger.upcasters.chain import BrokenChain, Chain, Json, first_readable, upcast, validate


def named(payload: Json) -> Json:
    return {**payload, "name": "nobody"}


def counted(payload: Json) -> Json:
    return {**payload, "count": 1}


TWO_STEPS: Chain = {("a", 1): named, ("a", 2): counted}


def test_a_payload_is_lifted_through_every_version_between() -> None:
    assert upcast("a", 1, 3, {"x": 0}, TWO_STEPS) == {"x": 0, "name": "nobody", "count": 1}
    assert upcast("a", 2, 3, {"x": 0}, TWO_STEPS) == {"x": 0, "count": 1}


def test_a_current_payload_is_left_alone() -> None:
    assert upcast("a", 3, 3, {"x": 0}, TWO_STEPS) == {"x": 0}


def test_a_payload_without_a_way_is_not_guessed_at() -> None:
    with pytest.raises(KeyError):
        upcast("a", 0, 3, {}, TWO_STEPS)


def test_the_oldest_readable_version_is_the_start_of_an_unbroken_way() -> None:
    assert first_readable("a", 3, TWO_STEPS) == 1
    assert first_readable("a", 3, {("a", 1): named}) == 3
    assert first_readable("b", 2, TWO_STEPS) == 2


def test_a_whole_chain_is_valid() -> None:
    validate({"a": 3, "b": 1}, TWO_STEPS)
    validate({"a": 1})


@pytest.mark.parametrize(
    ("current", "broken"),
    [
        ({"b": 1}, "no event of this release"),
        ({"a": 2}, "a version 2 does not lead to version 2"),
        ({"a": 4}, "a version 1 does not lead to version 4"),
    ],
)
def test_an_orphan_an_overshoot_and_a_gap_stop_the_start(current: dict[str, int], broken: str) -> None:
    with pytest.raises(BrokenChain, match=broken):
        validate(current, TWO_STEPS)


class Renamed(SessionEnded, frozen=True, kw_only=True, tag="session-ended"):
    schema_version = 2
    note: str


@pytest.fixture
def past(monkeypatch: pytest.MonkeyPatch) -> None:
    """A release in which session-ended has a past."""
    steps: Chain = {("session-ended", 1): lambda payload: {**payload, "note": "was not kept"}}
    monkeypatch.setattr(chain, "CHAIN", steps)
    monkeypatch.setattr(chain.first_readable, "__defaults__", (steps,))
    monkeypatch.setattr(chain.upcast, "__defaults__", (steps,))


@pytest.mark.usefixtures("past")
def test_the_codec_lifts_old_events_and_only_those() -> None:
    old = b'{"type":"session-ended","at":"2026-01-02T03:04:05Z","cause":"logout"}'
    at = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)

    lifted = decode((Renamed,), "session-ended", 1, old)

    assert lifted == Renamed(at=at, cause=EndCause.LOGOUT, note="was not kept")
    assert decode((Renamed,), "session-ended", 2, msgspec.json.encode(lifted)) == lifted
    with pytest.raises(UnknownSchemaVersion):
        decode((Renamed,), "session-ended", 3, old)
    with pytest.raises(UnreadableEvent):
        decode((Renamed,), "session-ended", 1, b'{"type":"session-ended"}')
