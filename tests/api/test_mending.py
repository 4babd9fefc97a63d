"""What administrators do about read models over HTTP: each act has its effect, its record, and its refusals."""

from uuid import UUID

import pytest

from ledger.domain.authority import Role
from ledger.domain.operations.decide import OPERATIONS
from ledger.domain.operations.events import OperationsEvent
from ledger.projections import failures
from ledger.projections.catalog import ALL
from ledger.store.streams import read_stream, recorded
from tests.projections.given import until
from tests.projections.scenes import changed
from tests.support.databases import Database
from tests.support.http import Api, submission, verdict

ADMIN = "/admin/projections"
HEALTH = "/health/projections"
NOBODY = UUID(int=7)


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is tried again by itself while a test looks."""
    monkeypatch.setattr(failures, "RETRY_WAITS", (3600.0,) * 5)


async def post(api: Api, path: str, body: object, **headers: str) -> tuple[int, dict[str, object]]:
    answer = await api.client.post(
        f"{ADMIN}{path}", json=body, headers={**await api.login(), **headers}, timeout=30
    )
    found: dict[str, object] = answer.json()
    return answer.status_code, found


async def submit(api: Api, *ids: str) -> None:
    for analysis_id in ids:
        answer = await api.client.post(
            "/api/decisions/submit", json=submission(analysis_id), headers=await api.login()
        )
        assert answer.status_code == 200, answer.text


async def approve(api: Api, analysis_id: str) -> None:
    ana = await api.newcomer("ana")
    answer = await api.client.post(
        f"/api/decisions/{analysis_id}/decide", json=verdict(analysis_id), headers=ana
    )
    assert answer.status_code == 200, answer.text


async def break_row(api: Api, analysis_id: str) -> None:
    """Let the database refuse one decision's row in the view."""
    stream = api.ledger.decision_stream(analysis_id)
    await api.ledger.pool.execute(
        f"alter table views.decisions_v2 add constraint broken check (stream <> '{stream}')"
    )


async def mend_row(api: Api) -> None:
    await api.ledger.pool.execute("alter table views.decisions_v2 drop constraint broken")


async def the_failure(api: Api) -> str:
    answer = await api.client.get(f"{HEALTH}/decisions/failures", headers=await api.login())
    (failure,) = answer.json()
    return str(failure["id"])


async def acts(api: Api, name: str = "decisions") -> list[OperationsEvent]:
    (version,) = [feed.version for feed in ALL if feed.name == name]
    stream = await read_stream(api.ledger, api.ledger.operations_stream(name, version))
    return [recorded(one, OPERATIONS.event_types).event for one in stream.events]


async def counted(api: Api) -> tuple[int, int, int]:
    """Applied, parked, skipped; the database itself checks that with those not wanted they make the position."""
    row = await api.ledger.pool.fetchrow(
        "select events_applied, events_parked, events_skipped from views.checkpoints"
        " where projection = 'decisions'"
    )
    assert row is not None
    return tuple(row)


async def version_of(api: Api, analysis_id: str) -> int | None:
    version: int | None = await api.ledger.pool.fetchval(
        "select version from views.decisions_v2 where stream = $1", api.ledger.decision_stream(analysis_id)
    )
    return version


async def test_a_retry_after_the_repair_applies_the_culprit_and_what_waits_behind_it(api: Api) -> None:
    await break_row(api, "one")
    await submit(api, "one")
    await approve(api, "one")
    failure = await the_failure(api)
    await mend_row(api)
    status, body = await post(
        api, f"/failures/{failure}/resolve", {"compensation_strategy": "retry", "reason": "mended"}
    )

    assert (status, body["status"], body["resolution_method"]) == (200, "resolved", "manual_replay")
    assert (body["events_applied"], body["projection_name"]) == (3, "decisions")
    assert body["resolved_at"] is not None
    assert await version_of(api, "one") == 3
    assert await counted(api) == (3, 0, 0)
    (act,) = await acts(api)
    assert (act.is_resolved, act.events_applied, act.reason) == (True, 3, "mended")
    answer = await api.client.get(
        f"{HEALTH}/decisions/failures?include_resolved=true", headers=await api.login()
    )
    (found,) = answer.json()
    assert (found["state"], found["resolution_method"]) == ("resolved", "manual_replay")


