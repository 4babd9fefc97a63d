"""``ledger demo``: the whole story on an instance that is made for it and thrown away."""

import asyncio
import os
import secrets
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Final

import uvloop
from rich.console import Console

from ledger.cli.composing import composed, level
from ledger.cli.demo.story import play
from ledger.cli.http import serving
from ledger.cli.keeping import database_of_service
from ledger.cli.port import open_port, port_of, take_port
from ledger.cli.stopping import Stopping
from ledger.identity.registering import ensure_first_admin
from ledger.settings import Settings, ensure_secret_key
from ledger.store.ledger import Ledger
from ledger.telemetry.logs import configure_logs

KEPT_SETTINGS: Final = ("LEDGER_PG_BIN", "LEDGER_PG_USER")


def demo() -> int:
    """Play the whole story: items submitted, queued, decided, escalated; responses fetched; one history shown.

    Everything happens on a service of its own, with a database of its own, on a port of its own; nothing of it
    is left in the end. It takes a few seconds.
    """
    configure_logs(level="error", format="console")
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_demo(Console(highlight=False)))


async def _demo(console: Console) -> int:
    stopping, began = Stopping(), time.monotonic()
    password = secrets.token_urlsafe(18)
    try:
        with _throw_away_folder() as folder, console.status("Starting a service and its database") as status:
            async with _stage(_settings(folder), stopping, password) as (url, ledger):
                console.print(
                    f"A ledger of its own serves on {url} after {time.monotonic() - began:.1f} seconds."
                )
                status.update("Playing")
                await play(console, url, ledger, password)
    except asyncio.CancelledError:
        if stopping.signal is None:
            raise
        return stopping.exit_code
    console.print(f"That took {time.monotonic() - began:.1f} seconds; nothing of it is left.")
    return 0


@asynccontextmanager
async def _stage(
    settings: Settings, stopping: Stopping, admin_password: str
) -> AsyncIterator[tuple[str, Ledger]]:
    """A service as 'ledger serve' runs it, in this process: its URL, and its ledger."""
    sockets = take_port(settings.host, settings.port)
    async with database_of_service(settings, stopping) as database:
        await database.migrate()
        ledger = await database.open(settings)
        async with composed(ledger, settings, ensure_secret_key(settings)) as services:
            await ensure_first_admin(services.identity, settings.admin_username, admin_password)
            await level(services)
            open_port(sockets)
            async with serving(services, settings, sockets):
                yield f"http://{settings.host}:{port_of(sockets)}", ledger


def _settings(folder: Path) -> Settings:
    """Choose everything here, so that no setting of an installation leads the demo to its data."""
    kept = {name: os.environ[name] for name in KEPT_SETTINGS if name in os.environ}
    return Settings.load({**kept, "LEDGER_DATA_DIR": str(folder / "data"), "LEDGER_PORT": "0"})


@contextmanager
def _throw_away_folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="ledger-demo-"))
    if os.geteuid() == 0:  # root's PostgreSQL runs as another user, who has to pass through
        folder.chmod(0o711)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)
