"""A second factor is proven before it is asked for, and every code is good once."""

import asyncio
from datetime import datetime
from urllib.parse import parse_qs, urlsplit

import msgspec
import pyotp
import pytest

from ledger.domain.authority import SessionNotLive
from ledger.domain.session.decide import SESSION
from ledger.domain.session.events import Factor, RevocationCause, SessionOpened, SessionRevoked
from ledger.identity import factor_codes, factor_rows
from ledger.identity.administering import change_password
from ledger.identity.factor_rows import UnreadableSecret
from ledger.identity.identity import Identity
from ledger.identity.keys import Keyring
from ledger.identity.opening import LoggedIn
from ledger.identity.proving import InvalidCode, SecondFactorNotSetUp
from ledger.identity.second_factor import SecondFactorActive, Setup, complete_login, enable, setup
from ledger.identity.sessions import Principal, authenticate
from ledger.identity.tokens import InvalidToken, TokenExpired
from ledger.store.ledger import session_stream
from ledger.store.streams import read_stream, recorded
from tests.identity.house import (
    CLIENT,
    SECRET,
    MovingClock,
    admitted,
    asked_by,
    logged_in,
    operator,
    principal,
)


def code_of(factor: Setup, at: datetime) -> str:
    return pyotp.TOTP(factor.secret).at(at)


async def with_factor(identity: Identity, clock: MovingClock) -> tuple[Principal, Setup]:
    """Sam, logged in, with a second factor; the next code is a fresh one."""
    await admitted(identity, "sam")
    sam = await principal(identity, "sam")
    factor = await setup(identity, sam.person)
    await enable(identity, sam, code_of(factor, clock()), asked_by(sam))
    clock.forward(seconds=30)
    return sam, factor


async def complete(identity: Identity, limited: str, code: str) -> LoggedIn:
    return await complete_login(identity, limited, code, client=CLIENT)


async def test_what_is_shown_fits_an_authenticator(identity: Identity) -> None:
    await admitted(identity, "sam")
    factor = await setup(identity, (await principal(identity, "sam")).person)
    url = urlsplit(factor.otpauth_url)

    assert (url.scheme, url.netloc) == ("otpauth", "totp")
    assert parse_qs(url.query)["secret"] == [factor.secret]
    assert "sam" in url.path
    assert len(set(factor.backup_codes)) == 10


async def test_without_a_proof_nothing_is_asked_for(identity: Identity) -> None:
    await admitted(identity, "sam")
    sam = await principal(identity, "sam")
    with pytest.raises(SecondFactorNotSetUp, match="not set up"):
        await enable(identity, sam, "000000", asked_by(sam))
    await setup(identity, sam.person)

    assert (await logged_in(identity, "sam")).requires_2fa is False


async def test_a_proof_enables_it_and_ends_the_persons_other_sessions(
    identity: Identity, clock: MovingClock
) -> None:
    await admitted(identity, "sam")
    other = await principal(identity, "sam")
    sam = await principal(identity, "sam")
    factor = await setup(identity, sam.person)

    await enable(identity, sam, code_of(factor, clock()), asked_by(sam))

    stream = await read_stream(identity.ledger, session_stream(other.session))
    revoked = recorded(stream.events[-1], SESSION.event_types).event
    assert isinstance(revoked, SessionRevoked)
    assert (revoked.cause, revoked.by) == (RevocationCause.SECOND_FACTOR_CHANGED, sam.person)
    own = await read_stream(identity.ledger, session_stream(sam.session))
    assert own.version() == 1
    await authenticate(identity, identity.tokens.access(sam.person, sam.session, clock()))


@pytest.mark.parametrize("code", ["", "abc", "12345", "1234567", "١٢٣٤٥٦", "\ud800", "\0" * 6])
async def test_what_is_no_code_proves_nothing(identity: Identity, clock: MovingClock, code: str) -> None:
    sam, _ = await with_factor(identity, clock)
    limited = await logged_in(identity, "sam")

    with pytest.raises(InvalidCode, match="Invalid 2FA code"):
        await enable(identity, sam, code, asked_by(sam))
    with pytest.raises(InvalidCode):
        await complete(identity, limited.access_token, code)


