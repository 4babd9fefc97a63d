"""Somebody writes to the database by hand: what opens an account must be what the log says."""

import asyncio
from datetime import timedelta

import pytest
from msgspec.structs import replace
from structlog.testing import capture_logs

from ledger.command_handling.context import CommandContext
from ledger.command_handling.handler import handle
from ledger.domain.account.commands import ChangePassword
from ledger.domain.account.decide import ACCOUNT
from ledger.domain.account.events import ApiKeyIssued, PasswordChanged, Scope
from ledger.domain.authority import Role
from ledger.domain.ids import PersonId
from ledger.identity import api_keys, credentials, refresh_rows
from ledger.identity.administering import change_password
from ledger.identity.identity import Identity
from ledger.identity.key_rows import hash_of
from ledger.identity.login import CredentialDiffers, WrongCredentials, compare
from ledger.identity.refreshing import InvalidRefreshToken, refresh
from ledger.identity.sessions import authenticate
from ledger.identity.tokens import InvalidToken
from ledger.store.ledger import account_stream
from tests.builders import CREDENTIAL
from tests.identity.house import PASSWORD, admitted, by_operator, logged_in, operator, principal

OTHER_PASSWORD = "a password that the attacker knows"

PUT_HASH = "update work.credentials set password_hash = $2 where person_id = $1"
PUT_KEY_HASH = "update work.api_keys set key_hash = $1"


async def put_password(identity: Identity, person: PersonId, password: str) -> None:
    stored = await identity.passwords.hash(password)
    await identity.ledger.pool.execute(PUT_HASH, person, stored)


async def set_password(identity: Identity, username: str, password: str) -> None:
    await change_password(identity, username, operator(), new_password=password, reason="changed by hand")


@pytest.mark.parametrize("password", [PASSWORD, OTHER_PASSWORD, "neither"])
async def test_a_password_that_no_event_set_opens_nothing_and_is_told(
    identity: Identity, password: str
) -> None:
    person = await admitted(identity, "sam")
    await put_password(identity, person, OTHER_PASSWORD)

    with capture_logs() as logs, pytest.raises(CredentialDiffers):
        await logged_in(identity, "sam", password)

    assert [(line["event"], line["person"]) for line in logs] == [("password.not_as_set", str(person))]


async def test_nor_the_one_of_somebody_else(identity: Identity) -> None:
    sam, mallory = (
        await admitted(identity, "sam"),
        await admitted(identity, "mallory", password=OTHER_PASSWORD),
    )
    pool, ledger_id = identity.ledger.pool, identity.ledger.ledger_id
    await pool.execute(PUT_HASH, sam, await credentials.read(pool, ledger_id, mallory))

    with pytest.raises(CredentialDiffers):
        await logged_in(identity, "sam", OTHER_PASSWORD)
    assert (await logged_in(identity, "mallory", OTHER_PASSWORD)).session


async def test_nor_the_one_before(identity: Identity) -> None:
    person = await admitted(identity, "sam")
    pool, ledger_id = identity.ledger.pool, identity.ledger.ledger_id
    before = await credentials.read(pool, ledger_id, person)
    await set_password(identity, "sam", "the second password of sam")
    await pool.execute(PUT_HASH, person, before)

    with pytest.raises(CredentialDiffers):
        await logged_in(identity, "sam")


async def test_a_password_that_an_administrator_sets_mends_it(identity: Identity) -> None:
    person = await admitted(identity, "sam")
    await put_password(identity, person, OTHER_PASSWORD)

    await set_password(identity, "sam", "the second password of sam")

    assert (await logged_in(identity, "sam", "the second password of sam")).session
    with pytest.raises(WrongCredentials):
        await logged_in(identity, "sam", OTHER_PASSWORD)


async def test_it_does_not_serve_as_the_current_password_either(identity: Identity) -> None:
    person = await admitted(identity, "sam")
    sam = await principal(identity, "sam")
    await put_password(identity, person, OTHER_PASSWORD)

    with pytest.raises(CredentialDiffers):
        await change_password(
            identity,
            "sam",
            replace(operator(), principal=sam),
            new_password="another one again",
            current_password=OTHER_PASSWORD,
        )


async def test_a_password_that_is_being_changed_is_not_taken_for_one(identity: Identity) -> None:
    person = await admitted(identity, "sam")
    changing = asyncio.create_task(change_often(identity))

    while not changing.done():
        account, _ = await compare(identity, person, PASSWORD)
        assert account.person == person

    assert await changing == 30


async def change_often(identity: Identity) -> int:
    for _ in range(30):
        await set_password(identity, "sam", PASSWORD)
    return 30


