"""A machine's key: shown once, stored as a hash, dead with whatever it relied on."""

from datetime import timedelta
from uuid import UUID

import pytest

from ledger.domain.account.decide import AccountNotFound, KeyNotFound, NotAServiceAccount
from ledger.domain.account.events import Scope
from ledger.domain.authority import Role, SessionNotLive
from ledger.domain.ids import KeyId
from ledger.identity import api_keys
from ledger.identity.actor import Actor
from ledger.identity.administering import change_role, deactivate
from ledger.identity.api_keys import IssuedKey
from ledger.identity.identity import Identity
from ledger.identity.sessions import authenticate, own_session
from ledger.identity.tokens import InvalidToken
from ledger.store.envelope import Provenance
from ledger.store.streams import keyed_command_id
from tests.identity.house import MovingClock, admitted, by_operator, operator, principal


async def issued(
    identity: Identity,
    username: str = "engine",
    *,
    days: int | None = None,
    provenance: Provenance | None = None,
) -> IssuedKey:
    expires_at = None if days is None else identity.clock() + timedelta(days=days)
    _, key = await api_keys.issue(
        identity,
        username,
        Actor(principal=None, provenance=provenance or by_operator()),
        name="the engine",
        scopes=[Scope.SUBMIT],
        expires_at=expires_at,
    )
    return key


async def test_a_key_is_its_account(identity: Identity) -> None:
    person = await admitted(identity, "engine", role=Role.SERVICE)
    key = await issued(identity)

    machine = await authenticate(identity, key.secret or "")

    assert (machine.person, machine.role, machine.session) == (person, Role.SERVICE, None)
    assert machine.key == key.key
    with pytest.raises(Exception, match="Insufficient permissions"):
        own_session(machine)


async def test_the_secret_is_stored_nowhere(identity: Identity) -> None:
    await admitted(identity, "engine", role=Role.SERVICE)
    secret = (await issued(identity)).secret or ""
    random_part = secret.rpartition("_")[2]

    assert secret.startswith("ldk_")
    rows = await identity.ledger.pool.fetch("select t::text as line from work.api_keys t")
    log = await identity.ledger.pool.fetch("select convert_from(payload, 'utf8') as line from ledger.events")
    assert not any(random_part in row["line"] for row in [*rows, *log])


@pytest.mark.parametrize("spoiled", ["ldk_", "ldk_zz", "x", ""])
async def test_what_is_no_key_opens_nothing(identity: Identity, spoiled: str) -> None:
    await admitted(identity, "engine", role=Role.SERVICE)
    secret = (await issued(identity)).secret or ""

    for wrong in ("ldk_" + spoiled, secret[:-1] + ("a" if secret[-1] != "a" else "b"), secret + "a"):
        with pytest.raises(InvalidToken):
            await authenticate(identity, wrong)


async def test_a_key_of_nobody_opens_nothing(identity: Identity) -> None:
    with pytest.raises(InvalidToken):
        await authenticate(identity, "ldk_" + "0" * 32 + "_" + "a" * 43)


async def test_a_key_expires(identity: Identity, clock: MovingClock) -> None:
    await admitted(identity, "engine", role=Role.SERVICE)
    secret = (await issued(identity, days=1)).secret or ""
    await authenticate(identity, secret)
    clock.forward(days=1)

    with pytest.raises(InvalidToken):
        await authenticate(identity, secret)


async def test_a_revoked_key_opens_nothing_and_is_listed_no_more(identity: Identity) -> None:
    await admitted(identity, "engine", role=Role.SERVICE)
    key, other = await issued(identity), await issued(identity)
    await authenticate(identity, key.secret or "")
    assert {one.key.key for one in await api_keys.keys_of(identity)} == {key.key.key, other.key.key}

    await api_keys.revoke(identity, key.key.key, operator(), reason="leaked")

    with pytest.raises(InvalidToken):
        await authenticate(identity, key.secret or "")
    await authenticate(identity, other.secret or "")
    assert [one.key for one in await api_keys.keys_of(identity)] == [other.key]
    for gone in (key.key.key, KeyId(UUID(int=1))):
        with pytest.raises(KeyNotFound):
            await api_keys.revoke(identity, gone, operator(), reason="")


async def test_a_deactivated_account_has_no_keys(identity: Identity) -> None:
    await admitted(identity, "engine", role=Role.SERVICE)
    secret = (await issued(identity)).secret or ""
    await authenticate(identity, secret)

    await deactivate(identity, "engine", operator(), reason="retired")

    with pytest.raises(InvalidToken):
        await authenticate(identity, secret)


async def test_an_account_of_another_role_has_no_keys(identity: Identity) -> None:
    await admitted(identity, "engine", role=Role.SERVICE)
    secret = (await issued(identity)).secret or ""

    await change_role(identity, "engine", operator(), role=Role.ANALYST, reason="a person")

    with pytest.raises(InvalidToken):
        await authenticate(identity, secret)


async def test_people_and_nobody_get_no_key(identity: Identity) -> None:
    await admitted(identity, "sam")

    with pytest.raises(NotAServiceAccount):
        await issued(identity, "sam")
    with pytest.raises(AccountNotFound):
        await issued(identity, "nobody")


async def test_a_repeated_issue_has_no_secret(identity: Identity) -> None:
    await admitted(identity, "engine", role=Role.SERVICE)
    named = Provenance(actor="operator", command_id=keyed_command_id(UUID(int=5), "k"), is_keyed=True)
    first = await issued(identity, provenance=named)
    again = await issued(identity, provenance=named)

    assert (again.key, again.secret) == (first.key, None)
    assert len(await api_keys.keys_of(identity)) == 1


async def test_its_last_use_is_known_to_the_minute(identity: Identity, clock: MovingClock) -> None:
    await admitted(identity, "engine", role=Role.SERVICE)
    secret = (await issued(identity)).secret or ""
    (unused,) = await api_keys.keys_of(identity)
    assert unused.described.last_used_at is None
    first = clock()
    for seconds in (0, 30, 29):
        clock.forward(seconds=seconds)
        await authenticate(identity, secret)
    (used,) = await api_keys.keys_of(identity)
    assert used.described.last_used_at == first
    clock.forward(seconds=1)
    await authenticate(identity, secret)
    (again,) = await api_keys.keys_of(identity)

    assert again.described.last_used_at == clock()


async def test_an_administrator_whose_session_is_over_issues_nothing(identity: Identity) -> None:
    from ledger.identity.ending import logout

    await admitted(identity, "engine", role=Role.SERVICE)
    await admitted(identity, "ada", role=Role.ADMIN)
    ada = await principal(identity, "ada")
    await logout(identity, ada, by_operator())

    with pytest.raises(SessionNotLive):
        await api_keys.issue(
            identity,
            "engine",
            Actor(principal=ada, provenance=by_operator()),
            name="",
            scopes=list(Scope),
            expires_at=None,
        )
