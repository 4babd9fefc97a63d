"""``ledger notary``: how the log is sealed, another key, and going on after a halt; also beside a running service."""

import asyncio
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Final, TypeAlias

import httpx2
import msgspec
from cyclopts import Parameter

from ledger.api.notary_wire import NotaryStatus, notary_status_of
from ledger.cli.client import client_of
from ledger.cli.client_settings import ClientRefused, ClientSettings
from ledger.cli.operating import by_operator, operating, overseeing
from ledger.cli.refusals import printable
from ledger.cli.sealing import guard_of, keyring_of, origin_of
from ledger.cli.tables import print_json
from ledger.cli.watching import watch_of
from ledger.cli.witnessed import lines_of_stamps, lines_of_witnesses
from ledger.identity.identity import utc_now
from ledger.sealing import adopting
from ledger.sealing.adopting import Adopted, Operator, Rotated
from ledger.sealing.guard import Guard
from ledger.sealing.keyring import Keyring
from ledger.sealing.notes import Checkpoint
from ledger.setting_values import Problem
from ledger.settings import Settings
from ledger.store.ledger import Ledger
from ledger.store.pool import reading

Json: TypeAlias = Annotated[bool, Parameter(negative="", help="As JSON, for programs.")]
Reason: TypeAlias = Annotated[str, Parameter(help="Why; it is kept in the ledger.")]

WELL, HALTED = 0, 2
PATH: Final = "/admin/notary/status"
KEY_TO_COME: Final = "none yet; the first start of the service makes it"
KEY_LOST: Final = "not here: put the copy back, or see docs/operations/sealing.md"


def status(
    *,
    url: Annotated[str | None, Parameter(help="Ask the service at this address.")] = None,
    json: Json = False,
) -> int:
    """Show what is sealed and under which key: of the database, or of a running service.

    With --url, or LEDGER_URL, it asks a service and shows it LEDGER_TOKEN. Hand the vkey to auditors yourself: a
    verifier must not take it from the service that it verifies.

    Exit codes: 0 all is well, 2 the notary is halted, or a witness has seen a history that is not this one.
    """
    client = ClientSettings.load(url=url)
    asks = url is not None or client.is_named
    found = asyncio.run(_asked(client) if asks else _looked_up())
    if json:
        print_json(found)
    else:
        for line in _lines(found):
            print(line)
    is_forked = found.witnessed is not None and any(one.fork for one in found.witnessed.witnesses)
    return HALTED if is_forked or found.halted is not None else WELL


def rotate_key(*, reason: Reason, json: Json = False) -> int:
    """Sign with a new key from now on; the next checkpoint is signed by the old one too."""
    done = asyncio.run(_rotate(reason))
    if json:
        print_json(done)
        return WELL
    print(f"New key        {done.vkey}")
    print(f"Old key        {done.previous}")
    print(
        "Hand the new key to everybody who verifies, by the way you handed them the old one. The next checkpoint is"
    )
    print("signed by both keys: whoever trusts the old one can follow from there.")
    return WELL


def adopt(*, reason: Reason, json: Json = False) -> int:
    """Take what the database holds as the log after the notary has halted; see docs/operations/sealing.md first."""
    done = asyncio.run(_adopt(reason))
    if json:
        print_json(done)
        return WELL
    print(f"Adopted        {_described(done.checkpoint)}, although: {done.cause}")
    if done.guarded is not None:
        print(f"Guard knew     {_described(done.guarded)}")
    print(f"Key            {done.vkey}")
    if done.is_new_key:
        print(
            "This is another key than before. Hand it to everybody who verifies, and say why: with the old one they"
        )
        print("see that the log they know has ended.")
    return WELL


async def _asked(settings: ClientSettings) -> NotaryStatus:
    async with client_of(settings, connections=1) as client:
        try:
            answer = await client.get(PATH)
        except httpx2.HTTPError as lost:
            reason = printable(str(lost)) or type(lost).__name__
            raise ClientRefused([Problem(settings.url, f"does not answer: {reason}")]) from lost
    if answer.status_code != httpx2.codes.OK:
        told = printable(answer.text)[:300]
        raise ClientRefused([Problem(settings.url, f"answers {answer.status_code}: {told}")])
    return msgspec.json.decode(answer.content, type=NotaryStatus)


async def _looked_up() -> NotaryStatus:
    settings = Settings.load()
    async with overseeing() as ledger, reading(ledger.pool) as conn:
        return await notary_status_of(
            conn, ledger.ledger_id, origin_of(ledger, settings), watch_of(settings), utc_now()
        )


async def _rotate(reason: str) -> Rotated:
    async with _office() as (ledger, keyring, _):
        return await adopting.rotate_key(ledger, keyring, _by(reason))


async def _adopt(reason: str) -> Adopted:
    async with _office() as (ledger, keyring, guard):
        return await adopting.adopt(ledger, keyring, guard, _by(reason))


@asynccontextmanager
async def _office() -> AsyncIterator[tuple[Ledger, Keyring, Guard]]:
    settings = Settings.load()
    async with operating(only="api") as services:
        origin = origin_of(services.ledger, settings)
        guard = guard_of(settings, origin)
        try:
            yield services.ledger, keyring_of(settings, origin), guard
        finally:
            await guard.close()


def _by(reason: str) -> Operator:
    return Operator(provenance=by_operator(), reason=reason, clock=utc_now)


def _described(checkpoint: Checkpoint) -> str:
    return f"{checkpoint.size} events of {checkpoint.origin}, root {b64encode(checkpoint.root).decode()}"


def _lines(found: NotaryStatus) -> list[str]:
    at = "nothing yet" if found.sealed_at is None else f"{found.sealed_at:%Y-%m-%d %H:%M:%S} UTC"
    lines = [
        f"Origin         {printable(found.origin)}",
        f"Key            {printable(found.vkey or (KEY_LOST if found.size else KEY_TO_COME))}",
        f"Sealed         {found.size} events, root {printable(found.root)}",
        f"At             {at}",
        f"Not sealed     {found.lag_events} events",
    ]
    if found.halted is not None:
        lines.append(
            f"HALTED         {printable(found.halted.code)} since {found.halted.since:%Y-%m-%d %H:%M:%S} UTC"
        )
        lines.append(f"               {printable(found.halted.because)}")
    elif not found.is_sealing:
        lines.append("               no process seals right now")
    return [*lines, *lines_of_witnesses(found.witnessed), *lines_of_stamps(found.stamped)]
