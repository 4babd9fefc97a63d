"""Secrets of webhooks as they are stored, and which of them sign at a moment."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

import structlog

from ledger.domain.errors import Corrupt
from ledger.domain.ids import WebhookId
from ledger.identity import sealed as boxes
from ledger.identity.keys import Keyring
from ledger.store.pool import Connection, reading
from ledger.webhooks.queue import Leased
from ledger.webhooks.rows import RESEAL, SEALED_BY, Sealed
from ledger.webhooks.webhooks import PURPOSE, Webhooks

log = structlog.get_logger()

# $1 ledger
SEALED: Final = """
select key_id, count(*) as webhooks from work.webhooks where ledger_id = $1 group by key_id
"""


class UnreadableSigningSecret(Corrupt):
    """The secret of a webhook cannot be opened with any key of this service.

    Context: ``webhook``.
    """

    code = "unreadable-webhook-secret"
    advice = "Name its key in LEDGER_PREVIOUS_SECRET_KEYS again, or rotate the secret of the webhook."


def seal(hooks: Webhooks, webhook: WebhookId, secret: str) -> Sealed:
    """Encrypt a secret under the current key, bound to its webhook."""
    return Sealed(boxes.seal(hooks.keys, webhook, secret), hooks.keys.current.key_id)


def unseal(hooks: Webhooks, webhook: WebhookId, sealed: Sealed) -> str:
    """Decrypt a secret.

    Raises:
        UnreadableSigningSecret: its key is not known any more.
    """
    secret = boxes.unseal(hooks.keys, webhook, sealed.key_id, sealed.secret)
    if secret is None:
        raise UnreadableSigningSecret(webhook=webhook)
    return secret


def signing(hooks: Webhooks, leased: Leased, now: datetime) -> Sequence[str]:
    """Give the secrets that sign a message at ``now``, the current one first.

    Raises:
        UnreadableSigningSecret: one of their keys is not known any more.
    """
    current = unseal(hooks, leased.webhook, leased.secret)
    if leased.previous is None or leased.previous_until is None or leased.previous_until <= now:
        return [current]
    return [current, unseal(hooks, leased.webhook, leased.previous)]


async def count_unreadable(conn: Connection, ledger_id: int, secret_keys: Sequence[str]) -> int:
    """Count the webhooks whose secret none of ``secret_keys`` opens: nothing can be sent to them."""
    keys = Keyring(secret_keys, PURPOSE)
    rows = await conn.fetch(SEALED, ledger_id)
    return sum(int(row["webhooks"]) for row in rows if keys.find(row["key_id"]) is None)


async def reseal(hooks: Webhooks) -> None:
    """Seal what earlier keys of the service have sealed anew; what cannot be opened stays, and is named in the log."""
    previous_ids = hooks.keys.previous_ids()
    if not previous_ids:
        return
    ledger = hooks.ledger
    async with reading(ledger.pool) as conn:
        for row in await conn.fetch(SEALED_BY, ledger.ledger_id, previous_ids, hooks.clock()):
            webhook = WebhookId(row["webhook_id"])
            try:
                current = seal(hooks, webhook, unseal(hooks, webhook, Sealed(row["secret"], row["key_id"])))
                previous = None
                if row["previous_secret"] is not None:
                    kept = Sealed(row["previous_secret"], row["previous_key_id"])
                    previous = seal(hooks, webhook, unseal(hooks, webhook, kept)).secret
            except UnreadableSigningSecret:
                log.warning("webhook.secret.unreadable", webhook=webhook)
                continue
            await conn.execute(
                RESEAL,
                ledger.ledger_id,
                webhook,
                row["secret"],
                current.secret,
                previous,
                current.key_id,
            )