async def test_a_login_stops_halfway_and_a_code_completes_it(identity: Identity, clock: MovingClock) -> None:
    _, factor = await with_factor(identity, clock)
    head = await identity.ledger.head()

    halfway = await logged_in(identity, "sam")
    assert (halfway.requires_2fa, halfway.refresh_token) == (True, None)
    assert await identity.ledger.head() == head
    with pytest.raises(InvalidToken):
        await authenticate(identity, halfway.access_token)

    done = await complete(identity, halfway.access_token, code_of(factor, clock()))
    who = await authenticate(identity, done.access_token)
    stream = await read_stream(identity.ledger, session_stream(who.session))
    opened = recorded(stream.events[0], SESSION.event_types).event
    assert isinstance(opened, SessionOpened)
    assert opened.factors == (Factor.PASSWORD, Factor.TOTP)
    assert done.refresh_token is not None


@pytest.mark.parametrize("drift", [-30, 0, 30])
async def test_a_clock_may_be_one_step_off(identity: Identity, clock: MovingClock, drift: int) -> None:
    _, factor = await with_factor(identity, clock)
    clock.forward(minutes=10)
    halfway = await logged_in(identity, "sam")
    code = pyotp.TOTP(factor.secret).at(int(clock().timestamp()) + drift)

    done = await complete(identity, halfway.access_token, code)

    assert done.requires_2fa is False


@pytest.mark.parametrize("drift", [-60, 60])
async def test_a_clock_may_not_be_two_steps_off(identity: Identity, clock: MovingClock, drift: int) -> None:
    _, factor = await with_factor(identity, clock)
    clock.forward(minutes=10)
    halfway = await logged_in(identity, "sam")
    code = pyotp.TOTP(factor.secret).at(int(clock().timestamp()) + drift)

    with pytest.raises(InvalidCode):
        await complete(identity, halfway.access_token, code)


async def test_a_code_and_every_earlier_one_is_good_once(identity: Identity, clock: MovingClock) -> None:
    _, factor = await with_factor(identity, clock)
    clock.forward(minutes=10)
    halfway = await logged_in(identity, "sam")
    current, earlier = code_of(factor, clock()), pyotp.TOTP(factor.secret).at(clock().timestamp() - 30)

    await complete(identity, halfway.access_token, current)

    for used in (current, earlier):
        with pytest.raises(InvalidCode):
            await complete(identity, (await logged_in(identity, "sam")).access_token, used)


async def test_the_code_that_enabled_it_does_not_log_anybody_in(
    identity: Identity, clock: MovingClock
) -> None:
    _, factor = await with_factor(identity, clock)
    halfway = await logged_in(identity, "sam")

    with pytest.raises(InvalidCode):
        await complete(identity, halfway.access_token, pyotp.TOTP(factor.secret).at(clock().timestamp() - 30))


async def test_of_many_who_use_one_code_at_once_one_gets_in(identity: Identity, clock: MovingClock) -> None:
    _, factor = await with_factor(identity, clock)
    halfways = [await logged_in(identity, "sam") for _ in range(10)]
    code = code_of(factor, clock())

    outcomes = await asyncio.gather(
        *(complete(identity, halfway.access_token, code) for halfway in halfways), return_exceptions=True
    )

    assert sum(isinstance(outcome, LoggedIn) for outcome in outcomes) == 1
    assert sum(isinstance(outcome, InvalidCode) for outcome in outcomes) == 9


async def test_a_limited_token_completes_one_login(identity: Identity, clock: MovingClock) -> None:
    _, factor = await with_factor(identity, clock)
    halfway = await logged_in(identity, "sam")
    codes = factor.backup_codes[:5]

    outcomes = await asyncio.gather(
        *(complete(identity, halfway.access_token, code) for code in codes), return_exceptions=True
    )

    assert sum(isinstance(outcome, LoggedIn) for outcome in outcomes) == 1
    assert sum(isinstance(outcome, InvalidToken) for outcome in outcomes) == 4
    with pytest.raises(InvalidToken):
        await complete(identity, halfway.access_token, "000000")
    unused = await identity.ledger.pool.fetchval(
        "select count(*) from work.backup_codes where used_at is null"
    )
    assert unused == 9


@pytest.mark.parametrize("_round", range(4))
async def test_of_many_who_enable_it_at_once_one_does(
    identity: Identity, clock: MovingClock, _round: int
) -> None:
    await admitted(identity, "sam")
    sam = await principal(identity, "sam")
    factor = await setup(identity, sam.person)
    code = code_of(factor, clock())
    head = await identity.ledger.head()

    outcomes = await asyncio.gather(
        *(enable(identity, sam, code, asked_by(sam)) for _ in range(5)), return_exceptions=True
    )

    assert sum(isinstance(outcome, InvalidCode) for outcome in outcomes) == 4
    assert await identity.ledger.head() == head + 1


