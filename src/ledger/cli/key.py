"""``ledger key``: API keys of service accounts, for whoever may run commands on this machine."""

import asyncio
from datetime import timedelta
from typing import Annotated, Literal, TypeAlias
from uuid import UUID

import msgspec
from cyclopts import Parameter

from ledger.cli.operating import operating, operator
from ledger.cli.tables import print_json, print_table
from ledger.domain.account.events import Scope
from ledger.domain.errors import Invalid
from ledger.domain.event import Utc
from ledger.domain.ids import KeyId
from ledger.identity import api_keys, people
from ledger.identity.api_keys import IssuedKey
from ledger.identity.key_rows import prefix_of

ScopeName: TypeAlias = Literal["decisions:submit", "decisions:read"]
"""A ``Scope`` as it is written everywhere else: an enumeration would be typed by its members' names."""


class KeyRefused(Invalid):
    """This key cannot be dealt with."""

    code = "key-refused"


class Key(msgspec.Struct, frozen=True, kw_only=True):
    """A key, as ``key list`` shows it."""

    key_id: str
    prefix: str
    username: str
    name: str
    scopes: tuple[Scope, ...]
    created_at: Utc
    expires_at: Utc | None
    last_used_at: Utc | None


def issue(
    username: str,
    *,
    name: Annotated[str, Parameter(help="What people call it.")] = "",
    scope: Annotated[
        tuple[ScopeName, ...], Parameter(help="What it is good for; all there is by default.")
    ] = (),
    days: Annotated[int | None, Parameter(help="How long it is good; for ever by default.")] = None,
) -> int:
    """Issue a key for a service account and print it, once."""
    if days is not None and not 1 <= days <= 3650:  # noqa: PLR2004 - said in the text
        raise KeyRefused(days="is a number from 1 to 3650")
    if len(name) > 100:  # noqa: PLR2004 - said in the text
        raise KeyRefused(name="has at most 100 characters")
    issued = asyncio.run(_issue(username, name, tuple(map(Scope, scope or Scope)), days))
    print(f"Key: {issued.secret}   (shown only this once)")
    return 0


def show(*, json: Annotated[bool, Parameter(negative="", help="As JSON, for programs.")] = False) -> int:
    """Show the keys that were not revoked."""
    keys = asyncio.run(_keys())
    if json:
        print_json(keys)
    else:
        _print_table(keys)
    return 0


def revoke(key_id: str, *, reason: Annotated[str, Parameter(help="Why; it is kept in the ledger.")]) -> int:
    """Take a key away, by its id: it stops working at once, everywhere."""
    try:
        key = KeyId(UUID(key_id))
    except ValueError as malformed:
        raise KeyRefused(key_id="is what 'ledger key list' shows") from malformed
    if not reason.strip():
        raise KeyRefused(reason="--reason says why")
    asyncio.run(_revoke(key, reason))
    print(f"{prefix_of(key)}… is revoked.")
    return 0


async def _issue(username: str, name: str, scopes: tuple[Scope, ...], days: int | None) -> IssuedKey:
    async with operating() as services:
        expires_at = None if days is None else services.clock() + timedelta(days=days)
        _, issued = await api_keys.issue(
            services.identity, username, operator(), name=name, scopes=scopes, expires_at=expires_at
        )
        return issued


async def _keys() -> list[Key]:
    async with operating() as services:
        ledger = services.ledger
        listed = await api_keys.keys_of(services.identity)
        names = await people.names_of(ledger.pool, ledger.ledger_id, [one.person for one in listed])
    return [
        Key(
            key_id=str(one.key.key),
            prefix=prefix_of(one.key.key),
            username=names.get(one.person, "erased"),
            name=one.described.name,
            scopes=one.key.scopes,
            created_at=one.described.created_at,
            expires_at=one.key.expires_at,
            last_used_at=one.described.last_used_at,
        )
        for one in listed
    ]


async def _revoke(key: KeyId, reason: str) -> None:
    async with operating() as services:
        await api_keys.revoke(services.identity, key, operator(), reason=reason)


def _print_table(keys: list[Key]) -> None:
    columns = ("Id", "Prefix", "User", "Name", "Scopes", "Good until", "Last used")
    rows = [
        (
            key.key_id,
            key.prefix,
            key.username,
            key.name,
            " ".join(key.scopes),
            f"{key.expires_at:%Y-%m-%d}" if key.expires_at else "always",
            f"{key.last_used_at:%Y-%m-%d %H:%M}" if key.last_used_at else "never",
        )
        for key in keys
    ]
    print_table(columns, rows)
