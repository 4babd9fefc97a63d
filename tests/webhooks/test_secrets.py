"""Secrets of webhooks: sealed in the row, sealed anew when the service's key is another, told to nobody twice."""

import pytest
from standardwebhooks import Webhook

from ledger.identity.identity import Identity
from ledger.reactions.webhook_sweeping import sweep
from ledger.store.ledger import Ledger
from ledger.webhooks import administering, secrets
from ledger.webhooks.queue import State
from ledger.webhooks.secrets import UnreadableSigningSecret
from ledger.webhooks.signing import new_secret, signed
from ledger.webhooks.webhooks import Webhooks
from tests.builders import NOW
from tests.builders.webhooks import MESSAGE
from tests.identity.house import SECRET, MovingClock
from tests.support.receiver import Receiver
from tests.webhooks.house import delivery, operator, registered, row, submitted, told

NEXT = "the next secret of the settings, as long"


def under(identity: Identity, hooks: Webhooks, *keys: str) -> Webhooks:
    """The same webhooks, by a service with other keys."""
    return Webhooks.of(identity, secret_keys=keys, allowed=hooks.allowed)


async def stored(ledger: Ledger) -> bytes:
    async with ledger.pool.acquire() as conn:
        return b"".join(
            bytes(value)
            for found in await conn.fetch("select secret, previous_secret from work.webhooks")
            for value in found
            if value is not None
        )


def test_a_secret_has_256_bits_and_no_two_are_the_same() -> None:
    secret = new_secret()

    assert secret.startswith("whsec_")
    assert len(secret) == len("whsec_") + 44
    assert secret != new_secret()


def test_a_signature_is_what_the_library_of_the_specification_would_sign() -> None:
    one, another, body = new_secret(), new_secret(), b'{"test": 2432232314}'

    headers = dict(signed([one, another], MESSAGE, at=NOW, body=body))

    assert headers == {
        "webhook-id": str(MESSAGE),
        "webhook-timestamp": str(int(NOW.timestamp())),
        "webhook-signature": " ".join(
            Webhook(secret).sign(str(MESSAGE), NOW, body.decode()) for secret in (one, another)
        ),
    }


async def test_no_secret_is_stored_as_it_is(ledger: Ledger, hooks: Webhooks, receiver: Receiver) -> None:
    issued = await registered(hooks, receiver.url)

    assert issued.secret.encode() not in await stored(ledger)
    assert secrets.unseal(hooks, issued.webhook, (await row(hooks, issued.webhook)).secret) == issued.secret


async def test_a_secret_is_bound_to_its_webhook(hooks: Webhooks, receiver: Receiver) -> None:
    one, another = await registered(hooks, receiver.url), await registered(hooks, receiver.url)

    with pytest.raises(UnreadableSigningSecret) as refused:
        secrets.unseal(hooks, another.webhook, (await row(hooks, one.webhook)).secret)

    assert refused.value.context == {"webhook": another.webhook}


async def test_secrets_are_sealed_anew_when_the_key_of_the_service_is_another(
    identity: Identity, hooks: Webhooks, receiver: Receiver, clock: MovingClock
) -> None:
    clock.to_now()
    old = await registered(hooks, receiver.url)
    new = await administering.rotate(hooks, old.webhook, operator())
    await sweep(under(identity, hooks, NEXT, SECRET))
    alone = under(identity, hooks, NEXT)
    await submitted(alone, "CASE-1")

    await told(alone)

    (request,) = receiver.received
    assert request.verified_by(old.secret) == request.verified_by(new.secret)


async def test_a_previous_secret_whose_time_is_over_is_dropped_with_the_old_key(
    identity: Identity, hooks: Webhooks, receiver: Receiver, clock: MovingClock
) -> None:
    issued = await registered(hooks, receiver.url)
    await administering.rotate(hooks, issued.webhook, operator(), overlap_hours=1)
    clock.forward(hours=1)
    await sweep(under(identity, hooks, NEXT, SECRET))

    assert (await row(hooks, issued.webhook)).previous is None


async def test_without_its_key_nothing_is_sent_and_the_attempt_says_why(
    identity: Identity, hooks: Webhooks, receiver: Receiver, clock: MovingClock
) -> None:
    issued = await registered(hooks, receiver.url)
    await submitted(hooks, "CASE-1")
    await told(under(identity, hooks, NEXT))
    failed = await delivery(hooks, issued.webhook)
    assert (failed.last_error, receiver.received) == ("unreadable-webhook-secret", [])
    await sweep(under(identity, hooks, "yet another secret of the settings", NEXT))

    clock.forward(seconds=6)
    await told(hooks)

    assert (await delivery(hooks, issued.webhook)).state is State.DELIVERED


async def test_removing_a_webhook_removes_its_secrets(
    ledger: Ledger, hooks: Webhooks, receiver: Receiver
) -> None:
    issued = await registered(hooks, receiver.url)
    await submitted(hooks, "CASE-1")
    await administering.remove(hooks, issued.webhook, operator())

    assert await stored(ledger) == b""
    assert await told(hooks) == 0
