"""The team's story: what takes two pairs of eyes is claimed, asked about, changed, approved, used once."""

from tests.support.http import Api

PAYMENT = {
    "type": "object",
    "required": ["amount", "to"],
    "additionalProperties": False,
    "properties": {"amount": {"type": "number", "exclusiveMinimum": 0}, "to": {"type": "string"}},
}
TERMS = {
    "allowed_actions": ["custom"],
    "approvals_needed": 2,
    "groups": [{"group": "finance", "approvals": 1}],
    "four_eyes": True,
    "editable_parameters": ["/amount"],
    "deadline_seconds": 86_400,
}


async def test_a_payment_takes_two_persons_one_of_them_from_finance(api: Api) -> None:
    call = api.client.post
    admin, boss = await api.login(), await api.newcomer("boss", "admin")
    agent = await api.newcomer("agent", "service")
    sam, kim = await api.newcomer("sam"), await api.newcomer("kim")

    # An administrator brings the kind and drafts its policy; another one has to publish it.
    kind = {"name": "payment", "title": "A payment to a supplier", "schema": PAYMENT}
    assert (await call("/api/kinds", headers=admin, json=kind)).status_code == 200
    drafted = await call(
        "/api/policies", headers=admin, json={"kind": "payment", "terms": TERMS, "reason": "it is money"}
    )
    version = drafted.json()["policy_version"]
    own = await call(f"/api/policies/payment/{version}/publish", headers=admin, json={"reason": "mine"})
    assert own.status_code == 403
    published = await call(
        f"/api/policies/payment/{version}/publish", headers=boss, json={"reason": "agreed"}
    )
    assert published.status_code == 200
    await call(
        "/api/auth/users/kim/groups", headers=admin, json={"groups": ["finance"], "reason": "their desk"}
    )

    # An agent asks, with what it wants to do.
    asked = {
        "analysis_id": "PAY-1",
        "kind": "payment",
        "payload": {"amount": 1_200, "to": "ACME"},
        "priority": "high",
        "created_at": "2026-03-01T08:30:00Z",
    }
    assert (await call("/api/decisions/submit", headers=agent, json=asked)).status_code == 200

    # Sam takes the next item, and nobody else gets it meanwhile.
    taken = (await call("/api/decisions/next", headers=sam, json={})).json()
    assert (taken["analysis_id"], taken["lease"]["holder"]) == ("PAY-1", "sam")
    assert (await call("/api/decisions/next", headers=kim, json={})).status_code == 204
    held = await call("/api/decisions/PAY-1/decide", headers=kim, json=approval(taken, amount=None))
    assert (held.status_code, held.json()["code"]) == (409, "lease-held")
    assert held.json()["context"]["holder"] == "sam"

    # Sam asks back, and the agent answers.
    question = {"lease_id": taken["lease"]["lease_id"], "question": "Is the discount in it?"}
    assert (
        await call("/api/decisions/PAY-1/request-information", headers=sam, json=question)
    ).status_code == 200
    answered = await call(
        "/api/decisions/PAY-1/provide-information", headers=agent, json={"answer": "No, it is not."}
    )
    assert answered.status_code == 200

    # Sam approves less; that is one voice of two, and the item goes on to the next person.
    first = await call("/api/decisions/PAY-1/decide", headers=sam, json=approval(taken, amount=1_100))
    assert (first.status_code, first.json()["status"]) == (200, "pending")
    seen = (await call("/api/decisions/next", headers=kim, json={})).json()
    last = await call("/api/decisions/PAY-1/decide", headers=kim, json=approval(seen, amount=1_100))
    assert last.json()["status"] == "approved"

    # The agent learns what was approved: not quite what it asked for. It redeems exactly that, once.
    response = (await api.client.get("/api/decisions/PAY-1/response?wait=5", headers=agent)).json()
    assert response["changes"] == [{"pointer": "/amount", "before": 1_200, "after": 1_100}]
    redemption = {"digest": response["approved_digest"]}
    assert (await call("/api/decisions/PAY-1/redeem", headers=agent, json=redemption)).status_code == 200
    again = await call("/api/decisions/PAY-1/redeem", headers=agent, json=redemption)
    assert (again.status_code, again.json()["code"]) == (409, "already-redeemed")
    reported = await call("/api/decisions/PAY-1/outcome", headers=agent, json={"succeeded": True})
    assert reported.status_code == 200


def approval(item: dict, *, amount: int | None) -> dict[str, object]:
    """What somebody sends who looked at ``item``; ``amount`` is what they change."""
    lease = item["lease"]
    body = {
        "decision_id": item["analysis_id"],
        "status": "approved",
        "approved_actions": ["custom"],
        "notes": "",
        "lease_id": lease["lease_id"],
        "fencing_token": lease["fencing_token"],
        "subject_digest": item["subject_digest"],
    }
    return body if amount is None else {**body, "changed_parameters": {"/amount": amount}}
