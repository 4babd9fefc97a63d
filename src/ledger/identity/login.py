"""Logging in by password; where a second factor is enabled, as far as to be asked for it."""

from collections.abc import Collection
from typing import Final
from uuid import UUID

import structlog

from ledger.command_handling.facts import state_of
from ledger.command_handling.handler import MAX_ATTEMPTS
from ledger.domain.access.decide import ACCESS
from ledger.domain.account.decide import ACCOUNT
from ledger.domain.account.state import AccountState, Registered
from ledger.domain.authority import Role
from ledger.domain.errors import Corrupt, Unauthenticated
from ledger.domain.ids import START, PersonId
from ledger.domain.session.decide import InactiveUser
from ledger.domain.session.events import Factor
from ledger.identity import credentials, people
from ledger.identity.identity import Identity
from ledger.identity.opening import LoggedIn, ProofOutdated, Proven, open_session
from ledger.identity.session_rows import Client
from ledger.store.ledger import ACCESS_STREAM, account_stream
from ledger.store.streams import read_streams

log = structlog.get_logger()

NOBODY: Final = PersonId(UUID(int=0))
"""Looked up in place of a person who does not exist, so that both take the same steps."""


class WrongCredentials(Unauthenticated):
    """Incorrect username or password."""

    code = "wrong-credentials"
    advice = ""


class CredentialDiffers(Corrupt):
    """The stored password is not the one that the log commits to: somebody has changed the database."""

    code = "credential-differs"
    advice = "An administrator sets another password and finds out who writes to the database."


async def login(
    identity: Identity, *, username: str, password: str, client: Client, correlation_id: str = ""
) -> LoggedIn:
    """Log a person in by password; with a second factor enabled, only as far as to be asked for it.

    So it is for whoever has none and whose role demands one: the limited token is good for setting it up.

    When the account changes meanwhile (its password, its role), the whole login begins again: three attempts.

    Raises:
        WrongCredentials: nobody has this name, or the password is another; both take the same time.
        InactiveUser: the password is right and the account is deactivated.
        CredentialDiffers: what is stored of theirs is not what the log commits to.
        TooManyFailures: this name, or this address, was wrong too often; nothing is said about this password.
        Overloaded: too many passwords wait to be compared.
        ProofOutdated: three attempts met changes of the account.
    """
    for attempt in range(1, MAX_ATTEMPTS + 1):
        async with identity.passwords.turn():
            account, needs_factor = await _prove(identity, username, password, client)
        if needs_factor:
            return _ask_for_second_factor(identity, account)
        proven = Proven(person=account.person, epoch=account.epoch, factors=(Factor.PASSWORD,))
        try:
            return await open_session(identity, proven, client, correlation_id=correlation_id)
        except ProofOutdated:
            if attempt == MAX_ATTEMPTS:
                raise
    raise AssertionError  # the loop above returns or raises


async def _prove(identity: Identity, username: str, password: str, client: Client) -> tuple[Registered, bool]:
    ledger = identity.ledger
    found = await people.find(ledger.pool, ledger.ledger_id, username)
    person = None if found is None else found.person
    async with identity.guesses.password(username, person, client.address):
        account, needs_factor = await compare(identity, NOBODY if person is None else person, password)
    if not account.is_active:
        raise InactiveUser(person=person)
    return account, needs_factor


async def compare(identity: Identity, person: PersonId, password: str) -> tuple[Registered, bool]:
    """Compare a password with a person's own; give their account, and tell whether a login needs more than that.

    Raises:
        WrongCredentials: it is another, or there is no such person.
        CredentialDiffers: what is stored of theirs is not what the log commits to.
        Overloaded: too many passwords wait to be compared.
    """
    account, demanding, password_hash = await _known_of(identity, person)
    is_right = await identity.passwords.matches(password_hash, password)
    if not (is_right and isinstance(account, Registered)):
        raise WrongCredentials
    return account, account.second_factor or account.role in demanding


async def _known_of(
    identity: Identity, person: PersonId
) -> tuple[AccountState, Collection[Role], str | None]:
    """Read an account, the roles that a second factor is demanded of, and the password's hash, if there is any."""
    ledger, its_account = identity.ledger, account_stream(person)
    seen: AccountState | None = None
    while True:
        # Read before the hash, so that the epoch is never newer than the proof.
        streams = await read_streams(ledger, [its_account, ACCESS_STREAM])
        account = state_of(ACCOUNT, streams[its_account])
        stored = await credentials.read(ledger.pool, ledger.ledger_id, person)
        if stored is None or not isinstance(account, Registered) or _is_as_said(account, stored):
            return account, state_of(ACCESS, streams[ACCESS_STREAM]).second_factor, stored
        if account == seen:  # else the password is being changed at this moment
            log.error(
                "password.not_as_set", person=str(person), advice="its row was changed: set another one"
            )
            raise CredentialDiffers(person=person)
        seen = account


def _is_as_said(account: Registered, stored: str) -> bool:
    return account.credential in {None, credentials.committed(stored.encode())}


def _ask_for_second_factor(identity: Identity, account: Registered) -> LoggedIn:
    token = identity.tokens.limited(account.person, account.epoch, identity.clock())
    return LoggedIn(access_token=token, refresh_token=None, requires_2fa=True, position=START)
