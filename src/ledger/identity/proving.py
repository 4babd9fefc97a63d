"""Proving a second factor: a code is checked, and used up in the transaction of what it is good for."""

import msgspec

from ledger.command_handling.handler import Alongside
from ledger.domain.errors import RuleViolation, Unauthenticated
from ledger.domain.ids import PersonId
from ledger.domain.session.events import Factor
from ledger.identity import factor_codes, factor_rows
from ledger.identity.factor_rows import FactorRow
from ledger.identity.identity import Identity
from ledger.store.pool import Connection


class SecondFactorNotSetUp(RuleViolation):
    """The second factor is not set up."""

    code = "second-factor-not-set-up"
    advice = "Set it up first."


class InvalidCode(Unauthenticated):
    """Invalid 2FA code."""

    code = "invalid-2fa-code"
    advice = "Wait for the next code; each is good once."


class Proof(msgspec.Struct, frozen=True, kw_only=True):
    """A code that is good, until ``use`` takes it; that raises ``InvalidCode`` where somebody was quicker."""

    factor: Factor
    use: Alongside


async def factor_of(identity: Identity, person: PersonId) -> FactorRow:
    """Read a person's second factor.

    Raises:
        SecondFactorNotSetUp: there is none.
    """
    row = await factor_rows.read(identity.ledger.pool, identity.ledger.ledger_id, person)
    if row is None:
        raise SecondFactorNotSetUp
    return row


def prove(identity: Identity, person: PersonId, row: FactorRow, code: str) -> Proof:
    """Check a code of either kind.

    Raises:
        InvalidCode: it is not a code of this moment, or was used already.
    """
    if factor_codes.is_time_code(code):
        return prove_time_code(identity, person, row, code)
    return Proof(factor=Factor.BACKUP_CODE, use=_use_backup_code(identity, person, code))


def prove_time_code(identity: Identity, person: PersonId, row: FactorRow, code: str) -> Proof:
    """Check a time-based code; refusals as ``prove``. Of a factor not yet enabled, its use enables it."""
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

    return Proof(factor=Factor.TOTP, use=use)


def _use_backup_code(identity: Identity, person: PersonId, code: str) -> Alongside:
    async def use(conn: Connection) -> None:
        code_hash = factor_codes.backup_hash(code)
        if not await factor_rows.use_code(
            conn, identity.ledger.ledger_id, person, code_hash, identity.clock()
        ):
            raise InvalidCode

    return use