async def test_a_factor_is_enabled_only_as_it_was_proven(identity: Identity, clock: MovingClock) -> None:
    await admitted(identity, "sam")
    sam = await principal(identity, "sam")
    ledger = identity.ledger
    await setup(identity, sam.person)
    before = await factor_rows.read(ledger.pool, ledger.ledger_id, sam.person)
    await setup(identity, sam.person)
    now = await factor_rows.read(ledger.pool, ledger.ledger_id, sam.person)
    assert before is not None
    assert now is not None

    async with ledger.pool.acquire() as conn:
        outcomes = [
            await factor_rows.enable(
                conn, ledger.ledger_id, sam.person, step=step, sealed=row.secret, now=clock()
            )
            for step, row in ((5, before), (0, now), (5, now), (6, now))
        ]

    assert outcomes == [False, False, True, False]


def test_a_step_is_accepted_only_after_the_last_one(clock: MovingClock) -> None:
    secret = factor_codes.new_secret()
    step = int(clock().timestamp()) // 30
    code = pyotp.TOTP(secret).at(clock())

    assert factor_codes.accepted_step(secret, code, now=clock(), after=step - 1) == step
    assert factor_codes.accepted_step(secret, code, now=clock(), after=step) is None


async def test_a_backup_code_is_good_once_however_it_is_typed(identity: Identity, clock: MovingClock) -> None:
    _, factor = await with_factor(identity, clock)
    halfways = [await logged_in(identity, "sam") for _ in range(5)]
    typed = factor.backup_codes[3].upper().replace("-", " ")

    outcomes = await asyncio.gather(
        *(complete(identity, halfway.access_token, typed) for halfway in halfways), return_exceptions=True
    )

    entered = [outcome for outcome in outcomes if isinstance(outcome, LoggedIn)]
    assert len(entered) == 1
    who = await authenticate(identity, entered[0].access_token)
    stream = await read_stream(identity.ledger, session_stream(who.session))
    opened = recorded(stream.events[0], SESSION.event_types).event
    assert isinstance(opened, SessionOpened)
    assert opened.factors == (Factor.PASSWORD, Factor.BACKUP_CODE)
    await complete(identity, (await logged_in(identity, "sam")).access_token, factor.backup_codes[4])


async def test_somebody_elses_backup_code_is_none(identity: Identity, clock: MovingClock) -> None:
    _, factor = await with_factor(identity, clock)
    await admitted(identity, "ben")
    ben = await principal(identity, "ben")
    bens = await setup(identity, ben.person)
    await enable(identity, ben, code_of(bens, clock()), asked_by(ben))
    halfway = await logged_in(identity, "ben")

    with pytest.raises(InvalidCode):
        await complete(identity, halfway.access_token, factor.backup_codes[0])


async def test_an_enabled_factor_is_not_replaced_in_passing(identity: Identity, clock: MovingClock) -> None:
    sam, factor = await with_factor(identity, clock)

    with pytest.raises(SecondFactorActive):
        await setup(identity, sam.person)

    halfway = await logged_in(identity, "sam")
    await complete(identity, halfway.access_token, factor.backup_codes[0])


async def test_setting_up_again_before_the_proof_replaces_secret_and_backup_codes(
    identity: Identity, clock: MovingClock
) -> None:
    await admitted(identity, "sam")
    sam = await principal(identity, "sam")
    forgotten, factor = await setup(identity, sam.person), await setup(identity, sam.person)

    with pytest.raises(InvalidCode):
        await enable(identity, sam, code_of(forgotten, clock()), asked_by(sam))
    await enable(identity, sam, code_of(factor, clock()), asked_by(sam))
    halfway = await logged_in(identity, "sam")
    with pytest.raises(InvalidCode):
        await complete(identity, halfway.access_token, forgotten.backup_codes[0])


async def test_proving_an_enabled_factor_again_uses_the_code_up_and_changes_nothing(
    identity: Identity, clock: MovingClock
) -> None:
    sam, factor = await with_factor(identity, clock)
    head = await identity.ledger.head()

    handled = await enable(identity, sam, code_of(factor, clock()), asked_by(sam))

    assert handled.events == ()
    assert await identity.ledger.head() == head
    with pytest.raises(InvalidCode):
        await enable(identity, sam, code_of(factor, clock()), asked_by(sam))


