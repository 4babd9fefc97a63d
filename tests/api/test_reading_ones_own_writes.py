"""Once a command has answered, every read on every instance shows it; a stalled view delays no command."""

import asyncio

import pytest

from tests.api.answers import decide, pending, pending_in_a_crowd, submit
from tests.support.http import Api

SUMMARY = "/api/decisions/stats/summary"
HANG = 60.0


@pytest.mark.parametrize("reader", ["same", "other"])
async def test_what_was_submitted_and_decided_is_shown_at_once(api: Api, second: Api, reader: str) -> None:
    admin, instance = await api.login(), api if reader == "same" else second

    for number in range(15):
        analysis_id = f"item-{number}"
        submitted = await submit(api, admin, analysis_id)
        assert "ledger-view-stale" not in submitted.headers
        await _shows(instance, admin, analysis_id, "pending", number)
        assert (await decide(api, admin, analysis_id)).status_code == 200
        await _shows(instance, admin, analysis_id, "approved", number)


async def test_a_registration_is_counted_and_a_login_dated_at_once_everywhere(api: Api, second: Api) -> None:
    admin = await api.login()
    for number in range(3):
        headers = await api.newcomer(f"sam-{number}")
        status = (await second.client.get("/api/status", headers=admin)).json()
        assert status["total_users"] == number + 2
        me = (await second.client.get("/api/auth/me", headers=headers)).json()
        assert me["last_login"] is not None


async def test_each_of_many_writers_reads_their_own_write_on_the_other_instance(
    api: Api, second: Api
) -> None:
    admin = await api.login()

    async def write_and_read(number: int) -> bool:
        here, there = (api, second) if number % 2 else (second, api)
        await submit(here, admin, f"item-{number}", priority="critical")
        return f"item-{number}" in await pending_in_a_crowd(there, admin)

    async with asyncio.timeout(HANG):
        assert all(await asyncio.gather(*(write_and_read(number) for number in range(30))))


async def test_a_stalled_view_does_not_stall_a_command_and_is_told(api: Api) -> None:
    admin = await api.login()
    assert api.services.runner is not None
    await api.services.runner.stop()

    async with asyncio.timeout(HANG):
        submitted = await submit(api, admin, "beacon-17")
        decided = await decide(api, admin, "beacon-17")

    assert set(submitted.headers["ledger-view-stale"].split(",")) == {"queue", "decisions", "statistics"}
    assert decided.status_code == 200
    assert "ledger-view-stale" in decided.headers


async def test_an_item_and_its_response_are_current_while_views_stand_still(api: Api) -> None:
    sam, kim = await api.newcomer("sam"), await api.newcomer("kim")
    await submit(api, sam, "before")
    assert api.services.runner is not None
    await api.services.runner.stop()
    await submit(api, sam, "after")
    await decide(api, sam, "before", "escalated", escalation_reason="unsure")
    escalated = await decide(api, sam, "after", "escalated", escalation_reason="unsure")
    assert (await _response(api, sam, "after")) == escalated.json()

    decided = [await decide(api, kim, analysis_id) for analysis_id in ("before", "after")]

    for analysis_id, verdict in zip(("before", "after"), decided, strict=True):
        assert await _response(api, sam, analysis_id) == verdict.json()
        item = await api.client.get(f"/api/decisions/{analysis_id}", headers=sam)
        assert item.json()["status"] == "approved"
        assert item.headers["etag"] == verdict.headers["etag"]


async def _response(api: Api, by: dict[str, str], analysis_id: str) -> dict[str, object]:
    return (await api.client.get(f"/api/decisions/{analysis_id}/response", headers=by)).json()


async def _shows(api: Api, by: dict[str, str], analysis_id: str, status: str, done: int) -> None:
    """Every read tells of this item, after ``done`` others were decided."""
    is_open = status == "pending"
    assert await pending(api, by) == ([analysis_id] if is_open else [])
    item = (await api.client.get(f"/api/decisions/{analysis_id}", headers=by)).json()
    assert item["status"] == status
    response = await api.client.get(f"/api/decisions/{analysis_id}/response", headers=by)
    assert response.status_code == (404 if is_open else 200)
    summary = (await api.client.get(SUMMARY, headers=by)).json()
    assert (summary["total_pending"], summary["total_completed"]) == (
        int(is_open),
        done + int(not is_open),
    )
