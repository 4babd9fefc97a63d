"""The WebSocket of alerts over real sockets, as the wire contract says it."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import pytest
from litestar import WebSocket
from msgspec.structs import force_setattr

from ledger.api import alerts as alerts_api
from ledger.domain.ids import Position
from ledger.limiting.rates import Rates
from ledger.projections.checkpoints import Checkpoint
from ledger.sealing import partners
from ledger.sealing.notes import COSIGNATURE, Signer
from ledger.sealing.witnesses import Watch, Witness
from tests.api.answers import decide, submit
from tests.builders.people import NOW
from tests.support.databases import Database
from tests.support.http import Api
from tests.support.listening import HANG_GUARD, Alerts, Reached, alerts, reachable
from tests.support.sealing import guard_in, sealed_in, sealer_in

POLICY_VIOLATION = 1008


@pytest.fixture
async def reached(database: Database) -> AsyncIterator[Reached]:
    async with reachable(database) as found:
        yield found


async def kinds(found: Alerts, count: int) -> list[tuple[object, object]]:
    return [(alert["alert_type"], _data(alert).get("analysis_id")) for alert in await found.take(count)]


def _data(alert: Mapping[str, object]) -> dict[str, object]:
    data = alert["data"]
    assert isinstance(data, dict)
    return data


async def counts(api: Api, by: dict[str, str]) -> dict[str, int]:
    return dict((await api.client.get("/api/ws/stats", headers=by)).json())


async def gone(api: Api) -> None:
    async with asyncio.timeout(HANG_GUARD):
        while api.services.live.switchboard.counts().current_connections:
            await asyncio.sleep(0.005)


async def test_the_first_message_says_connected_and_from_where(reached: Reached) -> None:
    sam = await reached.api.newcomer("sam")
    head = await reached.api.ledger.head()
    async with alerts(reached.port, "sam", sam) as found:
        first = await found.next()

    assert (first["type"], first["status"], first["username"]) == ("connection", "connected", "sam")
    assert first["position"] == head


async def test_an_alert_has_everything_the_contract_names(reached: Reached) -> None:
    sam = await reached.api.newcomer("sam")
    async with alerts(reached.port, "sam", sam) as found:
        answer = await submit(reached.api, sam, "CASE-1", threat_level="TARGETED", priority="low")
        (alert,) = await found.take(1)

    position = int(answer.headers["ledger-position"])
    told = _data(alert)
    assert alert == {
        "alert_id": f"{position}-new_decision",
        "alert_type": "new_decision",
        "priority": "low",
        "title": "New decision: CASE-1",
        "message": "CASE-1 has priority low.",
        "data": told,
        "timestamp": told["at"],
        "requires_action": True,
        "position": position,
        "resume_after": position,
    }
    assert (told["analysis_id"], told["by"], told["status"]) == ("CASE-1", "sam", "pending")


async def test_events_become_the_alerts_that_the_contract_names(reached: Reached) -> None:
    sam = await reached.api.newcomer("sam")
    async with alerts(reached.port, "sam", sam) as found:
        await submit(reached.api, sam, "PLAIN", threat_level="TARGETED")
        await submit(reached.api, sam, "WORST", threat_level="APT", priority="critical")
        await submit(reached.api, sam, "TRAP", threat_level="HONEYTOKEN")
        await decide(reached.api, sam, "PLAIN", "escalated", escalation_reason="Beyond me.")
        await decide(reached.api, sam, "TRAP")
        await submit(reached.api, sam, "LAST", threat_level="TARGETED")

        assert await kinds(found, 8) == [
            ("new_decision", "PLAIN"),
            ("new_decision", "WORST"),
            ("critical_threat", "WORST"),
            ("apt_detected", "WORST"),
            ("new_decision", "TRAP"),
            ("honeytoken_triggered", "TRAP"),
            ("incident_escalated", "PLAIN"),
            ("new_decision", "LAST"),
        ]


async def test_a_client_that_comes_back_misses_nothing_and_sees_nothing_twice(reached: Reached) -> None:
    sam = await reached.api.newcomer("sam")
    names = [f"CASE-{number}" for number in range(40)]

    async def arrive() -> None:
        for name in names:
            await submit(reached.api, sam, name, threat_level="TARGETED")

    after = await reached.api.ledger.head()
    arriving = asyncio.create_task(arrive())
    seen: list[object] = []
    while len(seen) < len(names):
        async with alerts(reached.port, "sam", sam, after=after) as found:
            taken = await found.take(min(6, len(names) - len(seen)))
        seen += [_data(alert)["analysis_id"] for alert in taken]
        after = Position(int(str(taken[-1]["resume_after"])))
    await arriving

    assert seen == names


async def test_whoever_left_between_two_alerts_of_one_event_can_have_both(reached: Reached) -> None:
    sam = await reached.api.newcomer("sam")
    start = await reached.api.ledger.head()
    await submit(reached.api, sam, "WORST", threat_level="TARGETED", priority="critical")
    async with alerts(reached.port, "sam", sam, after=start) as found:
        first, second = await found.take(2)
    async with alerts(reached.port, "sam", sam, after=int(str(first["resume_after"]))) as found:
        assert await found.take(2) == [first, second]
    async with alerts(reached.port, "sam", sam, after=int(str(second["resume_after"]))) as found:
        await submit(reached.api, sam, "NEXT", threat_level="TARGETED")
        assert await kinds(found, 1) == [("new_decision", "NEXT")]


async def test_a_client_chooses_what_it_is_alerted_to(reached: Reached) -> None:
    sam = await reached.api.newcomer("sam")
    async with alerts(reached.port, "sam", sam) as found:
        first = await found.next()
        less = await found.say(type="unsubscribe", alert_types=["new_decision", "apt_detected"])
        await submit(reached.api, sam, "CASE-1", threat_level="APT", priority="critical")
        assert await kinds(found, 1) == [("critical_threat", "CASE-1")]
        more = await found.say(type="subscribe", alert_types=["new_decision"])
        await submit(reached.api, sam, "CASE-2", threat_level="APT")
        assert await kinds(found, 1) == [("new_decision", "CASE-2")]

    assert (less["type"], less["alert_types"]) == ("unsubscribed", ["new_decision", "apt_detected"])
    assert more["type"] == "subscribed"
    assert set(map(str, first["alert_types"])) - set(map(str, more["subscriptions"])) == {"apt_detected"}


async def test_the_first_subscription_chooses_and_later_ones_add(reached: Reached) -> None:
    kim = await reached.api.newcomer("kim")
    async with alerts(reached.port, "kim", kim) as found:
        await found.next()
        one = await found.say(type="subscribe", alert_types=["apt_detected"])
        two = await found.say(type="subscribe", alert_types=["new_decision"])

    assert one["subscriptions"] == ["apt_detected"]
    assert sorted(two["subscriptions"]) == ["apt_detected", "new_decision"]


async def test_analysts_are_offered_no_alerts_of_the_system(reached: Reached) -> None:
    async with alerts(reached.port, "admin", await reached.api.login()) as found:
        assert "system_alert" in (await found.next())["alert_types"]
    joe = await reached.api.newcomer("joe")
    async with alerts(reached.port, "joe", joe) as found:
        assert "system_alert" not in (await found.next())["alert_types"]
        asked = await found.say(type="subscribe", alert_types=["system_alert"])

    assert asked["subscriptions"] == []


async def test_a_ping_is_answered(reached: Reached) -> None:
    async with alerts(reached.port, "admin", await reached.api.login()) as found:
        await found.next()

        assert (await found.say(type="ping"))["type"] == "pong"


@pytest.mark.parametrize(
    "sent",
    [
        "",
        "{",
        "[]",
        "null",
        '{"type": "shout"}',
        '{"type": "subscribe"}',
        '{"type": "subscribe", "alert_types": "new_decision"}',
        '{"type": "subscribe", "alert_types": ["everything"]}',
        "[" * 5_000,
        b"\xff\xfe",
        b'{"type": "ping"',
    ],
)
async def test_what_makes_no_sense_is_said_so_and_changes_nothing(
    shared_socket: Alerts, sent: str | bytes
) -> None:
    await shared_socket.socket.send(sent)
    answer = await shared_socket.next()

    assert (answer["type"], answer["code"]) == ("error", "malformed-message")
    assert (await shared_socket.say(type="ping"))["type"] == "pong"


@pytest.fixture
async def shared_socket(reached: Reached) -> AsyncIterator[Alerts]:
    async with alerts(reached.port, "admin", await reached.api.login()) as found:
        await found.next()
        yield found


async def test_fields_that_are_not_known_are_passed_over(shared_socket: Alerts) -> None:
    assert (await shared_socket.say(type="ping", colour="blue"))["type"] == "pong"


async def test_a_message_that_is_too_large_ends_the_connection(shared_socket: Alerts) -> None:
    await shared_socket.socket.send("x" * 20_000)

    assert (await shared_socket.closed())[0] == 1009


async def test_somebody_elses_token_is_accepted_and_closed_with_1008(reached: Reached) -> None:
    await reached.api.newcomer("ana")
    sam = await reached.api.newcomer("sam")
    async with alerts(reached.port, "ana", sam) as found:
        assert await found.closed() == (POLICY_VIOLATION, "not-your-alerts")


@pytest.mark.parametrize("token", ["", "nonsense", "a.b.c", "ldg_" + "x" * 40])
async def test_a_token_that_is_none_is_accepted_and_closed_with_1008(reached: Reached, token: str) -> None:
    async with alerts(reached.port, "admin", {"Authorization": f"Bearer {token}"}) as found:
        code, _ = await found.closed()

    assert code == POLICY_VIOLATION


@pytest.mark.parametrize("role", ["viewer", "auditor", "service"])
async def test_alerts_are_for_analysts_and_administrators(reached: Reached, role: str) -> None:
    vic = await reached.api.newcomer("vic", role)
    async with alerts(reached.port, "vic", vic) as found:
        assert await found.closed() == (POLICY_VIOLATION, "not-your-alerts")


async def test_a_name_in_other_letters_is_the_same_name(reached: Reached) -> None:
    async with alerts(reached.port, "ADMIN", await reached.api.login()) as found:
        assert (await found.next())["type"] == "connection"


@pytest.mark.parametrize("after", ["-1", "soon", "99999999", "9" * 40])
async def test_a_position_that_is_none_is_refused(reached: Reached, after: str) -> None:
    async with alerts(reached.port, "admin", await reached.api.login(), after=after) as found:
        assert await found.closed() == (POLICY_VIOLATION, "no-such-position")


async def test_the_end_of_a_session_ends_the_connection(reached: Reached) -> None:
    sam = await reached.api.newcomer("sam")
    async with alerts(reached.port, "sam", sam) as found:
        await found.next()
        await reached.api.client.post("/api/auth/logout", headers=sam)

        assert await found.closed() == (POLICY_VIOLATION, "session-not-live")


async def test_a_stop_says_that_it_goes_away(reached: Reached) -> None:
    async with alerts(reached.port, "admin", await reached.api.login()) as found:
        await found.next()
        reached.api.services.live.close()

        assert await found.closed() == (1001, "stopping")


async def test_hearts_beat_and_tell_how_far_everything_was_sent(
    reached: Reached, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(alerts_api, "BEAT_SECONDS", 0.05)
    async with alerts(reached.port, "admin", await reached.api.login()) as found:
        first = await found.next()
        beat = await found.next()

    assert (beat["type"], beat["position"]) == ("heartbeat", first["position"])
    assert beat["timestamp"]


async def test_administrators_are_told_when_sealing_halts_and_when_it_goes_on(
    reached: Reached, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(alerts_api, "LOOK_SECONDS", 0.02)
    ledger, guard = reached.api.ledger, guard_in(tmp_path)
    sealed = await sealed_in(ledger, tmp_path)
    async with alerts(reached.port, "admin", await reached.api.login()) as admins:
        await admins.next()
        guard._path.unlink()
        sealing = asyncio.create_task(sealer_in(ledger, tmp_path).run_forever())
        (halted,) = await admins.take(1)
        guard._path.write_text(sealed.note)
        (goes_on,) = await admins.take(1)
        sealing.cancel()
        await asyncio.gather(sealing, return_exceptions=True)

    assert (halted["alert_type"], halted["priority"], halted["requires_action"]) == (
        "system_alert",
        "high",
        True,
    )
    assert (halted["title"], halted["data"]) == ("Sealing: halted", {"halted": ["guard-missing"]})
    assert str(tmp_path) in str(halted["message"])
    assert (goes_on["title"], goes_on["data"]) == ("Sealing: goes on", {"halted": []})


async def test_administrators_are_told_when_a_witness_reports_a_fork_and_when_none_does_any_more(
    reached: Reached, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(alerts_api, "LOOK_SECONDS", 0.02)
    services, ledger = reached.api.services, reached.api.ledger
    north = Witness(name="north", key=Signer("north.example/w", bytes(32), COSIGNATURE).verifier, url=None)
    force_setattr(services, "watch", Watch(witnesses=(north,), quorum_met=bool))
    async with alerts(reached.port, "admin", await reached.api.login()) as admins:
        await admins.next()
        await partners.failed(ledger.pool, 1, north.partner, NOW, problem="fork", forked_size=9)
        services.notary.sealed.ring()
        (forked,) = await admins.take(1)
        async with ledger.pool.acquire() as conn:
            await partners.succeeded(conn, 1, north.partner, NOW)
        services.notary.sealed.ring()
        (well,) = await admins.take(1)

    assert (forked["title"], forked["data"]) == ("Witnesses: a fork is reported", {"forked": ["north"]})
    assert (forked["alert_type"], forked["requires_action"]) == ("system_alert", True)
    assert (well["title"], well["data"]) == ("Witnesses: no fork is reported any more", {"forked": []})


async def test_administrators_alone_are_told_when_read_models_lack_events_and_when_no_more(
    reached: Reached, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(alerts_api, "LOOK_SECONDS", 0.02)
    progress = reached.api.services.progress
    sam = await reached.api.newcomer("sam")
    async with (
        alerts(reached.port, "admin", await reached.api.login()) as admins,
        alerts(reached.port, "sam", sam) as analysts,
    ):
        await admins.next()
        await analysts.next()
        far = Position(10**9)
        progress.saw("queue", Checkpoint(position=far, parked=2, is_paused=False))
        (alert,) = await admins.take(1)
        progress.saw("queue", Checkpoint(position=far, parked=0, is_paused=False))
        (well,) = await admins.take(1)
        pong = await analysts.say(type="ping")

    assert (alert["alert_type"], alert["priority"], alert["requires_action"]) == (
        "system_alert",
        "high",
        True,
    )
    assert alert["data"] == {"degraded": ["queue"]}
    assert (well["data"], well["requires_action"]) == ({"degraded": []}, False)
    assert pong["type"] == "pong"


async def test_whoever_says_too_much_is_cut_off(database: Database) -> None:
    async with (
        reachable(database, rates=Rates(requests_per_minute=8)) as reached,
        alerts(reached.port, "admin", await reached.api.login()) as found,
    ):
        for _ in range(9):
            await found.socket.send('{"type": "ping"}')

        assert await found.closed() == (POLICY_VIOLATION, "too-many-requests")


async def test_one_person_has_so_many_connections_and_no_more(
    reached: Reached, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ledger.delivery.switchboard.MAX_OF_ONE_PERSON", 1)
    admin = await reached.api.login()
    async with alerts(reached.port, "admin", admin) as first:
        await first.next()
        async with alerts(reached.port, "admin", admin) as second:
            assert await second.closed() == (POLICY_VIOLATION, "too-many-connections")


async def test_beyond_the_bound_a_client_is_told_to_try_later(reached: Reached) -> None:
    reached.api.services.live.news._max_streams = 0
    async with alerts(reached.port, "admin", await reached.api.login()) as found:
        assert await found.closed() == (1013, "too-many-streams")


async def test_whoever_does_not_read_is_cut_off(reached: Reached, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alerts_api, "SEND_SECONDS", 0.2)
    sends = WebSocket.send_text

    async def much(socket: WebSocket, data: str) -> None:
        await sends(socket, data + " " * 4_000_000)

    admin = await reached.api.login()
    async with alerts(reached.port, "admin", admin) as found:
        await found.next()
        found.socket.transport.pause_reading()
        monkeypatch.setattr(WebSocket, "send_text", much)
        for number in range(4):
            await submit(reached.api, admin, f"CASE-{number}")

        await gone(reached.api)


async def test_the_counts_tell_who_is_and_was_there(reached: Reached) -> None:
    admin, sam = await reached.api.login(), await reached.api.newcomer("sam")
    async with (
        alerts(reached.port, "admin", admin) as first,
        alerts(reached.port, "admin", admin) as second,
        alerts(reached.port, "sam", sam) as third,
    ):
        for found in (first, second, third):
            await found.next()
        await submit(reached.api, admin, "CASE-1", threat_level="TARGETED")
        for found in (first, second, third):
            await found.take(1)
        during = await counts(reached.api, admin)
    await gone(reached.api)

    assert during == {
        "total_connections": 3,
        "total_alerts_sent": 3,
        "total_disconnects": 0,
        "current_connections": 3,
        "current_users": 2,
    }
    assert await counts(reached.api, admin) == {
        **during,
        "total_disconnects": 3,
        "current_connections": 0,
        "current_users": 0,
    }


async def test_what_is_said_in_pieces_is_one_message(shared_socket: Alerts) -> None:
    message = json.dumps({"type": "ping"})
    await shared_socket.socket.send([message[:3], message[3:]])

    assert (await shared_socket.next())["type"] == "pong"