async def test_a_limited_token_dies_after_five_minutes_and_with_the_password(
    identity: Identity, clock: MovingClock
) -> None:
    _, factor = await with_factor(identity, clock)
    old = await logged_in(identity, "sam")
    clock.forward(minutes=5)
    with pytest.raises(TokenExpired):
        await complete(identity, old.access_token, factor.backup_codes[0])

    halfway = await logged_in(identity, "sam")
    await change_password(identity, "sam", operator(), new_password="another one")
    for code in (factor.backup_codes[0], "000000"):
        with pytest.raises(InvalidToken):
            await complete(identity, halfway.access_token, code)


async def test_a_full_token_completes_no_login(identity: Identity, clock: MovingClock) -> None:
    sam, factor = await with_factor(identity, clock)

    with pytest.raises(InvalidToken):
        await complete(
            identity, identity.tokens.access(sam.person, sam.session, clock()), factor.backup_codes[0]
        )


async def test_a_dead_session_enables_nothing(identity: Identity, clock: MovingClock) -> None:
    await admitted(identity, "sam")
    sam = await principal(identity, "sam")
    factor = await setup(identity, sam.person)
    await change_password(identity, "sam", operator(), new_password="another one")

    with pytest.raises(SessionNotLive):
        await enable(identity, sam, code_of(factor, clock()), asked_by(sam))
    row = await factor_rows.read(identity.ledger.pool, identity.ledger.ledger_id, sam.person)
    assert row is not None
    assert not row.is_enabled


async def test_the_stored_secret_is_sealed_for_its_person(identity: Identity, clock: MovingClock) -> None:
    sam, factor = await with_factor(identity, clock)
    ben = await admitted(identity, "ben")
    ledger = identity.ledger
    row = await factor_rows.read(ledger.pool, ledger.ledger_id, sam.person)

    assert row is not None
    assert factor.secret.encode() not in row.secret
    assert factor_rows.unseal(identity.factor_keys, sam.person, row) == factor.secret
    with pytest.raises(UnreadableSecret):
        factor_rows.unseal(identity.factor_keys, ben, row)
    with pytest.raises(UnreadableSecret):
        factor_rows.unseal(Keyring(["another secret"], "second-factor"), sam.person, row)


async def test_a_new_key_still_opens_what_the_old_one_sealed(identity: Identity, clock: MovingClock) -> None:
    _, factor = await with_factor(identity, clock)
    rotated = msgspec.structs.replace(
        identity, factor_keys=Keyring(["a new secret", SECRET], "second-factor")
    )
    halfway = await logged_in(rotated, "sam")

    await complete(rotated, halfway.access_token, code_of(factor, clock()))


async def test_a_secret_of_a_previous_key_is_sealed_anew_and_outlives_that_key(
    identity: Identity, clock: MovingClock
) -> None:
    _, factor = await with_factor(identity, clock)
    ledger, new = identity.ledger, "a new secret of the settings"
    both, last = Keyring([new, SECRET], "second-factor"), Keyring([new], "second-factor")

    assert await factor_rows.reseal(ledger.pool, ledger.ledger_id, last, 10) == 0
    assert await factor_rows.reseal(ledger.pool, ledger.ledger_id, both, 10) == 0

    without_the_old = msgspec.structs.replace(identity, factor_keys=last)
    halfway = await logged_in(without_the_old, "sam")
    done = await complete(without_the_old, halfway.access_token, code_of(factor, clock()))
    assert done.requires_2fa is False


async def test_what_cannot_be_opened_is_counted_and_left_alone(
    identity: Identity, clock: MovingClock
) -> None:
    sam, _ = await with_factor(identity, clock)
    ledger = identity.ledger
    await ledger.pool.execute("update work.second_factors set secret = secret || '\\x00'")
    before = await factor_rows.read(ledger.pool, ledger.ledger_id, sam.person)

    both = Keyring(["a new secret of the settings", SECRET], "second-factor")
    assert await factor_rows.reseal(ledger.pool, ledger.ledger_id, both, 10) == 1

    assert await factor_rows.read(ledger.pool, ledger.ledger_id, sam.person) == before
