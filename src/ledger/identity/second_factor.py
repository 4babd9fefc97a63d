"""The second factor: set up, proven once to enable it, asked for at every login from then on."""

import msgspec

from ledger.command_handler import Alongside, Facts, Handled, handle, state_of
from ledger.domain.account.commands import EnableSecondFactor
from ledger.domain.account.decide import ACCOUNT, AccountNotFound
from ledger.domain.account.events import AccountEvent
from ledger.domain.account.state import Registered
from ledger.domain.errors import RuleViolation, Unauthenticated
from ledger.domain.ids import PersonId
from ledger.domain.session.events import Factor
from ledger.identity import factor_codes, factor_rows, people
from ledger.identity.ending import left_for_later, revoke_lapsed
from ledger.identity.factor_rows import FactorRow
from ledger.identity.identity import Identity, writing
from ledger.identity.opening import LoggedIn, ProofOutdated, Proven, open_session
from ledger.identity.session_rows import Client
from ledger.identity.sessions import Principal, authority
from ledger.identity.tokens import InvalidToken
from ledger.store.envelope import Provenance
from ledger.store.ledger import account_stream, session_stream
from ledger.store.pool import Connection
from ledger.store.streams import read_stream


class SecondFactorNotSetUp(RuleViolation):
    """The second factor is not set up."""

    code = "second-factor-not-set-up"
    advice = "Set it up first."


class SecondFactorActive(RuleViolation):
    """A second factor is enabled already."""

    code = "second-factor-active"


class InvalidCode(Unauthenticated):
    """Invalid 2FA code."""

    code = "invalid-2fa-code"
    advice = "Wait for the next code; each is good once."


class Setup(msgspec.Struct, frozen=True, kw_only=True):
    """What the person puts into an authenticator and into a safe place; shown this once."""

    secret: str
    otpauth_url: str
    backup_codes: tuple[str, ...]


async def setup(identity: Identity, principal: Principal) -> Setup:
    """Make a second factor that is asked for once a code of it has been proven; replaces one never proven.

    Raises:
        SecondFactorActive: one is enabled, which nobody may replace in passing.
    """
    ledger = identity.ledger
    person = await people.read(ledger.pool, ledger.ledger_id, principal.person)
    if person is None:
        raise AccountNotFound
    secret, codes = factor_codes.new_secret(), factor_codes.new_backup_codes()
    async with writing(ledger.pool) as conn:
        is_set_up = await factor_rows.set_up(
            conn,
            ledger.ledger_id,
            principal.person,
            sealed=factor_rows.seal(identity.factor_keys, principal.person, secret),
            key_id=identity.factor_keys.current.key_id,
            code_hashes=[factor_codes.backup_hash(code) for code in codes],
            now=identity.clock(),
        )
    if not is_set_up:
        raise SecondFactorActive
    url = factor_codes.otpauth_url(secret, username=person.record.username, issuer=identity.label)
    return Setup(secret=secret, otpauth_url=url, backup_codes=codes)


async def enable(
    identity: Identity, principal: Principal, code: str, provenance: Provenance
) -> Handled[AccountEvent]:
    """Have the factor asked for from now on, by proving a code; the person's other sessions end.

    Where it is enabled already the code is checked, used up, and nothing else happens.

    Raises:
        SecondFactorNotSetUp: there is nothing to prove.
        InvalidCode: it is not a code of this moment, or was used already.
    """
    row = await _row(identity, principal.person)
    use = _use_time_code(identity, principal.person, row, code)
    target, its_session = account_stream(principal.person), session_stream(principal.session)
    if row.is_enabled:
        await _in_transaction(identity, use)

    def build(facts: Facts) -> EnableSecondFactor:
        return EnableSecondFactor(now=facts.now, by=authority(facts, principal))

    handled = await handle(
        identity.ledger,
        ACCOUNT,
        target,
        build,
        clock=identity.clock,
        provenance=provenance,
        reads=[its_session],
        alongside=use,
    )
    if not (handled.events or row.is_enabled):  # somebody was quicker, with this very code
        raise InvalidCode
    with left_for_later("revocations"):
        await revoke_lapsed(identity, [principal.person])
    return handled


async def complete_login(
    identity: Identity, limited_token: str, code: str, *, client: Client, correlation_id: str = ""
) -> LoggedIn:
    """Complete a login that asked for the second factor, by a time-based code or a backup code.

    Raises:
        InvalidToken: the token is not a limited one, or the account has changed since.
        TokenExpired: its five minutes are over.
        SecondFactorNotSetUp: there is nothing to prove.
        InvalidCode: the code is wrong, or was used already.
    """
    claims = identity.tokens.read_limited(limited_token, identity.clock())
    stream = await read_stream(identity.ledger, account_stream(claims.sub))
    account = state_of(ACCOUNT, stream)
    if not isinstance(account, Registered) or account.epoch != claims.epoch:
        raise InvalidToken
    row = await _row(identity, claims.sub)
    is_time_code = factor_codes.is_time_code(code)
    use = (_use_time_code if is_time_code else _use_backup_code)(identity, claims.sub, row, code)
    factors = (Factor.PASSWORD, Factor.TOTP if is_time_code else Factor.BACKUP_CODE)
    proven = Proven(person=claims.sub, epoch=claims.epoch, factors=factors)
    try:
        return await open_session(identity, proven, client, correlation_id=correlation_id, also=use)
    except ProofOutdated as outdated:
        raise InvalidToken from outdated


async def _row(identity: Identity, person: PersonId) -> FactorRow:
    row = await factor_rows.read(identity.ledger.pool, identity.ledger.ledger_id, person)
    if row is None:
        raise SecondFactorNotSetUp
    return row


def _use_time_code(identity: Identity, person: PersonId, row: FactorRow, code: str) -> Alongside:
    """Check a code, and prepare to use it up in the transaction of what it is good for."""
    secret = factor_rows.unseal(identity.factor_keys, person, row)
    step = factor_codes.accepted_step(secret, code, now=identity.clock(), after=row.last_step)
    if step is None:
        raise InvalidCode
    ledger_id = identity.ledger.ledger_id

    async def use(conn: Connection) -> None:
        if row.is_enabled:
            taken = await factor_rows.accept_step(conn, ledger_id, person, step)
        else:
            taken = await factor_rows.enable(
                conn, ledger_id, person, step=step, sealed=row.secret, now=identity.clock()
            )
        if not taken:
            raise InvalidCode

    return use


def _use_backup_code(identity: Identity, person: PersonId, _row: FactorRow, code: str) -> Alongside:
    async def use(conn: Connection) -> None:
        code_hash = factor_codes.backup_hash(code)
        if not await factor_rows.use_code(
            conn, identity.ledger.ledger_id, person, code_hash, identity.clock()
        ):
            raise InvalidCode

    return use


async def _in_transaction(identity: Identity, use: Alongside) -> None:
    async with writing(identity.ledger.pool) as conn:
        await use(conn)
