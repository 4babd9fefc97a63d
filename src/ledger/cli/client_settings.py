"""What a client of a running service has to know; it reads none of the service's own settings."""

import os
from collections.abc import Mapping
from typing import Final, Self
from urllib.parse import urlsplit

import msgspec
from pydantic import SecretStr

from ledger.setting_values import Problem
from ledger.settings import SettingsRefused

OWN_SERVICE: Final = "http://127.0.0.1:8002"


class ClientRefused(SettingsRefused):
    """The command cannot reach a service with what it was told."""

    code = "client-refused"
    advice = "Change what is listed and try again."


class ClientSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Where a running service is, and the token to show there (``None``: ask for it).

    ``hint`` is for whoever does not reach it there; empty when there is none. ``is_named``: somebody said where it is.
    """

    url: str
    token: SecretStr | None
    hint: str = ""
    is_named: bool = True

    @classmethod
    def load(cls, *, url: str | None = None, environ: Mapping[str, str] = os.environ) -> Self:
        """Take ``url`` if the command was given one, else ``LEDGER_URL``, else this machine's own service.

        Raises:
            ClientRefused: the URL is none.
        """
        named = url or environ.get("LEDGER_URL")
        chosen = named or OWN_SERVICE
        split = urlsplit(chosen)
        if split.scheme not in {"http", "https"} or not split.netloc:
            about = "--url" if url else "LEDGER_URL"
            raise ClientRefused([Problem(about, f"{chosen!r} is no URL like http://127.0.0.1:8002")])
        token = environ.get("LEDGER_TOKEN")
        hint = "" if named else _hint(environ)
        return cls(
            url=chosen.rstrip("/"), token=SecretStr(token) if token else None, hint=hint, is_named=bool(named)
        )


def _hint(environ: Mapping[str, str]) -> str:
    for_the_service = [name for name in ("LEDGER_HOST", "LEDGER_PORT") if environ.get(name)]
    if not for_the_service:
        return ""
    return f"{' and '.join(for_the_service)} is not read here: name the service with --url or LEDGER_URL"
