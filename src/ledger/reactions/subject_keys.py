"""Keys of data subjects that an earlier secret key of the service has wrapped are wrapped anew under the current one."""

from typing import Final

from ledger.identity.identity import Identity
from ledger.personal import keys
from ledger.reactions.sweeping import sweep_forever

SWEEP_SECONDS: Final = 60.0
AT_ONCE: Final = 500
"""How many are wrapped in one transaction."""


async def run_forever(identity: Identity, *, every: float = SWEEP_SECONDS) -> None:
    """Sweep every so many seconds until cancelled."""
    await sweep_forever(lambda: sweep(identity), every=every, failed="subject_keys.sweep.failed")


async def sweep(identity: Identity) -> None:
    """Wrap anew what is wrapped under previous keys, so that these can leave the settings.

    Raises:
        Unavailable: the database cannot be reached.
    """
    if not identity.subject_keys.previous_ids():
        return
    while await keys.rewrap(identity.ledger, identity.subject_keys, at_most=AT_ONCE) >= AT_ONCE:
        pass
