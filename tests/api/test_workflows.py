"""The three workflows of the service this one replaces, from submission to response."""

from tests.api.answers import decide, pending, submit
from tests.support.http import Api


async def test_an_apt_is_approved_and_its_host_quarantined(api: Api) -> None:
    engine, sam = await api.newcomer("engine", "service"), await api.newcomer("sam")
    await submit(
        api,
        engine,
        "apt-001",
        threat_level="APT",
        attributed_actor="Quiet Heron",
        confidence=95,
        priority="critical",
        recommended_actions=["Quarantine the build host", "Block the address"],
    )
    assert await pending(api, sam, priority="critical") == ["apt-001"]

    await decide(api, sam, "apt-001", "approved", approved_actions=["quarantine_system", "block_ip"])

    response = (await api.client.get("/api/decisions/apt-001/response", headers=engine)).json()
    assert response["status"] == "approved"
    assert response["approved_actions"] == ["quarantine_system", "block_ip"]
    assert await pending(api, sam) == []


async def test_a_finding_of_low_confidence_is_escalated(api: Api) -> None:
    engine, sam = await api.newcomer("engine", "service"), await api.newcomer("sam")
    await submit(api, engine, "odd-002", threat_level="UNKNOWN", confidence=23.75, priority="medium")

    await decide(
        api,
        sam,
        "odd-002",
        "escalated",
        approved_actions=["escalate_to_soc"],
        escalation_reason="Too little to go on.",
    )

    response = (await api.client.get("/api/decisions/odd-002/response", headers=engine)).json()
    assert response["status"] == "escalated"
    assert response["approved_actions"] == ["escalate_to_soc"]
    assert response["escalation_reason"] == "Too little to go on."


async def test_a_false_positive_is_rejected_and_nothing_is_done(api: Api) -> None:
    engine, sam = await api.newcomer("engine", "service"), await api.newcomer("sam")
    await submit(api, engine, "scan-003", threat_level="SCRIPT_KIDDIE", confidence=61, priority="low")

    await decide(
        api,
        sam,
        "scan-003",
        "rejected",
        approved_actions=["no_action"],
        notes="Our own scanner, every Monday.",
    )

    response = (await api.client.get("/api/decisions/scan-003/response", headers=engine)).json()
    assert response["status"] == "rejected"
    assert response["approved_actions"] == ["no_action"]
    assert response["notes"] == "Our own scanner, every Monday."
    summary = (await api.client.get("/api/decisions/stats/summary", headers=sam)).json()
    assert (summary["total_pending"], summary["total_completed"]) == (0, 1)
