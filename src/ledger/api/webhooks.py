"""Webhooks over HTTP: administrators keep them, auditors look."""

from collections.abc import Sequence
from typing import Annotated
from uuid import UUID

from litestar import Controller, Response, delete, get, post
from litestar.params import FromPath, QueryParameter

from ledger.api import webhook_wire as wire
from ledger.api.account_wire import Message
from ledger.api.call import Call
from ledger.api.json_answer import json_response
from ledger.api.path_ids import id_in
from ledger.api.types import HttpRequest
from ledger.domain.authority import Role
from ledger.domain.ids import MessageId, PersonId, WebhookId
from ledger.domain.webhook.decide import WebhookNotFound
from ledger.domain.webhook.events import DeadLettersReplayed
from ledger.identity import people
from ledger.identity.people import ERASED
from ledger.webhooks import administering, deliveries, rows
from ledger.webhooks.administering import Wanted
from ledger.webhooks.messages import check_topics
from ledger.webhooks.queue import State
from ledger.webhooks.rows import Webhook
from ledger.webhooks.targets import origin_of, target_of

Limit = Annotated[int, QueryParameter(ge=1, le=1_000)]
Before = Annotated[UUID | None, QueryParameter()]


class WebhookController(Controller):
    """Where notices of decisions are sent."""

    path = "/api/webhooks"
    tags = ("Webhooks",)

    @post(
        "/",
        status_code=200,
        opt={
            "body": wire.WebhookTerms,
            "answer": wire.WebhookIssued,
            "keyed": True,
            "also": {404: "No such submitter"},
        },
    )
    async def register_webhook(self, request: HttpRequest) -> Response[bytes]:
        """Have notices sent to a URL from now on; the secret that signs them is in this answer only."""
        call = Call(request)
        given = await call.json(wire.WebhookTerms)
        wanted = await _wanted(call, given)
        issued = await administering.register(
            call.services.webhooks, wanted, await call.actor(), reason=given.reason
        )
        body = wire.WebhookIssued(webhook_id=issued.webhook, secret=issued.secret)
        return await call.answer(body, handled=issued.handled)

    @get("/", opt={"answer": list[wire.WebhookShown]})
    async def webhooks(self, request: HttpRequest) -> Response[bytes]:
        """List the webhooks."""
        call = Call(request)
        ledger = call.services.ledger
        return json_response(await _shown(call, await rows.every(ledger.pool, ledger.ledger_id)))

    @get("/{webhook_id:str}", opt={"answer": wire.WebhookShown})
    async def webhook(self, request: HttpRequest, webhook_id: FromPath[str]) -> Response[bytes]:
        """Tell of one webhook."""
        call = Call(request)
        found = await administering.must_find(call.services.webhooks, _webhook_id(webhook_id))
        return json_response((await _shown(call, [found]))[0])

    @post(
        "/{webhook_id:str}/change",
        status_code=200,
        opt={"body": wire.WebhookTerms, "answer": Message, "keyed": True},
    )
    async def change_webhook(self, request: HttpRequest, webhook_id: FromPath[str]) -> Response[bytes]:
        """Have other notices sent, or elsewhere; what is left out is as for a new webhook."""
        call, hooks = Call(request), Call(request).services.webhooks
        given = await call.json(wire.WebhookTerms)
        found = await administering.must_find(hooks, _webhook_id(webhook_id))
        wanted, actor = await _wanted(call, given), await call.actor()
        handled = await administering.change(hooks, found, wanted, actor, reason=given.reason)
        return await call.answer(Message(message="Webhook changed"), handled=handled)

    @post(
        "/{webhook_id:str}/pause",
        status_code=200,
        opt={"body": wire.WebhookReason, "may_be_empty": True, "answer": Message, "keyed": True},
    )
    async def pause_webhook(self, request: HttpRequest, webhook_id: FromPath[str]) -> Response[bytes]:
        """Have nothing sent; what happens meanwhile waits."""
        call, webhook = Call(request), _webhook_id(webhook_id)
        given = await call.json_if_any(wire.WebhookReason)
        actor = await call.actor()
        handled = await administering.pause(call.services.webhooks, webhook, actor, reason=given.reason)
        return await call.answer(Message(message="Webhook paused"), handled=handled)

    @post(
        "/{webhook_id:str}/resume",
        status_code=200,
        opt={"body": wire.WebhookResumption, "may_be_empty": True, "answer": Message, "keyed": True},
    )
    async def resume_webhook(self, request: HttpRequest, webhook_id: FromPath[str]) -> Response[bytes]:
        """Have it sent to again, also after its receiver said that it was gone."""
        call, webhook = Call(request), _webhook_id(webhook_id)
        given = await call.json_if_any(wire.WebhookResumption)
        actor = await call.actor()
        handled = await administering.resume(
            call.services.webhooks, webhook, actor, skips_missed=given.skip_missed, reason=given.reason
        )
        return await call.answer(Message(message="Webhook resumed"), handled=handled)

    @post(
        "/{webhook_id:str}/rotate-secret",
        status_code=200,
        opt={"body": wire.WebhookRotation, "may_be_empty": True, "answer": wire.WebhookIssued, "keyed": True},
    )
    async def rotate_webhook_secret(self, request: HttpRequest, webhook_id: FromPath[str]) -> Response[bytes]:
        """Make another secret, which is in this answer only; the present one signs too for some hours."""
        call, webhook = Call(request), _webhook_id(webhook_id)
        given = await call.json_if_any(wire.WebhookRotation)
        actor = await call.actor()
        issued = await administering.rotate(
            call.services.webhooks, webhook, actor, overlap_hours=given.overlap_hours, reason=given.reason
        )
        body = wire.WebhookIssued(webhook_id=issued.webhook, secret=issued.secret)
        return await call.answer(body, handled=issued.handled)

    @post("/{webhook_id:str}/ping", status_code=200, opt={"answer": wire.WebhookPinged, "keyed": True})
    async def ping_webhook(self, request: HttpRequest, webhook_id: FromPath[str]) -> Response[bytes]:
        """Have a test message sent."""
        call, webhook = Call(request), _webhook_id(webhook_id)
        handled, message = await administering.ping(call.services.webhooks, webhook, await call.actor())
        return await call.answer(wire.WebhookPinged(message_id=message), handled=handled)

    @delete("/{webhook_id:str}", status_code=200, opt={"answer": Message, "keyed": True})
    async def remove_webhook(
        self,
        request: HttpRequest,
        webhook_id: FromPath[str],
        reason: Annotated[str, QueryParameter(max_length=2_000)] = "",
    ) -> Response[bytes]:
        """Have nothing sent there any more; its secrets and messages are deleted."""
        call, webhook = Call(request), _webhook_id(webhook_id)
        handled = await administering.remove(
            call.services.webhooks, webhook, await call.actor(), reason=reason
        )
        return await call.answer(Message(message="Webhook removed"), handled=handled)

    @get("/{webhook_id:str}/deliveries", opt={"answer": list[wire.DeliveryShown]})
    async def webhook_deliveries(
        self,
        request: HttpRequest,
        webhook_id: FromPath[str],
        limit: Limit = 100,
        before: Before = None,
    ) -> Response[bytes]:
        """List messages of the last days and what came of each attempt, the newest first."""
        return await _deliveries(Call(request), webhook_id, tuple(State), limit, before)

    @get("/{webhook_id:str}/dead-letters", opt={"answer": list[wire.DeliveryShown]})
    async def webhook_dead_letters(
        self,
        request: HttpRequest,
        webhook_id: FromPath[str],
        limit: Limit = 100,
        before: Before = None,
    ) -> Response[bytes]:
        """List messages that were given up, the newest first."""
        return await _deliveries(Call(request), webhook_id, (State.DEAD,), limit, before)

    @post(
        "/{webhook_id:str}/replay",
        status_code=200,
        opt={"body": wire.WebhookReplay, "may_be_empty": True, "answer": wire.WebhookReplayed, "keyed": True},
    )
    async def replay_dead_letters(self, request: HttpRequest, webhook_id: FromPath[str]) -> Response[bytes]:
        """Send one dead letter again, or all of them, each with its id of before."""
        call, webhook = Call(request), _webhook_id(webhook_id)
        given = await call.json_if_any(wire.WebhookReplay)
        message = None if given.message_id is None else MessageId(given.message_id)
        actor = await call.actor()
        handled = await administering.replay(
            call.services.webhooks, webhook, actor, message=message, reason=given.reason
        )
        count = sum(one.event.count for one in handled.events if isinstance(one.event, DeadLettersReplayed))
        return await call.answer(wire.WebhookReplayed(count=count), handled=handled)