async def test_a_retry_before_the_repair_fails_again_and_says_so(api: Api) -> None:
    await break_row(api, "one")
    await submit(api, "one")
    failure = await the_failure(api)
    status, body = await post(api, f"/failures/{failure}/resolve", {"compensation_strategy": "retry"})

    assert (status, body["status"], body["resolved_at"]) == (200, "failed", None)
    assert await counted(api) == (0, 1, 0)
    (act,) = await acts(api)
    assert act.is_resolved is False
    row = await api.ledger.pool.fetchrow("select attempts from views.failures")
    assert row is not None
    assert row["attempts"] == 2


async def test_what_was_changed_since_it_was_recorded_is_neither_retried_nor_replayed(
    api: Api, database: Database
) -> None:
    await break_row(api, "one")
    await submit(api, "one")
    failure = await the_failure(api)
    await mend_row(api)
    position = await api.ledger.pool.fetchval(
        "select position from ledger.events where stream = $1", api.ledger.decision_stream("one")
    )
    await changed(database, position)

    for path, asked in (
        (f"/failures/{failure}/resolve", {"compensation_strategy": "retry"}),
        (f"/failures/{failure}/resolve", {"compensation_strategy": "retry", "dry_run": True}),
        ("/decisions/replay", {"from_sequence": position}),
    ):
        status, body = await post(api, path, asked)
        assert (status, body["code"]) == (503, "payload-changed")
    assert await version_of(api, "one") is None
    assert await counted(api) == (0, 1, 0)
    assert await acts(api) == []


async def test_a_dry_run_shows_the_row_changes_and_changes_nothing(api: Api) -> None:
    await break_row(api, "one")
    await submit(api, "one")
    failure = await the_failure(api)
    status, body = await post(
        api, f"/failures/{failure}/resolve", {"compensation_strategy": "retry", "dry_run": True}
    )
    assert (status, body["status"], body["rows_changed"]) == (200, "would_fail", 0)
    assert "CheckViolationError" in str(body["message"])

    await mend_row(api)
    status, body = await post(
        api, f"/failures/{failure}/resolve", {"compensation_strategy": "retry", "dry_run": True}
    )

    assert (status, body["status"], body["rows_changed"]) == (200, "would_resolve", 1)
    (change,) = body["changes"]
    assert (change["table"], change["before"], change["after"]["version"]) == ("decisions_v2", None, 1)
    assert await version_of(api, "one") is None
    assert await counted(api) == (0, 1, 0)
    assert await acts(api) == []
    assert await the_failure(api) == failure


@pytest.mark.parametrize(("strategy", "method"), [("skip", "manual_skip"), ("manual_fix", "manual_fix")])
async def test_giving_an_event_up_is_accounted_for(api: Api, strategy: str, method: str) -> None:
    await break_row(api, "one")
    await submit(api, "one", "two")
    failure = await the_failure(api)
    status, body = await post(
        api,
        f"/failures/{failure}/resolve",
        {"compensation_strategy": strategy, "reason": "a test item"},
    )

    assert (status, body["status"], body["resolution_method"]) == (200, "resolved", method)
    assert await counted(api) == (1, 0, 1)
    (act,) = await acts(api)
    assert (act.reason, str(act.failure)) == ("a test item", failure)


@pytest.mark.parametrize("strategy", ["skip", "manual_fix"])
async def test_giving_an_event_up_needs_a_reason(api: Api, strategy: str) -> None:
    await break_row(api, "one")
    await submit(api, "one")
    failure = await the_failure(api)
    for dry_run in (False, True):
        status, body = await post(
            api,
            f"/failures/{failure}/resolve",
            {"compensation_strategy": strategy, "reason": " ", "dry_run": dry_run},
        )
        assert (status, body["code"]) == (422, "reason-missing")
    assert await counted(api) == (0, 1, 0)


