"""Webhooks over HTTP: administrators keep them, auditors look, every act is an event and no refusal is."""

from uuid import UUID

import httpx
import pytest

from ledger.domain.ids import WebhookId
from ledger.domain.webhook.decide import WEBHOOK
from ledger.domain.webhook.events import WebhookEvent
from ledger.store.ledger import webhook_stream
from ledger.store.streams import read_stream, recorded
from ledger.webhooks.messages import TOPICS
from ledger.webhooks.webhooks import Webhooks
from tests.api.answers import assert_refused, together, wrong_fields
from tests.support.http import Api
from tests.support.receiver import Receiver, answering, receiving
from tests.webhooks.house import sent

WEBHOOKS = "/api/webhooks"
URL = "https://hooks.example.org/a-path-with-a-secret"

pytestmark = together


async def call(
    api: Api, by: dict[str, str], target: str, body: object = None, method: str = "POST", **headers: str
) -> httpx.Response:
    return await api.client.request(method, f"{WEBHOOKS}{target}", headers={**by, **headers}, json=body)


async def register(api: Api, by: dict[str, str], url: str = URL, **terms: object) -> dict[str, object]:
    answer = await call(api, by, "", {"url": url, **terms})
    assert answer.status_code == 200, answer.text
    return answer.json()


async def history(api: Api, webhook: object) -> list[WebhookEvent]:
    stream = await read_stream(api.ledger, webhook_stream(WebhookId(UUID(str(webhook)))))
    return [recorded(one, WEBHOOK.event_types).event for one in stream.events]


@pytest.fixture
def hooks(shared: Api) -> Webhooks:
    return shared.services.webhooks


async def test_a_secret_is_told_once(shared: Api, admin: dict[str, str]) -> None:
    first = await call(shared, admin, "", {"url": URL}, **{"Idempotency-Key": "once"})
    again = await call(shared, admin, "", {"url": URL}, **{"Idempotency-Key": "once"})

    assert first.json()["secret"].startswith("whsec_")
    assert again.json() == {"webhook_id": first.json()["webhook_id"], "secret": None}


async def test_neither_secret_nor_path_is_in_the_log(shared: Api, admin: dict[str, str]) -> None:
    made = await register(shared, admin, description="of the night shift")

    stream = await read_stream(shared.ledger, webhook_stream(WebhookId(UUID(made["webhook_id"]))))

    stored = stream.events[0].payload + (stream.events[0].envelope or b"")
    assert b"https://hooks.example.org" in stored
    for hidden in (made["secret"].removeprefix("whsec_"), "a-path-with-a-secret", "night shift"):
        assert hidden.encode() not in stored


async def test_a_webhook_is_shown_as_it_was_registered(
    shared: Api, admin: dict[str, str], analyst: dict[str, str]
) -> None:
    made = await register(shared, admin, topics=[TOPICS[1], TOPICS[0]], submitter="sam", description="x")

    (shown,) = [
        one
        for one in (await call(shared, admin, "", method="GET")).json()
        if one["webhook_id"] == made["webhook_id"]
    ]

    assert shown == (await call(shared, admin, f"/{made['webhook_id']}", method="GET")).json()
    assert shown["url"] == URL
    assert shown["topics"] == sorted([TOPICS[0], TOPICS[1]])
    assert (shown["submitter"], shown["description"], shown["state"]) == ("sam", "x", "active")
    assert "secret" not in shown


async def test_an_auditor_reads_all_but_the_path(shared: Api, admin: dict[str, str]) -> None:
    auditor = await shared.newcomer("audrey", "auditor")
    made = await register(shared, admin)

    shown = (await call(shared, auditor, f"/{made['webhook_id']}", method="GET")).json()

    assert (shown["origin"], shown["url"]) == ("https://hooks.example.org", None)
    for list_of in ("deliveries", "dead-letters"):
        assert (await call(shared, auditor, f"/{made['webhook_id']}/{list_of}", method="GET")).json() == []
    assert_refused(await call(shared, auditor, "", {"url": URL}), 403)


