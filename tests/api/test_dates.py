"""Times in: with an offset or as UTC, between 1970 and 2200; times out: UTC."""

import time
from collections.abc import Iterator

import pytest

from tests.api.answers import submit, together, wrong_fields
from tests.support.http import Api, submission


@together
@pytest.mark.parametrize(
    ("sent", "told"),
    [
        ("2026-03-01T08:30:00Z", "2026-03-01T08:30:00Z"),
        ("2026-03-01T08:30:00", "2026-03-01T08:30:00Z"),
        ("2026-03-01 08:30:00", "2026-03-01T08:30:00Z"),
        ("2026-03-01t08:30:00z", "2026-03-01T08:30:00Z"),
        ("2026-03-01T08:30:00.123456Z", "2026-03-01T08:30:00.123456Z"),
        ("2026-03-01T08:30:00+14:00", "2026-02-28T18:30:00Z"),
        ("2026-03-01T08:30:00-12:00", "2026-03-01T20:30:00Z"),
        ("2026-03-29T02:30:00+01:00", "2026-03-29T01:30:00Z"),
        ("2026-10-25T02:30:00+02:00", "2026-10-25T00:30:00Z"),
        ("2026-10-25T02:30:00+01:00", "2026-10-25T01:30:00Z"),
        ("2024-02-29T12:00:00Z", "2024-02-29T12:00:00Z"),
        ("1970-01-01T00:00:00Z", "1970-01-01T00:00:00Z"),
        ("1970-01-01T14:00:00+14:00", "1970-01-01T00:00:00Z"),
        ("2199-12-31T23:59:59.999999Z", "2199-12-31T23:59:59.999999Z"),
        ("2200-01-01T05:00:00+14:00", "2199-12-31T15:00:00Z"),
    ],
)
async def test_a_moment_is_brought_to_utc(shared: Api, admin: dict[str, str], sent: str, told: str) -> None:
    analysis_id = f"at-{sent}"
    await submit(shared, admin, analysis_id, created_at=sent)

    item = (await shared.client.get(f"/api/decisions/{analysis_id}", headers=admin)).json()

    assert item["created_at"] == told


@pytest.fixture
def far_east(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A machine whose own clock shows the time of Tokyo."""
    with monkeypatch.context() as patched:
        patched.setenv("TZ", "JST-9")
        time.tzset()
        yield
    time.tzset()


@together
async def test_a_moment_without_an_offset_is_utc_wherever_the_service_runs(
    shared: Api, admin: dict[str, str], far_east: None
) -> None:
    await submit(shared, admin, "naive", created_at="2026-03-01T08:30:00")

    item = (await shared.client.get("/api/decisions/naive", headers=admin)).json()

    assert item["created_at"] == "2026-03-01T08:30:00Z"


@together
@pytest.mark.parametrize(
    "sent",
    [
        "0001-01-01T00:00:00Z",
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59Z",
        "9999-12-31T23:59:59-12:00",
        "1969-12-31T23:59:59.999999Z",
        "1970-01-01T00:00:00+00:01",
        "2200-01-01T00:00:00Z",
        "2199-12-31T23:59:59-00:01",
        "0000-01-01T00:00:00Z",
        "10000-01-01T00:00:00Z",
        "2026-06-30T23:59:60Z",
        "2026-02-29T12:00:00Z",
        "2026-13-01T00:00:00Z",
        "2026-03-01T24:00:00Z",
        "2026-03-01T08:30:00+25:00",
        "2026-03-01",
        "2026-03-01T08:30",
        "08:30:00",
        "1772353800",
        "yesterday",
        "",
        "２０２６-03-01T08:30:00Z",  # noqa: RUF001
        1772353800,
        1772353800.5,
        None,
        True,
        ["2026-03-01T08:30:00Z"],
    ],
)
async def test_what_is_no_moment_or_out_of_range_is_refused(
    shared: Api, admin: dict[str, str], sent: object
) -> None:
    before = await shared.ledger.head()

    answer = await shared.client.post(
        "/api/decisions/submit", headers=admin, json=submission("x", created_at=sent)
    )

    assert wrong_fields(answer) == {"created_at"}
    assert await shared.ledger.head() == before