async def test_the_same_key_gets_the_first_answer_and_has_one_effect(api: Api) -> None:
    await break_row(api, "one")
    await submit(api, "one")
    failure = await the_failure(api)
    body = {"compensation_strategy": "skip", "reason": "a test item"}
    first = await post(api, f"/failures/{failure}/resolve", body, **{"Idempotency-Key": "k"})
    second = await post(api, f"/failures/{failure}/resolve", body, **{"Idempotency-Key": "k"})

    assert first[0] == 200
    assert second == first
    assert len(await acts(api)) == 1


async def test_what_is_resolved_is_not_resolved_again(api: Api) -> None:
    await break_row(api, "one")
    await submit(api, "one")
    failure = await the_failure(api)
    body = {"compensation_strategy": "skip", "reason": "a test item"}
    await post(api, f"/failures/{failure}/resolve", body)
    status, problem = await post(api, f"/failures/{failure}/resolve", body)

    assert (status, problem["code"]) == (409, "failure-resolved")


async def test_a_pause_lets_commands_go_on_and_a_resume_catches_up(api: Api) -> None:
    assert (await post(api, "/decisions/pause", {"reason": "looking"}))[0] == 200
    status, problem = await post(api, "/decisions/pause", {})
    assert (status, problem["code"]) == (409, "already-paused")
    answer = await api.client.post("/api/decisions/submit", json=submission("one"), headers=await api.login())
    assert (answer.status_code, answer.headers["Ledger-View-Stale"]) == (200, "decisions")
    answer = await api.client.get(f"{HEALTH}/decisions", headers=await api.login())
    assert (answer.json()["state"], answer.json()["is_paused"]) == ("paused", True)
    assert answer.json()["health_status"] == "healthy", "somebody wants it so"
    answer = await api.client.get("/health/ready")
    assert answer.status_code == 200, "paused is not red"

    assert (await post(api, "/decisions/resume", {"reason": "looked"}))[0] == 200
    status, problem = await post(api, "/decisions/resume", {})
    assert (status, problem["code"]) == (409, "not-paused")
    head = await api.ledger.head()
    await until(lambda: api.services.progress.position("decisions") >= head)
    assert await version_of(api, "one") == 1
    assert [type(act).__name__ for act in await acts(api)] == ["ProjectionPaused", "ProjectionResumed"]


async def test_a_replay_makes_what_was_spoilt_anew(api: Api) -> None:
    await submit(api, "one", "two")
    await approve(api, "one")
    before = await api.ledger.pool.fetch("select * from views.decisions_v2 order by stream")
    await api.ledger.pool.execute("update views.decisions_v2 set version = 7")
    status, dry = await post(api, "/decisions/replay", {"dry_run": True})
    assert (status, dry["rows_changed"], dry["events_replayed"]) == (200, 2, 4)
    assert await version_of(api, "one") == 7

    status, body = await post(api, "/decisions/replay", {"reason": "spoilt by hand"})

    assert (status, body["status"], body["events_replayed"]) == (200, "completed", 4)
    assert (body["events_skipped"], body["events_failed"], body["sequences"]) == (0, 0, 2)
    assert await api.ledger.pool.fetch("select * from views.decisions_v2 order by stream") == before
    assert await counted(api) == (4, 0, 0)
    (act,) = await acts(api)
    assert (act.reason, act.events_replayed) == ("spoilt by hand", 4)


async def test_a_replay_mends_what_is_parked_and_keeps_what_was_skipped(api: Api) -> None:
    await break_row(api, "one")
    await submit(api, "one")
    failure = await the_failure(api)
    await post(api, f"/failures/{failure}/resolve", {"compensation_strategy": "skip", "reason": "a test"})
    await mend_row(api)
    status, body = await post(api, "/decisions/replay", {})
    assert (status, body["events_replayed"], body["events_skipped"]) == (200, 0, 1)
    assert await counted(api) == (0, 0, 1)

    status, body = await post(api, "/decisions/replay", {"skip_failed": False})

    assert (status, body["events_replayed"], body["events_skipped"]) == (200, 1, 0)
    assert await counted(api) == (1, 0, 0)


