"""A process that tells webhooks: ``python -m tests.support.webhook_worker URL LEASE_SECONDS``."""

import asyncio
import sys
from contextlib import suppress
from ipaddress import ip_network

import uvloop

from ledger.identity.identity import Identity
from ledger.reactions import webhook_following
from ledger.reactions.webhook_sending import Courier
from ledger.store.ledger import Ledger
from ledger.webhooks.webhooks import Webhooks
from tests.builders import NOW
from tests.identity.house import SECRET


async def main(url: str, lease_seconds: float) -> None:
    async with await Ledger.open(url) as ledger:
        identity = Identity.of(ledger, secret_keys=[SECRET], clock=lambda: NOW)
        hooks = Webhooks.of(identity, secret_keys=[SECRET], allowed=[ip_network("127.0.0.0/8")])
        await asyncio.gather(
            webhook_following.run_forever(hooks),
            Courier(hooks, lease_seconds=lease_seconds).run_forever(),
        )


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        uvloop.run(main(sys.argv[1], float(sys.argv[2])))
