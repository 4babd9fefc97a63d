"""The notary of this installation: its name, its keys, its guard."""

from pathlib import Path
from urllib.parse import unquote, urlsplit

from ledger.identity.identity import utc_now
from ledger.sealing.guard import GUARD_FILE, FileGuard, Guard
from ledger.sealing.guard_elsewhere import DatabaseGuard
from ledger.sealing.keyring import Keyring
from ledger.sealing.notary import Notary, default_origin
from ledger.sealing.sealer import Sealer
from ledger.settings import Settings
from ledger.store.ledger import Ledger


def origin_of(ledger: Ledger, settings: Settings) -> str:
    """Name the log."""
    return settings.notary_origin or default_origin(ledger)


def keyring_of(settings: Settings, origin: str) -> Keyring:
    """Say where the keys are."""
    return Keyring(
        origin,
        settings.data_dir.absolute(),
        given=[key.get_secret_value() for key in settings.notary_key],
        is_strict=settings.is_production,
    )


def guard_of(settings: Settings, origin: str) -> Guard:
    """Say where the last checkpoint is kept."""
    if settings.notary_state_url is None:
        return FileGuard(settings.data_dir.absolute() / GUARD_FILE)
    url = settings.notary_state_url.get_secret_value()
    split = urlsplit(url)
    return FileGuard(Path(unquote(split.path))) if split.scheme == "file" else DatabaseGuard(url, origin)


def notary_of(ledger: Ledger, settings: Settings, *, seals: bool) -> Notary:
    """Prepare to hear of what is sealed, and, where this process ``seals``, to do it."""
    origin = origin_of(ledger, settings)
    sealer = None
    if seals and settings.notary:
        sealer = Sealer(ledger, keyring_of(settings, origin), guard_of(settings, origin), utc_now)
    return Notary(ledger, origin=origin, sealer=sealer)
