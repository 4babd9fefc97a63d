"""What this room works with."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final, Self

import msgspec

from ledger.identity.identity import Identity
from ledger.identity.keys import Keyring
from ledger.store.ledger import Ledger
from ledger.store.signals import Bell
from ledger.webhooks.addresses import Network

PURPOSE: Final = "webhook"
"""What the keys that seal secrets are derived for."""


class Webhooks(msgspec.Struct, frozen=True, kw_only=True):
    """One ledger's webhooks: everything the functions of this room need."""

    ledger: Ledger
    keys: Keyring
    subject_keys: Keyring
    """What opens sealed text, if a message holds some."""
    clock: Callable[[], datetime]
    allowed: tuple[Network, ...] = ()
    """Networks that may be sent to although they are private, and without TLS."""
    due: Bell = msgspec.field(default_factory=Bell)
    """Rings in this process when something may have become due."""

    @classmethod
    def of(cls, identity: Identity, *, secret_keys: Sequence[str], allowed: Sequence[Network] = ()) -> Self:
        """Prepare the room; the first of ``secret_keys`` seals, every one of them still reads."""
        return cls(
            ledger=identity.ledger,
            keys=Keyring(secret_keys, PURPOSE),
            subject_keys=identity.subject_keys,
            clock=identity.clock,
            allowed=tuple(allowed),
        )