async def test_a_password_set_by_an_older_release_is_as_good_as_ever(identity: Identity) -> None:
    person = await admitted(identity, "sam")
    older = replace(
        ACCOUNT,
        decide=lambda command, _: (
            PasswordChanged(at=command.now, by=None, kept_session=None, reason="by an older release"),
        ),
    )
    await put_password(identity, person, OTHER_PASSWORD)
    await handle(
        identity.ledger,
        CommandContext(
            decider=older, target=account_stream(person), clock=identity.clock, provenance=by_operator()
        ),
        lambda facts: ChangePassword(now=facts.now, by=None, reason="", credential=CREDENTIAL),
    )

    assert (await logged_in(identity, "sam", OTHER_PASSWORD)).session


async def issued(identity: Identity) -> tuple[str, ApiKeyIssued]:
    handled, key = await api_keys.issue(
        identity, "engine", operator(), name="the engine", scopes=[Scope.SUBMIT], expires_at=None
    )
    event = handled.events[0].event
    assert isinstance(event, ApiKeyIssued)
    return key.secret or "", event


async def test_a_key_that_was_not_issued_opens_nothing_and_is_told(identity: Identity) -> None:
    await admitted(identity, "engine", role=Role.SERVICE)
    secret, event = await issued(identity)
    forged = secret[:-4] + ("AAAA" if secret[-4:] != "AAAA" else "BBBB")
    await identity.ledger.pool.execute(PUT_KEY_HASH, hash_of(forged))

    for bearer in (forged, secret):
        with capture_logs() as logs, pytest.raises(InvalidToken):
            await authenticate(identity, bearer)
        told = [(line["event"], line["key_id"]) for line in logs]
        assert told == ([("api_key.not_as_issued", str(event.key))] if bearer == forged else [])


async def test_the_event_of_a_key_commits_to_its_hash_and_does_not_hold_it(identity: Identity) -> None:
    await admitted(identity, "engine", role=Role.SERVICE)
    secret, event = await issued(identity)

    assert event.credential == credentials.committed(hash_of(secret))
    assert event.credential != hash_of(secret).hex()
    assert (await authenticate(identity, secret)).role is Role.SERVICE


async def put_refresh_token(identity: Identity, like: str, token: str) -> None:
    ledger = identity.ledger
    held = await refresh_rows.find(ledger.pool, ledger.ledger_id, like)
    assert held is not None
    now = identity.clock()
    async with ledger.pool.acquire() as conn:
        await refresh_rows.insert(
            conn,
            ledger.ledger_id,
            token,
            held.session,
            generation=1,
            now=now,
            expires_at=now + timedelta(days=1),
        )


@pytest.mark.parametrize("family", [b"", b"\0" * 32], ids=["as of an older release", "of another login"])
async def test_a_refresh_token_that_nobody_was_given_opens_nothing(identity: Identity, family: bytes) -> None:
    await admitted(identity, "sam")
    given = (await logged_in(identity, "sam")).refresh_token or ""
    forged = refresh_rows.new_token(family)
    await put_refresh_token(identity, given, forged)

    with capture_logs() as logs, pytest.raises(InvalidRefreshToken):
        await refresh(identity, forged)

    assert [line["event"] for line in logs] == ["refresh_token.of_no_login"]
    assert (await refresh(identity, given)).access_token


async def test_nor_the_one_of_another_session(identity: Identity) -> None:
    await admitted(identity, "sam")
    await admitted(identity, "mallory")
    sams = (await logged_in(identity, "sam")).refresh_token or ""
    mallorys = (await logged_in(identity, "mallory")).refresh_token or ""
    own = refresh_rows.new_token(refresh_rows.family_of(mallorys))
    await put_refresh_token(identity, sams, own)

    with pytest.raises(InvalidRefreshToken):
        await refresh(identity, own)


async def test_all_tokens_of_a_session_are_of_one_family(identity: Identity) -> None:
    await admitted(identity, "sam")
    tokens = [(await logged_in(identity, "sam")).refresh_token or ""]
    for _ in range(3):
        tokens.append((await refresh(identity, tokens[-1])).refresh_token)
    other = (await logged_in(identity, "sam")).refresh_token or ""

    assert len(set(tokens)) == 4
    assert len({refresh_rows.family_of(token) for token in tokens}) == 1
    assert refresh_rows.family_of(other) != refresh_rows.family_of(tokens[0])


@pytest.mark.parametrize("token", ["", "x", "\N{LATIN SMALL LETTER E WITH ACUTE}" * 86, "a" * 43, "=" * 86])
def test_what_is_no_token_is_of_no_family(token: str) -> None:
    assert refresh_rows.family_of(token) == b""
