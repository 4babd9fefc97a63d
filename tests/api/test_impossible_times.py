"""Times in the log that no program can hold, as the database's owner can write them: refused, and nothing else suffers."""

from datetime import UTC, datetime

import pytest

from tests.api.answers import as_owner, assert_refused, decide, pending, submit
from tests.projections.scenes import happened_at
from tests.support.databases import Database
from tests.support.http import Api

CHANGE = """
update ledger.events set recorded_at = '{moment}' where position = (
    select max(position) from ledger.events where type = 'decision-submitted')
"""
HISTORY = ("events", "decisions/CHANGED/timeline", "decisions/CHANGED/state", "decisions/CHANGED/chain")


@pytest.mark.parametrize("moment", ["infinity", "20000-01-01 00:00+00"])
async def test_an_event_of_an_impossible_time_is_refused_as_that_and_others_are_decided(
    api: Api, database: Database, moment: str
) -> None:
    engine, ana, audrey = [
        await api.newcomer(name, role)
        for name, role in (("engine", "service"), ("ana", "analyst"), ("audrey", "auditor"))
    ]
    for analysis_id in ("UNTOUCHED", "CHANGED"):
        await submit(api, engine, analysis_id)
    await as_owner(database, CHANGE.format(moment=moment))

    asked = [await api.client.get(f"/api/audit/{path}", headers=audrey) for path in HISTORY]
    for refused in (*asked, await decide(api, ana, "CHANGED")):
        assert_refused(refused, 503, "audit verify --database")
        assert refused.json()["code"] == "impossible-time"
    assert (await decide(api, ana, "UNTOUCHED")).status_code == 200
    assert await pending(api, ana) == ["CHANGED"]


@pytest.mark.parametrize("moment", ["infinity", "-infinity", "20000-01-01 00:00+00"])
async def test_how_projections_are_doing_is_told_all_the_same(
    api: Api, database: Database, moment: str
) -> None:
    admin = await api.login()
    engine = await api.newcomer("engine", "service")
    await api.client.post("/admin/projections/queue/pause", json={}, headers=admin)
    await submit(api, engine, "CHANGED")
    await as_owner(database, CHANGE.format(moment=moment))
    await as_owner(
        database,
        """update views.checkpoints set position = (select max(position) - 1 from ledger.events
               where type = 'decision-submitted'), events_applied = (select max(position) - 1 from ledger.events
               where type = 'decision-submitted') - events_not_wanted where projection = 'queue'""",
    )

    told = await api.client.get("/health/projections/queue", headers=admin)
    assert told.status_code == 200, told.text
    assert isinstance(told.json()["lag_seconds"], float), told.text
    assert 0 <= told.json()["lag_seconds"] < 3600, told.text
    verified = await api.client.get("/admin/projections/decisions/verify", headers=admin)
    assert_refused(verified, 503, "audit verify --database")
    assert verified.json()["code"] == "impossible-time"


@pytest.mark.parametrize("moment", ["infinity", "20000-01-01 00:00+00"])
async def test_how_sealing_is_doing_is_told_all_the_same(api: Api, database: Database, moment: str) -> None:
    """Nobody seals here: the first event of all waits."""
    await happened_at(database, 1, moment)

    status = await api.services.notary.status()

    assert status.lag > 0
    assert status.seal_age(datetime.now(UTC)) == 0
