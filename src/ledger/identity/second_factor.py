"""The second factor: set up, proven once to enable it, asked for at every login from then on."""

from datetime import UTC, datetime

import msgspec

from ledger.command_handling.answering import Handled
from ledger.command_handling.context import CommandContext
from ledger.command_handling.facts import Facts, state_of
from ledger.command_handling.handler import Alongside, handle
from ledger.domain.account.commands import EnableSecondFactor
from ledger.domain.account.decide import ACCOUNT, AccountNotFound
from ledger.domain.account.events import AccountEvent
from ledger.domain.account.state import Registered
from ledger.domain.errors import RuleViolation
from ledger.domain.ids import PersonId
from ledger.domain.session.events import Factor
from ledger.identity import factor_codes, factor_rows, limited_rows, people
from ledger.identity.ending import left_for_later, revoke_lapsed
from ledger.identity.identity import Identity, by_person, settled, writing
from ledger.identity.opening import LoggedIn, ProofOutdated, Proven, open_session
from ledger.identity.proving import InvalidCode, Proof, factor_of, prove, prove_time_code
from ledger.identity.session_rows import Client
from ledger.identity.sessions import Principal, authority, own_session, principal_of
from ledger.identity.tokens import InvalidToken, LimitedClaims
from ledger.store.envelope import Provenance
from ledger.store.ledger import account_stream, session_stream
from ledger.store.pool import Connection
from ledger.store.streams import read_stream


class SecondFactorActive(RuleViolation):
    """A second factor is enabled already."""

    code = "second-factor-active"


class Setup(msgspec.Struct, frozen=True, kw_only=True):
    """What the person puts into an authenticator and into a safe place; shown this once.

    ``qr_code`` is ``otpauth_url`` as an SVG image.
    """

    secret: str
    otpauth_url: str
    qr_code: str
    backup_codes: tuple[str, ...]


async def setup(identity: Identity, person: PersonId) -> Setup:
    """Make a second factor that is asked for once a code of it has been proven; replaces one never proven.

    Raises:
        SecondFactorActive: one is enabled, which nobody may replace in passing.
    """
    ledger = identity.ledger
    known = await people.read(ledger.pool, ledger.ledger_id, person)
    if known is None:
        raise AccountNotFound
    secret, codes = factor_codes.new_secret(), factor_codes.new_backup_codes()
    async with writing(ledger.pool) as conn:
        is_set_up = await factor_rows.set_up(
            conn,
            ledger.ledger_id,
            person,
            sealed=factor_rows.seal(identity.factor_keys, person, secret),
            key_id=identity.factor_keys.current.key_id,
            code_hashes=[factor_codes.backup_hash(code) for code in codes],
            now=identity.clock(),
        )
    if not is_set_up:
        raise SecondFactorActive
    url = factor_codes.otpauth_url(secret, username=known.record.username, issuer=identity.label)
    return Setup(secret=secret, otpauth_url=url, qr_code=factor_codes.qr_code(url), backup_codes=codes)


async def enable(
    identity: Identity, principal: Principal, code: str, provenance: Provenance
) -> Handled[AccountEvent]:
    """Have the factor asked for from now on, by proving a code; the person's other sessions end.

    Where it is enabled already the code is checked, used up, and nothing else happens.

    Raises:
        SecondFactorNotSetUp: there is nothing to prove.
        InvalidCode: it is not a code of this moment, or was used already.
        TooManyFailures: too many codes were wrong; this one was not compared.
    """
    row = await factor_of(identity, principal.person)
    async with identity.guesses.code(principal.person):
        proof = prove_time_code(identity, principal.person, row, code)
        if row.is_enabled:
            await _use(identity, proof)
        handled = await _record(identity, principal, provenance, proof)
        if not (handled.events or row.is_enabled):  # somebody was quicker, with this very code
            raise InvalidCode
    return handled


async def _record(
    identity: Identity, principal: Principal, provenance: Provenance, proof: Proof | None = None
) -> Handled[AccountEvent]:
    """Write into the log that the factor is asked for from now on, with the ``proof`` that is used up by it."""

    def build(facts: Facts) -> EnableSecondFactor:
        return EnableSecondFactor(now=facts.now, by=authority(facts, principal))

    handled = await handle(
        identity.ledger,
        CommandContext(
            decider=ACCOUNT,
            target=account_stream(principal.person),
            clock=identity.clock,
            provenance=provenance,
            reads=[session_stream(own_session(principal))],
        ),
        build,
        alongside=None if proof is None else proof.use,
    )
    with left_for_later("revocations"):
        await revoke_lapsed(identity, [principal.person])
    await settled(identity, handled.position)
    return handled


async def person_of(identity: Identity, limited_token: str) -> PersonId:
    """Name the person who has to set a second factor up before this limited token completes their login.

    Raises:
        InvalidToken: it is none of ours, has completed a login, or the account has changed or has a factor.
        TokenExpired: its five minutes are over.
    """
    claims, account = await _read_limited(identity, limited_token)
    if account.second_factor:
        raise InvalidToken
    return claims.sub


async def complete_login(
    identity: Identity, limited_token: str, code: str, *, client: Client, correlation_id: str = ""
) -> LoggedIn:
    """Complete a login that asked for the second factor, by a time-based code or a backup code; once.

    Where the role demands a factor that was only just set up, its first code enables it.

    Raises:
        InvalidToken: it is none of ours, has completed a login, or the account has changed since.
        TokenExpired: its five minutes are over.
        SecondFactorNotSetUp: there is nothing to prove.
        InvalidCode: the code is wrong, or was used already.
        TooManyFailures: too many codes were wrong; this one was not compared.
    """
    claims, account = await _read_limited(identity, limited_token)
    row = await factor_of(identity, claims.sub)
    try:
        async with identity.guesses.code(claims.sub):
            proof = (prove if row.is_enabled else prove_time_code)(identity, claims.sub, row, code)
            proven = Proven(person=claims.sub, epoch=claims.epoch, factors=(Factor.PASSWORD, proof.factor))
            also = _using_up(identity, claims, proof)
            logged_in = await open_session(identity, proven, client, correlation_id=correlation_id, also=also)
    except ProofOutdated as outdated:
        raise InvalidToken from outdated
    if not account.second_factor and logged_in.session is not None:
        principal = await principal_of(identity, claims.sub, logged_in.session, identity.clock())
        await _record(identity, principal, by_person(claims.sub, correlation_id))
    return logged_in


def _using_up(identity: Identity, claims: LimitedClaims, proof: Proof) -> Alongside:
    """Use up the limited token and the code together."""

    async def use(conn: Connection) -> None:
        expires_at = datetime.fromtimestamp(claims.exp, UTC)
        if not await limited_rows.use(conn, identity.ledger.ledger_id, claims.jti, expires_at):
            raise InvalidToken
        await proof.use(conn)

    return use


async def _read_limited(identity: Identity, limited_token: str) -> tuple[LimitedClaims, Registered]:
    claims = identity.tokens.read_limited(limited_token, identity.clock())
    ledger = identity.ledger
    account = state_of(ACCOUNT, await read_stream(ledger, account_stream(claims.sub)))
    if not isinstance(account, Registered) or account.epoch != claims.epoch:
        raise InvalidToken
    if await limited_rows.is_used(ledger.pool, ledger.ledger_id, claims.jti):
        raise InvalidToken
    return claims, account


async def _use(identity: Identity, proof: Proof) -> None:
    async with writing(identity.ledger.pool) as conn:
        await proof.use(conn)
