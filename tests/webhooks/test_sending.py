"""Notices arrive where somebody wants them, signed, whatever the receiver does."""

import base64
from uuid import UUID

import msgspec
import pytest
from standardwebhooks import WebhookVerificationError

from ledger.domain.ids import EventId, StreamName
from ledger.identity.identity import Identity
from ledger.personal import keys
from ledger.personal.tokens import Form, seal
from ledger.webhooks import administering, queue
from ledger.webhooks.queue import NewMessage, State, message_id
from ledger.webhooks.webhooks import Webhooks
from tests.builders import ANA, ENGINE
from tests.identity.house import MovingClock
from tests.support.receiver import HANG, Receiver, answering, receiving
from tests.webhooks.house import (
    courier,
    delivery,
    followed,
    listed,
    operator,
    registered,
    row,
    sent,
    submitted,
    told,
)


async def test_a_decision_is_told_to_whoever_wants_it(hooks: Webhooks, receiver: Receiver) -> None:
    issued = await registered(hooks, receiver.url)
    await submitted(hooks, "CASE-1")

    await told(hooks)

    (request,) = receiver.received
    done = await delivery(hooks, issued.webhook)
    assert request.target == "/hook?from=ledger"
    assert request.headers["content-type"] == "application/json"
    assert request.message_id == str(done.message)
    assert done.state is State.DELIVERED
    assert message_id(issued.webhook, done.position) == done.message


async def test_the_library_of_the_specification_verifies_what_is_sent(
    hooks: Webhooks, receiver: Receiver, clock: MovingClock
) -> None:
    clock.to_now()
    issued = await registered(hooks, receiver.url)
    await submitted(hooks, "CASE-1")

    await told(hooks)

    message = receiver.received[0].verified_by(issued.secret)
    assert message["type"] == "decision.submitted"
    assert message["data"]["analysis_id"] == "CASE-1"
    assert message["data"]["status"] == "pending"


async def test_another_secret_does_not_verify_it(
    hooks: Webhooks, receiver: Receiver, clock: MovingClock
) -> None:
    clock.to_now()
    await registered(hooks, receiver.url)
    await submitted(hooks, "CASE-1")

    await told(hooks)

    with pytest.raises(WebhookVerificationError):
        receiver.received[0].verified_by("whsec_" + base64.b64encode(b"x" * 32).decode())


async def test_while_a_secret_is_rotated_both_verify_and_afterwards_one(
    hooks: Webhooks, receiver: Receiver, clock: MovingClock
) -> None:
    clock.to_now()
    old = await registered(hooks, receiver.url)
    new = await administering.rotate(hooks, old.webhook, operator(), overlap_hours=1)
    await submitted(hooks, "CASE-1")
    await told(hooks)
    both = receiver.received[0]
    assert both.verified_by(old.secret) == both.verified_by(new.secret)

    clock.forward(hours=1)
    await submitted(hooks, "CASE-2")
    await told(hooks)

    assert len(receiver.received[1].headers["webhook-signature"].split(" ")) == 1
    at = int(receiver.received[1].headers["webhook-timestamp"])
    assert at == int(clock().timestamp())


async def test_only_what_was_asked_for_is_sent(hooks: Webhooks, receiver: Receiver) -> None:
    await registered(hooks, receiver.url, topics=("decision.resolved",))
    await submitted(hooks, "CASE-1")

    assert await told(hooks) == 0


async def test_only_what_one_submitter_has_submitted_is_sent(hooks: Webhooks, receiver: Receiver) -> None:
    issued = await registered(hooks, receiver.url, submitter=ANA)
    await submitted(hooks, "CASE-1", by=ENGINE)
    await submitted(hooks, "CASE-2", by=ANA)

    await told(hooks)

    assert (await delivery(hooks, issued.webhook)).position == await hooks.ledger.head()


async def test_what_happened_before_it_was_registered_is_not_sent(
    hooks: Webhooks, receiver: Receiver
) -> None:
    await submitted(hooks, "CASE-1")
    await registered(hooks, receiver.url)

    assert await told(hooks) == 0


async def test_two_webhooks_get_messages_of_their_own(hooks: Webhooks, receiver: Receiver) -> None:
    await registered(hooks, receiver.url)
    await registered(hooks, receiver.url)
    await submitted(hooks, "CASE-1")

    await told(hooks)

    assert len({request.message_id for request in receiver.received}) == 2


async def test_reading_the_log_again_queues_nothing_twice(hooks: Webhooks, receiver: Receiver) -> None:
    issued = await registered(hooks, receiver.url)
    await submitted(hooks, "CASE-1", "CASE-2")
    await followed(hooks)
    async with hooks.ledger.pool.acquire() as conn:
        await conn.execute("update work.webhooks set position = 0")
    await followed(hooks)

    assert len(await listed(hooks, issued.webhook)) == 2


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (answering(500), "status-500"),
        (answering(404), "status-404"),
        (answering(302, "location: http://127.0.0.1:1/"), "status-302"),
        (b"this is no HTTP\r\n\r\n", "not-http"),
        (HANG, "timeout"),
    ],
)
async def test_what_did_not_arrive_is_tried_again_with_the_same_id(
    hooks: Webhooks, receiver: Receiver, clock: MovingClock, answer: bytes | None, error: str
) -> None:
    issued = await registered(hooks, receiver.url)
    receiver.answers(answer)
    await submitted(hooks, "CASE-1")
    assert await told(hooks) == 1
    failed = await delivery(hooks, issued.webhook)
    assert (failed.state, failed.last_error, failed.attempts) == (State.WAITING, error, 1)

    receiver.answers(answering(204))
    clock.forward(seconds=6)
    await sent(hooks)

    first, second = receiver.received
    assert first.message_id == second.message_id
    assert first.body == second.body
    assert (await delivery(hooks, issued.webhook)).state is State.DELIVERED


