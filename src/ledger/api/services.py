"""What the handlers work with: made once by whoever starts the service."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import TypeVar

import msgspec

from ledger.api.file_places import FilePlaces
from ledger.api.lasting import MOST_BODY_BYTES
from ledger.api.lookups import Lookups
from ledger.api.uploads import Uploads
from ledger.delivery.live import Live
from ledger.history.readings import Readings
from ledger.identity.identity import Identity
from ledger.limiting.limiter import Limiter
from ledger.limiting.rates import Rates
from ledger.projections.progress import Progress
from ledger.projections.runner import Runner
from ledger.projections.standby import Standby
from ledger.sealing.notary import Notary
from ledger.sealing.receipts import Receipts
from ledger.sealing.witnesses import Watch
from ledger.store.ledger import Ledger
from ledger.webhooks.webhooks import Webhooks

T = TypeVar("T")


class Services(msgspec.Struct, frozen=True, kw_only=True):
    """The open ledger and the choices of this installation.

    ``runner`` is ``None`` in a process that only serves HTTP; ``max_body_bytes`` and
    ``max_in_flight`` bound what is let in at once, ``most_body_bytes`` all larger bodies of these together,
    ``body_seconds`` how long one may take to arrive,
    ``limiter`` and ``rates`` how often somebody may ask, ``uploads`` the files that arrive,
    ``readings`` adds up who reads the history, ``file_places`` counts files of it that are being written,
    ``max_claims`` how many items one person may hold (``None``: any number), ``seal_wait_seconds`` how long a command
    waits until it is sealed where that is asked for; ``tlog_public`` opens the log's entries and proofs to everybody,
    ``watch`` names the witnesses that are asked, ``standby`` answers what only reads (``None``: there is none),
    ``metrics_apart`` keeps the metrics off the service's port, ``metrics_digest`` is that of the token they are given for.
    """

    ledger: Ledger
    progress: Progress
    runner: Runner | None
    identity: Identity
    webhooks: Webhooks
    notary: Notary
    clock: Callable[[], datetime]
    service_name: str
    live: Live
    lookups: Lookups
    receipts: Receipts
    cors_origins: tuple[str, ...] = ()
    max_body_bytes: int = 1024 * 1024
    max_in_flight: int = 1024
    most_body_bytes: int = MOST_BODY_BYTES
    body_seconds: float = 30.0
    limiter: Limiter = msgspec.field(default_factory=Limiter)
    rates: Rates = Rates()
    uploads: Uploads = msgspec.field(default_factory=Uploads)
    max_claims: int | None = None
    watch: Watch | None = None
    readings: Readings = msgspec.field(default_factory=Readings)
    file_places: FilePlaces = msgspec.field(default_factory=FilePlaces)
    seal_wait_seconds: float = 5.0
    tlog_public: bool = False
    metrics_apart: bool = False
    metrics_digest: bytes | None = None
    standby: Standby | None = None

    async def read(self, views: Sequence[str], work: Callable[[Ledger], Awaitable[T]]) -> T:
        """Do ``work``, which reads the log and these ``views`` from its ledger's ``source``, where there is room for it.

        It sees all that was acknowledged before, whoever wrote it. Nothing is decided by what it finds.
        """
        return await (work(self.ledger) if self.standby is None else self.standby.read(views, work))

    def forked(self) -> tuple[str, ...]:
        """Name the witnesses that have seen a history which this ledger does not hold, as it was last heard of."""
        asked = () if self.watch is None else self.watch.witnesses
        return tuple(one.name for one in asked if one.partner in self.notary.forked)
