"""A right password opens a session; a wrong one says nothing about who exists."""

import asyncio

import pytest

from ledger.command_handling.context import CommandContext
from ledger.command_handling.facts import Build, Facts
from ledger.command_handling.handler import handle
from ledger.domain.account.commands import AccountCommand, ChangePassword, DeactivateAccount
from ledger.domain.account.decide import ACCOUNT
from ledger.domain.authority import Role, SessionNotLive
from ledger.domain.ids import PersonId, SessionId
from ledger.domain.session.decide import SESSION, InactiveUser
from ledger.domain.session.events import Factor, SessionOpened
from ledger.identity.identity import Identity
from ledger.identity.login import WrongCredentials
from ledger.identity.sessions import authenticate
from ledger.store.ledger import account_stream, session_stream
from ledger.store.streams import read_stream, recorded
from tests.builders import CREDENTIAL
from tests.identity.house import PASSWORD, MovingClock, admitted, by_operator, logged_in, principal


async def test_a_right_password_opens_a_session_and_names_the_person(identity: Identity) -> None:
    sam = await admitted(identity, "sam")

    answer = await logged_in(identity, "sam")
    who = await authenticate(identity, answer.access_token)

    assert (who.person, who.role, who.is_lead) == (sam, Role.ANALYST, False)
    assert answer.refresh_token is not None
    assert answer.requires_2fa is False
    assert answer.position == 2


async def test_a_user_name_is_found_however_it_is_written(identity: Identity) -> None:
    sam = await admitted(identity, "Straße")

    assert (await principal(identity, "STRASSE")).person == sam


@pytest.mark.parametrize(
    ("username", "password"),
    [
        ("sam", "wrong"),
        ("nobody", PASSWORD),
        ("sam", ""),
        ("", ""),
        ("sam\0", PASSWORD),
        ("\ud800", PASSWORD),
        ("sam", "\udfff\0"),
    ],
)
async def test_whatever_is_wrong_the_refusal_is_the_same(
    identity: Identity, username: str, password: str
) -> None:
    await admitted(identity, "sam")

    with pytest.raises(WrongCredentials) as refused:
        await logged_in(identity, username, password)

    assert str(refused.value) == "Incorrect username or password."
    assert refused.value.context == {}


async def test_any_text_is_a_password(identity: Identity) -> None:
    sam = await admitted(identity, "sam", password="\ud800\0 odd")

    assert (await principal(identity, "sam", "\ud800\0 odd")).person == sam


async def test_a_deactivated_person_is_told_so_when_the_password_is_right(identity: Identity) -> None:
    sam = await admitted(identity, "sam")
    await _change(identity, sam, _deactivate)

    with pytest.raises(InactiveUser, match="Inactive user"):
        await logged_in(identity, "sam")
    with pytest.raises(WrongCredentials):
        await logged_in(identity, "sam", "wrong")


async def test_the_log_says_how_somebody_logged_in_and_for_how_long(
    identity: Identity, clock: MovingClock
) -> None:
    sam = await admitted(identity, "sam")
    session = (await principal(identity, "sam")).session

    stream = await read_stream(identity.ledger, session_stream(session))
    opened = recorded(stream.events[0], SESSION.event_types).event

    assert isinstance(opened, SessionOpened)
    assert (opened.person, opened.factors, opened.epoch) == (sam, (Factor.PASSWORD,), 0)
    assert (opened.expires_at - opened.at).days == 7
    assert opened.idle_seconds == 12 * 3600


async def test_a_hundred_logins_of_one_account_at_once_all_succeed(identity: Identity) -> None:
    await admitted(identity, "sam")

    answers = await asyncio.gather(*(logged_in(identity, "sam") for _ in range(100)))
    sessions = {(await authenticate(identity, answer.access_token)).session for answer in answers}

    assert len(sessions) == 100


@pytest.mark.parametrize("event", ["deactivation", "password change"])
async def test_a_session_dies_with_the_event_that_raises_the_epoch(identity: Identity, event: str) -> None:
    sam = await admitted(identity, "sam")
    answer = await logged_in(identity, "sam")

    await _change(identity, sam, _deactivate if event == "deactivation" else _change_password)

    with pytest.raises(SessionNotLive):
        await authenticate(identity, answer.access_token)


async def test_a_session_dies_at_its_absolute_limit(identity: Identity, clock: MovingClock) -> None:
    await admitted(identity, "sam")
    who = await principal(identity, "sam")
    clock.forward(days=7)

    with pytest.raises(SessionNotLive):
        await authenticate(identity, identity.tokens.access(who.person, who.session, clock()))


async def test_a_good_signature_over_an_unknown_session_opens_nothing(
    identity: Identity, clock: MovingClock
) -> None:
    sam = await admitted(identity, "sam")
    ben = await admitted(identity, "ben")
    sams = await principal(identity, "sam")

    for person, session in ((sam, SessionId(sam)), (ben, sams.session)):
        with pytest.raises(SessionNotLive):
            await authenticate(identity, identity.tokens.access(person, session, clock()))


def _deactivate(facts: Facts) -> DeactivateAccount:
    return DeactivateAccount(now=facts.now, by=None, reason="left", another_admin=True)


def _change_password(facts: Facts) -> ChangePassword:
    return ChangePassword(now=facts.now, by=None, reason="leaked", credential=CREDENTIAL)


async def _change(identity: Identity, person: PersonId, build: Build[AccountCommand]) -> None:
    await handle(
        identity.ledger,
        CommandContext(
            decider=ACCOUNT, target=account_stream(person), clock=identity.clock, provenance=by_operator()
        ),
        build,
    )