async def test_nobody_is_redirected(hooks: Webhooks, receiver: Receiver) -> None:
    async with receiving() as elsewhere:
        await registered(hooks, receiver.url)
        receiver.answers(answering(307, f"location: {elsewhere.url}"))
        await submitted(hooks, "CASE-1")

        await told(hooks)

        assert elsewhere.received == []


async def test_an_endless_answer_is_not_read_to_its_end(hooks: Webhooks, receiver: Receiver) -> None:
    issued = await registered(hooks, receiver.url)
    receiver.answers(b"HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\n" + b"x" * 2_000_000)
    await submitted(hooks, "CASE-1")

    await told(hooks)

    assert (await delivery(hooks, issued.webhook)).state is State.DELIVERED


async def test_nothing_of_the_answer_is_kept(hooks: Webhooks, receiver: Receiver) -> None:
    issued = await registered(hooks, receiver.url)
    receiver.answers(answering(500, "x-secret: hidden", body=b"the words of a server within"))
    await submitted(hooks, "CASE-1")

    await told(hooks)

    assert "within" not in repr(await delivery(hooks, issued.webhook))
    assert "hidden" not in repr(await delivery(hooks, issued.webhook))


async def test_a_receiver_that_is_gone_is_left_alone_until_somebody_resumes_it(
    hooks: Webhooks, receiver: Receiver, clock: MovingClock
) -> None:
    issued = await registered(hooks, receiver.url)
    receiver.answers(answering(410))
    await submitted(hooks, "CASE-1")
    await told(hooks)
    assert (await row(hooks, issued.webhook)).standing == "disabled"
    clock.forward(days=10)
    await submitted(hooks, "CASE-2")
    assert await told(hooks) == 0

    receiver.answers(answering(204))
    await administering.resume(hooks, issued.webhook, operator(), skips_missed=False)
    await told(hooks)

    assert {one.state for one in await listed(hooks, issued.webhook)} == {State.DELIVERED}


async def test_what_happens_during_a_pause_can_be_skipped(hooks: Webhooks, receiver: Receiver) -> None:
    issued = await registered(hooks, receiver.url)
    await administering.pause(hooks, issued.webhook, operator())
    await submitted(hooks, "CASE-1")
    await administering.resume(hooks, issued.webhook, operator(), skips_missed=True)
    await submitted(hooks, "CASE-2")

    await told(hooks)

    assert len(receiver.received) == 1


async def test_a_body_is_forgotten_once_it_has_arrived(hooks: Webhooks, receiver: Receiver) -> None:
    await registered(hooks, receiver.url)
    await submitted(hooks, "CASE-1")
    await told(hooks)

    async with hooks.ledger.pool.acquire() as conn:
        assert await conn.fetchval("select body from work.webhook_messages") is None


async def test_a_slow_receiver_holds_nobody_else_up(hooks: Webhooks, receiver: Receiver) -> None:
    async with receiving() as slow:
        slow.answers(HANG)
        await registered(hooks, slow.url)
        await submitted(hooks, *(f"CASE-{number}" for number in range(40)))
        await followed(hooks)
        await registered(hooks, receiver.url)
        await submitted(hooks, "LATER")
        await followed(hooks)
        sending = courier(hooks)

        await sending.start_due()
        await receiver.count(1)
        await slow.count(4)

        assert slow.busiest == 4
        await sending.stop()


async def test_attempts_are_on_record(hooks: Webhooks, receiver: Receiver, clock: MovingClock) -> None:
    issued = await registered(hooks, receiver.url)
    receiver.answers(answering(503))
    await submitted(hooks, "CASE-1")
    await told(hooks)
    receiver.answers(answering(200))
    clock.forward(seconds=10)
    await sent(hooks)

    done = await delivery(hooks, issued.webhook)
    assert [(one.number, one.status, one.error) for one in done.tries] == [
        (1, 503, "status-503"),
        (2, 200, None),
    ]


async def test_sealed_text_is_opened_when_it_is_sent_and_not_before(
    hooks: Webhooks, receiver: Receiver, clock: MovingClock, identity: Identity
) -> None:
    clock.to_now()
    ledger, subject = hooks.ledger, hooks.ledger.data_subject("ann")
    key = await keys.key_for(
        ledger, identity.subject_keys, subject, stream=StreamName("decision-1"), now=clock()
    )
    issued = await registered(hooks, receiver.url)
    token = seal(key, EventId(UUID(int=1)), "notes", Form.TEXT, 'Ann "A."')
    async with ledger.pool.acquire() as conn:
        for number in (1, 2):
            message = NewMessage(
                message=message_id(issued.webhook, UUID(int=number)),
                webhook=issued.webhook,
                position=None,
                topic="webhook.ping",
                body=msgspec.json.encode({"notes": token}),
            )
            await queue.queue(conn, ledger.ledger_id, [message], clock())
            await sent(hooks)
            await keys.delete_keys(conn, ledger.ledger_id, subject)

    assert [request.verified_by(issued.secret)["notes"] for request in receiver.received] == [
        'Ann "A."',
        "erased",
    ]
