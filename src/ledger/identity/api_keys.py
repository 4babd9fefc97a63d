"""API keys of service accounts: issued and shown once, listed, revoked."""

from collections.abc import Callable, Sequence
from datetime import datetime
from uuid import uuid4

import msgspec

from ledger.command_handling.answering import Handled
from ledger.command_handling.context import CommandContext
from ledger.command_handling.facts import Facts, state_of
from ledger.command_handling.handler import Alongside, handle
from ledger.domain.account.commands import AccountCommand, IssueApiKey, RevokeApiKey
from ledger.domain.account.decide import ACCOUNT, KeyNotFound
from ledger.domain.account.events import AccountEvent, ApiKeyIssued, Scope
from ledger.domain.account.state import ApiKey, Registered, key_of
from ledger.domain.ids import KeyId, PersonId
from ledger.identity import key_rows, people
from ledger.identity.actor import Actor
from ledger.identity.credentials import committed
from ledger.identity.identity import Identity, settled
from ledger.identity.key_rows import Described
from ledger.store.ledger import account_stream
from ledger.store.pool import Connection
from ledger.store.streams import read_streams


class IssuedKey(msgspec.Struct, frozen=True, kw_only=True):
    """A key just issued; ``secret`` is there this once, and ``None`` when the command was sent again."""

    key: ApiKey
    secret: str | None


class ListedKey(msgspec.Struct, frozen=True, kw_only=True):
    """A key that was not revoked; it may have expired."""

    person: PersonId
    key: ApiKey
    described: Described


async def issue(
    identity: Identity,
    username: str,
    actor: Actor,
    *,
    name: str,
    scopes: Sequence[Scope],
    expires_at: datetime | None,
) -> tuple[Handled[AccountEvent], IssuedKey]:
    """Let a machine use a service account; an administrator does, or the operator.

    Raises:
        AdminRequired: somebody else asks for it.
        AccountNotFound: nobody has this user name.
        NotAServiceAccount: it is a person's, or deactivated.
        StepUpRequired: the administrator has a second factor and has to prove it again.
    """
    ledger = identity.ledger
    found = await people.must_find(ledger.pool, ledger.ledger_id, username)
    new_key = KeyId(uuid4())
    secret = key_rows.new_key(new_key)

    def build(facts: Facts) -> IssueApiKey:
        return IssueApiKey(
            now=facts.now,
            by=actor.authority(facts),
            key=new_key,
            scopes=tuple(sorted(set(scopes))),
            expires_at=expires_at,
            credential=committed(key_rows.hash_of(secret)),
        )

    async def write_row(conn: Connection) -> None:
        now = identity.clock()
        await key_rows.insert(
            conn, ledger.ledger_id, new_key, found.person, name=name, secret=secret, now=now
        )

    handled = await _handle(identity, found.person, build, actor, alongside=write_row)
    issued = next(one.event for one in handled.events if isinstance(one.event, ApiKeyIssued))
    key = key_of(issued)
    return handled, IssuedKey(key=key, secret=secret if key.key == new_key else None)


async def revoke(identity: Identity, key: KeyId, actor: Actor, *, reason: str) -> Handled[AccountEvent]:
    """Take a key away; it stops working at once, on every instance.

    Raises:
        AdminRequired: somebody else than an administrator or the operator asks for it.
        KeyNotFound: there is no such key, or it was revoked before.
    """
    person = await key_rows.owner_of(identity.ledger.pool, identity.ledger.ledger_id, key)
    if person is None:
        raise KeyNotFound

    def build(facts: Facts) -> RevokeApiKey:
        return RevokeApiKey(now=facts.now, by=actor.authority(facts), key=key, reason=reason)

    handled = await _handle(identity, person, build, actor)
    await settled(identity, handled.position)
    return handled


async def keys_of(identity: Identity) -> tuple[ListedKey, ...]:
    """List every key that was not revoked, account by account."""
    ledger = identity.ledger
    owners = await key_rows.owners(ledger.pool, ledger.ledger_id)
    streams = await read_streams(ledger, [account_stream(person) for person in owners])
    accounts = [state_of(ACCOUNT, stream) for stream in streams.values()]
    known = [
        (account, key) for account in accounts if isinstance(account, Registered) for key in account.keys
    ]
    described = await key_rows.describe(ledger.pool, ledger.ledger_id, [key.key for _, key in known])
    return tuple(
        ListedKey(person=account.person, key=key, described=described[key.key])
        for account, key in known
        if key.key in described
    )


async def _handle(
    identity: Identity,
    person: PersonId,
    build: Callable[[Facts], AccountCommand],
    actor: Actor,
    *,
    alongside: Alongside | None = None,
) -> Handled[AccountEvent]:
    target = account_stream(person)
    return await handle(
        identity.ledger,
        CommandContext(
            decider=ACCOUNT,
            target=target,
            clock=identity.clock,
            provenance=actor.provenance,
            reads=[name for name in actor.reads() if name != target],
        ),
        build,
        alongside=alongside,
    )
