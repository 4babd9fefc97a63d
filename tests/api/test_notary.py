"""How the log is sealed, over HTTP: its status for overseers, and a halt where everybody looks."""

import asyncio
from base64 import b64encode
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from tests.api.answers import assert_refused, ready, together
from tests.identity.house import MovingClock
from tests.support.http import Api
from tests.support.sealing import guard_in, keyring_in, sealed_in, sealer_in

STATUS = "/admin/notary/status"
HANG = 60.0


async def asked(api: Api, by: dict[str, str]) -> dict[str, object]:
    answer = await api.client.get(STATUS, headers=by)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


@together
@pytest.mark.parametrize(
    ("role", "status"), [("auditor", 200), ("analyst", 403), ("viewer", 403), ("service", 403)]
)
async def test_overseers_see_how_the_log_is_sealed(shared: Api, role: str, status: int) -> None:
    by = await shared.newcomer(f"a-{role}", role)
    assert (await shared.client.get(STATUS, headers=by)).status_code == status
    assert_refused(await shared.client.get(STATUS), 401, "Not authenticated")


async def test_the_status_tells_the_last_checkpoint_and_what_came_after_it(api: Api, tmp_path: Path) -> None:
    by = await api.login()
    before = await asked(api, by)
    assert (before["size"], before["sealed_at"], before["vkey"], before["is_sealing"]) == (
        0,
        None,
        None,
        False,
    )
    assert before["root"] == "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="

    sealed = await sealed_in(api.ledger, tmp_path)
    found = await asked(api, by)
    (signer,) = keyring_in(api.ledger, tmp_path).signers()
    assert (found["size"], found["root"]) == (sealed.size, b64encode(sealed.root).decode())
    assert (found["vkey"], found["halted"], found["lag_events"]) == (signer.vkey, None, 0)
    assert str(found["vkey"]).startswith(f"{found['origin']}+")
    assert found["unsealed_since"] is None

    await api.login()
    later = await asked(api, by)
    assert (later["size"], later["lag_events"]) == (sealed.size, 1)
    assert later["unsealed_since"] is not None


async def test_events_that_nobody_seals_for_a_minute_degrade_a_service_that_stays_ready(
    timed: Api, clock: MovingClock, tmp_path: Path
) -> None:
    async def degraded() -> list[str]:
        answer = await timed.client.get("/health/ready")
        assert answer.status_code == 200
        return list(answer.json()["degraded"])

    by = await timed.login()
    await ready(timed)
    since = datetime.fromisoformat(str((await asked(timed, by))["unsealed_since"]))
    async with asyncio.timeout(HANG):
        clock.now = since + timedelta(seconds=61)
        while await degraded() != ["sealing-late"]:
            await asyncio.sleep(0.01)
        clock.now = since + timedelta(seconds=60)
        assert await degraded() == []
        clock.now = since + timedelta(seconds=61)
        await sealed_in(timed.ledger, tmp_path)
        while await degraded():
            await asyncio.sleep(0.01)


async def test_a_halt_is_seen_while_everything_else_goes_on(api: Api, tmp_path: Path) -> None:
    by = await api.login()
    await ready(api)
    assert (await api.client.get("/health/ready")).json()["degraded"] == []
    await sealed_in(api.ledger, tmp_path)
    guard_in(tmp_path)._path.unlink()
    async with asyncio.timeout(HANG):
        sealing = asyncio.create_task(sealer_in(api.ledger, tmp_path).run_forever())
        while (await api.client.get("/health/ready")).json()["degraded"] != ["sealing"]:
            await asyncio.sleep(0.01)
        sealing.cancel()
        await asyncio.gather(sealing, return_exceptions=True)

    assert (await api.client.get("/health/ready")).status_code == 200
    halted = (await asked(api, by))["halted"]
    assert isinstance(halted, dict)
    assert (halted["code"], str(tmp_path) in halted["because"]) == ("guard-missing", True)
    await api.newcomer("sam")  # commands go on
