"""The analyst's story: a queue in the right order, a verdict that counts, a colleague for the hard ones."""

from tests.support.http import Api, submission, verdict


async def test_an_analyst_works_the_queue(api: Api) -> None:
    engine = await api.newcomer("engine", "service")
    sam = await api.newcomer("sam", "analyst")
    for analysis_id, priority in (("printer", "low"), ("beacon", "critical"), ("login", "high")):
        body = submission(analysis_id, priority=priority)
        await api.client.post("/api/decisions/submit", headers=engine, json=body)

    # The most urgent comes first, whatever came in first.
    queue = await api.client.get("/api/decisions/pending", headers=sam)
    assert [item["analysis_id"] for item in queue.json()] == ["beacon", "login", "printer"]

    # Sam approves the first, with the actions the engine may take, and rejects the last.
    approved = await api.client.post(
        "/api/decisions/beacon/decide",
        headers=sam,
        json=verdict("beacon", "approved", approved_actions=["block_ip", "quarantine_system"]),
    )
    assert approved.status_code == 200
    assert approved.json()["decided_by"] == "sam"
    rejected = await api.client.post(
        "/api/decisions/printer/decide",
        headers=sam,
        json=verdict("printer", "rejected", approved_actions=["no_action"], notes="It is our own scanner."),
    )
    assert rejected.json()["status"] == "rejected"

    # What is decided is off the queue, at once.
    queue = await api.client.get("/api/decisions/pending", headers=sam)
    assert [item["analysis_id"] for item in queue.json()] == ["login"]
    summary = (await api.client.get("/api/decisions/stats/summary", headers=sam)).json()
    assert (summary["total_pending"], summary["total_completed"]) == (1, 2)


async def test_an_analyst_who_is_not_sure_asks_a_colleague(api: Api) -> None:
    engine = await api.newcomer("engine", "service")
    sam, kim = await api.newcomer("sam"), await api.newcomer("kim")
    await api.client.post(
        "/api/decisions/submit", headers=engine, json=submission("odd-traffic", confidence=41.5)
    )

    # Escalating needs a reason, which the next person reads.
    without = await api.client.post(
        "/api/decisions/odd-traffic/decide", headers=sam, json=verdict("odd-traffic", "escalated")
    )
    assert without.status_code == 400
    assert "Escalation reason required" in without.json()["detail"]
    escalated = await api.client.post(
        "/api/decisions/odd-traffic/decide",
        headers=sam,
        json=verdict("odd-traffic", "escalated", escalation_reason="I do not know this protocol."),
    )
    assert escalated.json()["status"] == "escalated"

    # The engine has an answer for now, and the item stays open.
    response = await api.client.get("/api/decisions/odd-traffic/response", headers=engine)
    assert response.json()["escalation_reason"] == "I do not know this protocol."

    # Sam asked for other eyes, so Sam may not close it. Kim may, and Kim's verdict is the answer.
    refused = await api.client.post(
        "/api/decisions/odd-traffic/decide", headers=sam, json=verdict("odd-traffic")
    )
    assert refused.status_code == 403
    await api.client.post(
        "/api/decisions/odd-traffic/decide", headers=kim, json=verdict("odd-traffic", "rejected")
    )
    response = await api.client.get("/api/decisions/odd-traffic/response", headers=engine)
    assert (response.json()["status"], response.json()["decided_by"]) == ("rejected", "kim")
