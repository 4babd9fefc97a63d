"""``ledger audit export``: the ledger as a plain folder that anybody can verify, without us."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Final

from cyclopts import Parameter
from cyclopts.validators import Number

from ledger.cli.client import client_of
from ledger.cli.client_settings import ClientSettings
from ledger.cli.exporting.bundle import write_bundle
from ledger.cli.exporting.from_database import FromDatabase
from ledger.cli.exporting.from_service import FromService
from ledger.cli.exporting.service import Service
from ledger.cli.exporting.source import NothingIsSealed, NotSealedInTime, Source, Wanted
from ledger.cli.operating import disclosing
from ledger.domain.export.events import Tier
from ledger.identity.identity import utc_now

CONNECTIONS: Final = 8
WAIT_SECONDS: Final = 60.0
LOOK_EVERY: Final = 0.2


def export(
    *,
    output: Annotated[Path, Parameter(name=("--output", "-o"), help="The folder to make.")],
    tier: Annotated[Tier, Parameter(help="How much of each event; disclosed adds names and keys.")],
    url: Annotated[
        str | None, Parameter(help="A running service; else LEDGER_URL, else the database itself.")
    ] = None,
    from_: Annotated[int, Parameter(name="--from", validator=Number(gte=1), help="The first position.")] = 1,
    to: Annotated[
        int | None, Parameter(validator=Number(gte=1), help="The last one; else the last that is sealed.")
    ] = None,
    wait: Annotated[bool, Parameter(negative="", help="Wait until what is there now is sealed.")] = False,
) -> int:
    """Write what is sealed of the ledger into a new folder, with all that is needed to verify it.

    From the database of this installation or, with a URL, from a running service as an auditor or an administrator
    (LEDGER_TOKEN). It is an event in the ledger before anything leaves. VERIFY.md in the folder says how to verify it.
    """
    note = asyncio.run(_export(output, tier, url, first=from_, last=to, wait=wait))
    print(f"{output}: {note}")
    return 0


async def _export(
    output: Path, tier: Tier, url: str | None, *, first: int, last: int | None, wait: bool
) -> str:
    async with source_at(url) as source:
        covering = await _all_there_is(source) if wait else 1
        wanted = Wanted(tier=tier, first=first, last=last, covering=covering)
        wish = await write_bundle(source, wanted, output, now=utc_now())
    return f"positions {wish.first} to {wish.last} of {wish.size}, {tier.value}"


@asynccontextmanager
async def source_at(url: str | None) -> AsyncIterator[Source]:
    """Open the service at ``url``, or at LEDGER_URL; the database of this installation where neither is given."""
    async with service_at(url) as service:
        if service is not None:
            yield FromService(service)
            return
    async with disclosing() as (ledger, keyring):
        yield FromDatabase(ledger, keyring)


@asynccontextmanager
async def service_at(url: str | None) -> AsyncIterator[Service | None]:
    """Open the service at ``url``, or at LEDGER_URL; ``None``: neither names one."""
    settings = ClientSettings.load(url=url)
    if url is None and not settings.is_named:
        yield None
        return
    async with client_of(settings, connections=CONNECTIONS) as client:
        yield Service(client)


async def _all_there_is(source: Source) -> int:
    """Wait until all is sealed that was there when we began, at most a minute; how far that is.

    Raises:
        NothingIsSealed: sealing is halted, and waiting would be in vain.
        NotSealedInTime: it takes longer.
    """
    wanted, clock = await source.head(), asyncio.get_running_loop().time
    deadline = clock() + WAIT_SECONDS
    while (size := await source.sealed()) < wanted:
        if (halted := await source.halted()) is not None:
            raise NothingIsSealed(position=wanted, size=size, halted=halted)
        if clock() > deadline:
            raise NotSealedInTime(position=wanted, size=size)
        await asyncio.sleep(LOOK_EVERY)
    return max(wanted, 1)