async def _wanted(call: Call, given: wire.WebhookTerms) -> Wanted:
    return Wanted(
        target=target_of(given.url, call.services.webhooks.allowed),
        description=given.description,
        topics=check_topics(given.topics),
        submitter=await _person(call, given.submitter),
    )


async def _person(call: Call, username: str | None) -> PersonId | None:
    if username is None:
        return None
    ledger = call.services.ledger
    return (await people.must_find(ledger.pool, ledger.ledger_id, username)).person


async def _shown(call: Call, webhooks: Sequence[Webhook]) -> list[wire.WebhookShown]:
    names = await call.names([one.submitter for one in webhooks])
    return [
        wire.shown(
            one,
            origin=origin_of(one.url),
            has_url=call.principal.role is Role.ADMIN,
            submitter=None if one.submitter is None else names.get(one.submitter, ERASED),
            now=call.services.clock(),
        )
        for one in webhooks
    ]


async def _deliveries(
    call: Call, webhook_id: str, states: Sequence[State], limit: int, before: UUID | None
) -> Response[bytes]:
    hooks = call.services.webhooks
    found = await administering.must_find(hooks, _webhook_id(webhook_id))
    ledger = hooks.ledger
    listed = await deliveries.list_of(
        ledger.pool, ledger.ledger_id, found.webhook, states, before=before, limit=limit
    )
    return json_response([wire.delivery_shown(one) for one in listed])


def _webhook_id(text: str) -> WebhookId:
    return WebhookId(id_in(text, WebhookNotFound()))