@pytest.mark.parametrize(
    ("method", "target"),
    [
        *(("POST", ""), ("GET", ""), ("GET", "/{id}"), ("DELETE", "/{id}")),
        *(("GET", "/{id}/deliveries"), ("GET", "/{id}/dead-letters")),
        *(
            ("POST", f"/{{id}}/{act}")
            for act in ("change", "pause", "resume", "rotate-secret", "ping", "replay")
        ),
    ],
)
async def test_an_analyst_may_nothing(
    shared: Api, admin: dict[str, str], analyst: dict[str, str], method: str, target: str
) -> None:
    made = await register(shared, admin)

    answer = await call(shared, analyst, target.format(id=made["webhook_id"]), {"url": URL}, method)

    assert_refused(answer, 403)
    assert len(await history(shared, made["webhook_id"])) == 1


async def test_every_act_is_an_event_with_who_and_why(shared: Api, admin: dict[str, str]) -> None:
    made = await register(shared, admin, reason="the SIEM")
    hook = made["webhook_id"]
    await call(shared, admin, f"/{hook}/change", {"url": f"{URL}/2", "reason": "moved"})
    await call(shared, admin, f"/{hook}/pause", {"reason": "repairs"})
    await call(shared, admin, f"/{hook}/resume", {"skip_missed": True})
    await call(shared, admin, f"/{hook}/rotate-secret", {"overlap_hours": 2})
    await call(shared, admin, f"/{hook}/ping")
    gone = await call(shared, admin, f"/{hook}?reason=over", method="DELETE")

    told = await history(shared, hook)
    assert [type(event).__name__ for event in told] == [
        *("WebhookRegistered", "WebhookChanged", "WebhookPaused", "WebhookResumed"),
        *("WebhookSecretRotated", "WebhookPinged", "WebhookRemoved"),
    ]
    assert len({event.by for event in told}) == 1
    assert [event.reason for event in told if hasattr(event, "reason")] == [
        *("the SIEM", "moved", "repairs", "", "", "over")
    ]
    assert gone.headers["ledger-position"]
    assert_refused(await call(shared, admin, f"/{hook}", method="GET"), 404)


@pytest.mark.parametrize(
    ("before", "act", "code"),
    [
        ([], "resume", "webhook-not-held"),
        (["pause"], "pause", "webhook-held"),
        (["pause"], "ping", "webhook-held"),
        ([], "replay", "no-dead-letters"),
    ],
)
async def test_no_refused_command_leaves_an_event(
    shared: Api, admin: dict[str, str], before: list[str], act: str, code: str
) -> None:
    hook = (await register(shared, admin))["webhook_id"]
    for earlier in before:
        await call(shared, admin, f"/{hook}/{earlier}")

    refused = await call(shared, admin, f"/{hook}/{act}")

    assert_refused(refused, 409)
    assert refused.json()["code"] == code
    assert len(await history(shared, hook)) == 1 + len(before)


@pytest.mark.parametrize("act", ["pause", "resume", "ping", "rotate-secret", "replay", "change"])
@pytest.mark.parametrize("hook", ["0197a000-0000-7000-8000-000000000000", "no-id"])
async def test_what_does_not_exist_is_not_found(
    shared: Api, admin: dict[str, str], act: str, hook: str
) -> None:
    body = {"url": URL} if act == "change" else None
    assert_refused(await call(shared, admin, f"/{hook}/{act}", body), 404)


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("ftp://hooks.example.org/", "webhook-url"),
        ("https://user:word@hooks.example.org/", "webhook-url"),
        ("https://hooks.example.org/#part", "webhook-url"),
        ("https://", "webhook-url"),
        ("https://hooks.example.org/\u202e", "webhook-url"),
        ("https://hooks.example.org:99999/", "webhook-url"),
        ("hooks.example.org", "webhook-url"),
        ("https://hooks..example.org/", "webhook-url"),
        ("https://10.0.0.1/", "webhook-address-refused"),
        ("https://[::ffff:10.0.0.1]/", "webhook-address-refused"),
        ("https://169.254.169.254/latest/meta-data", "webhook-address-refused"),
        ("http://203.0.113.9/", "webhook-address-refused"),
    ],
)
async def test_a_url_that_must_not_be_is_refused(
    shared: Api, admin: dict[str, str], url: str, code: str
) -> None:
    refused = await call(shared, admin, "", {"url": url})

    assert_refused(refused, 422)
    assert refused.json()["code"] == code


