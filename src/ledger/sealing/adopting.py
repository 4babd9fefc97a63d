"""What an operator does to the notary: another key, or going on after a halt; both are events of the log they seal."""

from collections.abc import Callable, Sequence
from datetime import datetime

import msgspec

from ledger.command_handling.answering import Handled
from ledger.command_handling.context import CommandContext
from ledger.command_handling.handler import handle
from ledger.domain.errors import Invalid, ReasonMissing, RuleViolation, VersionConflict
from ledger.domain.notary.commands import AdoptLog, RotateNotaryKey
from ledger.domain.notary.decide import NOTARY
from ledger.domain.notary.events import NotaryEvent
from ledger.sealing.examining import edge_of, examine, who_signed
from ledger.sealing.guard import Guard
from ledger.sealing.halting import SealingHalted
from ledger.sealing.keyring import Keyring, NoNotaryKey, NotaryKeyGiven
from ledger.sealing.notes import Checkpoint, Signer, checkpoint_in
from ledger.sealing.rows import last_sealed, publish, sign_anew
from ledger.store.envelope import Provenance
from ledger.store.ledger import Ledger
from ledger.store.pool import reading


class NothingToAdopt(RuleViolation):
    """The notary is not halted by anything that could be adopted: database and guard agree."""

    code = "nothing-to-adopt"


class Rotated(msgspec.Struct, frozen=True, kw_only=True):
    """The key that signs from now on, and the one that signs the next checkpoint with it, for the last time."""

    vkey: str
    previous: str


class Adopted(msgspec.Struct, frozen=True, kw_only=True):
    """What was adopted and over which halt; ``guarded``: what the guard knew (``None``: nothing that could be read).

    ``is_new_key``: verifiers have to be handed ``vkey``.
    """

    cause: str
    checkpoint: Checkpoint
    guarded: Checkpoint | None
    vkey: str
    is_new_key: bool


class Operator(msgspec.Struct, frozen=True, kw_only=True):
    """Who does it and why, as the command line knows them."""

    provenance: Provenance
    reason: str
    clock: Callable[[], datetime]


async def rotate_key(ledger: Ledger, keyring: Keyring, operator: Operator) -> Rotated:
    """Let a new key sign, and write it down; the old one signs the next checkpoint too.

    The key comes first: the event is then under a checkpoint that both signed. Whoever is interrupted may do it again.

    Raises:
        ReasonMissing: somebody will ask for it.
        NotaryKeyGiven: the key is not in a file.
        NoNotaryKey: there is none yet.
        NotaryKeyUnusable: the file cannot be read or written.
    """
    if not operator.reason.strip():
        raise ReasonMissing
    if keyring.is_given:
        raise NotaryKeyGiven
    before = keyring.signers()
    if not before:
        raise NoNotaryKey
    after = keyring.rotate()
    rotated = Rotated(vkey=after[0].vkey, previous=before[0].vkey)
    await _write_down(
        ledger,
        lambda now: RotateNotaryKey(
            now=now, reason=operator.reason, vkey=rotated.vkey, previous=rotated.previous
        ),
        operator,
    )
    return rotated


async def adopt(ledger: Ledger, keyring: Keyring, guard: Guard, operator: Operator) -> Adopted:
    """Take what the database holds as the log, write down that this was done, and let the guard know.

    A key that would contradict what it signed is replaced, or may: one that signed neither the last checkpoint nor what
    the guard knows. Whoever is interrupted may do it again.

    Raises:
        ReasonMissing: somebody will ask for it.
        NothingToAdopt: the notary is not halted.
        SealingHalted: what the database holds contradicts itself.
        NotaryKeyGiven: another key is needed, and must be set first.
        NotaryKeyUnusable, GuardUnreachable: it cannot be done now.
    """
    if not operator.reason.strip():
        raise ReasonMissing
    halted = await _halt_of(ledger, keyring, guard)
    if not halted.is_adoptable:
        raise halted
    guarded = await guard.read()
    async with reading(ledger.pool) as conn:
        sealed = await last_sealed(conn, ledger.ledger_id)
        edge = await edge_of(conn, ledger.ledger_id, sealed)
    notes = [note for note in (guarded, sealed and sealed.note) if note]
    signer = _key_for(halted, keyring, guarded, notes)
    checkpoint = Checkpoint(origin=keyring.origin, size=edge.size, root=edge.root())
    adopted = Adopted(
        cause=halted.code,
        checkpoint=checkpoint,
        guarded=_readable(guarded),
        vkey=signer.vkey,
        is_new_key=not any(who_signed(note, (signer,)) for note in notes),
    )
    await _write_down(ledger, lambda now: _command(adopted, operator.reason, now), operator)
    await _put(ledger, guard, guarded, checkpoint.size, checkpoint.signed_by([signer]))
    return adopted


async def _put(ledger: Ledger, guard: Guard, guarded: str | None, size: int, note: str) -> None:
    """Let database and guard hold the adopted checkpoint under its new note: in the notary's order, for its reasons."""
    async with reading(ledger.pool) as conn:
        await sign_anew(conn, ledger.ledger_id, size, note)
    if not await guard.swap(guarded, note):
        raise VersionConflict(place=guard.place)
    async with reading(ledger.pool) as conn:
        await publish(conn, ledger.ledger_id, size, note)


async def _halt_of(ledger: Ledger, keyring: Keyring, guard: Guard) -> SealingHalted:
    try:
        async with reading(ledger.pool) as conn:
            await examine(conn, ledger.ledger_id, guard, keyring)
    except SealingHalted as halted:
        return halted
    raise NothingToAdopt


def _key_for(halted: SealingHalted, keyring: Keyring, guarded: str | None, notes: Sequence[str]) -> Signer:
    """Choose the key that signs what is adopted: another one where this one would contradict itself.

    What a key in the file has signed that is in none of ``notes``, nobody knows: it may be one of long ago that was put
    back, and may have signed what was rewritten since. A key that was given was chosen by somebody.
    """
    signers = keyring.signers()
    would_contradict = halted.contradicts and guarded is not None and who_signed(guarded, signers[:1])
    is_known = keyring.is_given or any(who_signed(note, signers) for note in notes)
    if would_contradict or not signers or not is_known:
        return keyring.rotate(keeps=False)[0]
    return signers[0]


def _readable(guarded: str | None) -> Checkpoint | None:
    try:
        return None if guarded is None else checkpoint_in(guarded)
    except Invalid:
        return None


def _command(adopted: Adopted, reason: str, now: datetime) -> AdoptLog:
    guarded = adopted.guarded
    return AdoptLog(
        now=now,
        reason=reason,
        cause=adopted.cause,
        origin=adopted.checkpoint.origin,
        vkey=adopted.vkey,
        size=adopted.checkpoint.size,
        root=adopted.checkpoint.root.hex(),
        guard_size=None if guarded is None else guarded.size,
        guard_root=None if guarded is None else guarded.root.hex(),
    )


async def _write_down(
    ledger: Ledger, command: Callable[[datetime], AdoptLog | RotateNotaryKey], operator: Operator
) -> Handled[NotaryEvent]:
    return await handle(
        ledger,
        CommandContext(
            decider=NOTARY,
            target=ledger.notary_stream(),
            clock=operator.clock,
            provenance=operator.provenance,
        ),
        lambda facts: command(facts.now),
    )