async def test_a_replay_parks_what_still_fails_and_resolves_what_does_not(api: Api) -> None:
    await break_row(api, "one")
    await submit(api, "one")
    failure = await the_failure(api)
    status, body = await post(api, "/decisions/replay", {})
    assert (status, body["status"], body["events_failed"]) == (200, "completed_with_failures", 1)
    assert await the_failure(api) == failure, "it is the same failure still"
    assert await counted(api) == (0, 1, 0)

    await mend_row(api)
    status, body = await post(api, "/decisions/replay", {})
    assert (status, body["status"], body["events_replayed"]) == (200, "completed", 1)
    assert await counted(api) == (1, 0, 0)
    row = await api.ledger.pool.fetchrow("select state, resolution from views.failures")
    assert row is not None
    assert tuple(row) == ("resolved", "manual_replay")


@pytest.mark.parametrize(
    "bad",
    [
        {"from_sequence": 3, "to_sequence": 2},
        {"from_sequence": -1},
        {"from_sequence": 0},
        {"to_sequence": 10**9},
        {"from_sequence": "1"},
        {"from_sequence": 2**63},
    ],
)
async def test_a_range_that_is_not_in_the_log_is_refused(api: Api, bad: dict[str, object]) -> None:
    assert (await post(api, "/decisions/replay", {**bad, "dry_run": True}))[0] == 422
    assert (await post(api, "/decisions/replay", bad))[0] == 422
    assert await acts(api) == []


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/decisions/replay", {"from_position": 1, "to_position": 1}),
        ("/decisions/replay", {"dry-run": True}),
        (f"/failures/{NOBODY}/resolve", {"compensation_strategy": "skip", "reason": "x", "dryRun": True}),
    ],
)
async def test_a_misspelt_field_is_refused_and_nothing_is_done(
    api: Api, path: str, body: dict[str, object]
) -> None:
    """Ignored, it would replay everything, or do for good what was meant to be tried."""
    assert (await post(api, path, body))[0] == 422
    assert await acts(api) == []


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/nothing/pause", {}),
        ("/nothing/resume", {}),
        ("/nothing/replay", {}),
        (f"/failures/{NOBODY}/resolve", {"compensation_strategy": "retry"}),
        (f"/failures/{NOBODY}/resolve", {"compensation_strategy": "retry", "dry_run": True}),
    ],
)
async def test_what_is_not_there_is_not_found(api: Api, path: str, body: dict[str, object]) -> None:
    assert (await post(api, path, body))[0] == 404


@pytest.mark.parametrize("role", [Role.ANALYST, Role.VIEWER, Role.AUDITOR, Role.SERVICE])
async def test_only_administrators_mend(api: Api, role: Role) -> None:
    token = await api.newcomer("else", role)
    for path in ("/queue/pause", "/queue/resume", "/queue/replay", f"/failures/{NOBODY}/resolve"):
        answer = await api.client.post(f"{ADMIN}{path}", json={}, headers=token)
        assert answer.status_code == 403
        assert "Admin access required" in answer.json()["detail"]
    looked = await api.client.get(f"{HEALTH}/queue", headers=token)
    assert looked.status_code == (200 if role is Role.AUDITOR else 403)
    assert (await api.client.post(f"{ADMIN}/queue/pause", json={})).status_code == 401


async def test_what_is_too_much_to_replay_is_to_be_rebuilt(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    await submit(api, "one", "two")
    monkeypatch.setattr("ledger.projections.replay.MOST_STREAMS", 1)
    for dry_run in (True, False):
        status, problem = await post(api, "/decisions/replay", {"dry_run": dry_run})
        assert (status, problem["code"]) == (409, "use-rebuild")
    assert await acts(api) == []