async def test_an_unknown_topic_is_refused_with_those_there_are(shared: Api, admin: dict[str, str]) -> None:
    refused = await call(shared, admin, "", {"url": URL, "topics": ["decision.forgotten"]})

    assert_refused(refused, 422)
    assert "decision.submitted" in refused.json()["context"]["topics"]


async def test_an_unknown_submitter_is_not_found(shared: Api, admin: dict[str, str]) -> None:
    assert_refused(await call(shared, admin, "", {"url": URL, "submitter": "nobody"}), 404)


async def test_a_misspelt_field_is_refused(shared: Api, admin: dict[str, str]) -> None:
    assert wrong_fields(await call(shared, admin, "", {"url": URL, "topic": []})) == {"body"}


async def test_a_ping_arrives_and_its_delivery_is_found(
    shared: Api, admin: dict[str, str], hooks: Webhooks
) -> None:
    async with receiving() as receiver:
        made = await register(shared, admin, receiver.url)
        pinged = (await call(shared, admin, f"/{made['webhook_id']}/ping")).json()

        await sent(hooks)

        (request,) = receiver.received
        message = request.verified_by(made["secret"])
    (done,) = (await call(shared, admin, f"/{made['webhook_id']}/deliveries", method="GET")).json()
    assert message["type"] == "webhook.ping"
    assert request.message_id == pinged["message_id"] == done["message_id"]
    assert (done["state"], done["last_status"]) == ("delivered", 204)


async def test_dead_letters_are_listed_and_replayed(
    shared: Api, admin: dict[str, str], hooks: Webhooks
) -> None:
    async with receiving() as receiver:
        hook = (await register(shared, admin, receiver.url))["webhook_id"]
        await given_up(shared, admin, hooks, receiver, hook, count=2)
        listed = (await call(shared, admin, f"/{hook}/dead-letters", method="GET")).json()
        assert [one["state"] for one in listed] == ["dead", "dead"]

        one = await call(shared, admin, f"/{hook}/replay", {"message_id": listed[0]["message_id"]})
        rest = await call(shared, admin, f"/{hook}/replay", {"reason": "mended"})
        await sent(hooks)

        assert (one.json(), rest.json()) == ({"count": 1}, {"count": 1})
        delivered = (await call(shared, admin, f"/{hook}/deliveries", method="GET")).json()
        assert {one["state"] for one in delivered} == {"delivered"}
        assert len({request.message_id for request in receiver.received}) == 2


async def given_up(
    api: Api, by: dict[str, str], hooks: Webhooks, receiver: Receiver, hook: str, *, count: int
) -> None:
    """Dead letters, without the day that they take."""
    receiver.answers(answering(500))
    for _ in range(count):
        await call(api, by, f"/{hook}/ping")
    async with api.ledger.pool.acquire() as conn:
        await conn.execute("update work.webhook_messages set attempts = 7 where state = 'waiting'")
    await sent(hooks)
    receiver.answers(answering(204))


async def test_deliveries_are_listed_page_by_page(shared: Api, admin: dict[str, str]) -> None:
    hook = (await register(shared, admin))["webhook_id"]
    pinged = [(await call(shared, admin, f"/{hook}/ping")).json()["message_id"] for _ in range(3)]

    first = (await call(shared, admin, f"/{hook}/deliveries?limit=2", method="GET")).json()
    last = first[-1]["message_id"]
    second = (await call(shared, admin, f"/{hook}/deliveries?limit=2&before={last}", method="GET")).json()

    assert [one["message_id"] for one in first + second] == pinged[::-1]
