"""A room of webhooks in a database of its own, by a clock that stands still, and a receiver."""

from collections.abc import AsyncIterator
from ipaddress import ip_network

import pytest

from ledger.identity.identity import Identity
from ledger.store.ledger import Ledger
from ledger.webhooks.webhooks import Webhooks
from tests.identity.conftest import clock, identity
from tests.identity.house import SECRET
from tests.support.receiver import Receiver, receiving

__all__ = ["clock", "identity"]


@pytest.fixture
def hooks(ledger: Ledger, identity: Identity) -> Webhooks:
    return Webhooks.of(identity, secret_keys=[SECRET], allowed=[ip_network("127.0.0.0/8")])


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as found:
        yield found
