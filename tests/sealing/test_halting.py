"""When the notary signs nothing, what it says, and what heals it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import pytest

from ledger.domain.errors import ReasonMissing
from ledger.domain.notary.decide import NOTARY
from ledger.domain.notary.events import NotaryAdopted, NotaryEvent, NotaryKeyRotated
from ledger.identity.identity import OPERATOR
from ledger.sealing import adopting
from ledger.sealing.adopting import Adopted, NothingToAdopt, Operator, adopt, rotate_key
from ledger.sealing.guard import GUARD_FILE, GuardUnreachable
from ledger.sealing.halting import (
    CheckpointForged,
    GuardAhead,
    GuardMissing,
    GuardUnreadable,
    HistoryDiffers,
    KeyLost,
    LeafDiffers,
    OtherOrigin,
    PositionMissing,
    SealingHalted,
    TilesDiffer,
)
from ledger.sealing.keyring import KEY_FILE, Keyring, NotaryKeyGiven, NotaryKeyUnusable, new_seed
from ledger.sealing.notary import Status, default_origin, status_of
from ledger.sealing.notes import Checkpoint, Note, Signer, Verifier, checkpoint_in
from ledger.sealing.rows import Sealed, last_checkpoint
from ledger.sealing.sealer import Sealer
from ledger.store.envelope import Provenance
from ledger.store.ledger import LEDGER_ID, Ledger
from ledger.store.streams import new_command_id, read_stream, recorded
from tests.support.databases import Cluster, Database
from tests.support.sealing import append_some, guard_in, keyring_in, seal, sealed_in, sealer_in, utc_now

WHY = "the disk of the night"
HANG = 60.0


class KilledHere(BaseException):
    """The command ended here."""


async def never_returns(*_: object) -> None:
    raise KilledHere


async def halts(sealer: Sealer, reason: type[SealingHalted]) -> dict[str, object]:
    """See that the next round halts for this reason; the facts of it."""
    with pytest.raises(reason) as halted:
        await sealer.round()
    return halted.value.context


async def adopts(
    ledger: Ledger, folder: Path, *, keyring: Keyring | None = None, reason: str = WHY
) -> Adopted:
    operator = Operator(
        provenance=Provenance(actor=OPERATOR, command_id=new_command_id()), reason=reason, clock=utc_now
    )
    return await adopt(ledger, keyring or keyring_in(ledger, folder), guard_in(folder), operator)


async def last_of(ledger: Ledger) -> Sealed:
    async with ledger.pool.acquire() as conn:
        found = await last_checkpoint(conn, LEDGER_ID)
    assert found is not None
    return found


async def status(ledger: Ledger) -> Status:
    async with ledger.pool.acquire() as conn:
        return await status_of(conn, LEDGER_ID, "")


async def told(ledger: Ledger) -> list[NotaryEvent]:
    stream = await read_stream(ledger, ledger.notary_stream())
    return [recorded(one, NOTARY.event_types).event for one in stream.events]


def is_signed_by(sealed: Sealed, vkey: str) -> bool:
    return Verifier.parse(vkey).signed(Note.parse(sealed.note))


@asynccontextmanager
async def opened(database: Database) -> AsyncIterator[Ledger]:
    async with await Ledger.open(database.service_url) as ledger:
        yield ledger


@asynccontextmanager
async def restored(postgres: Cluster, folder: Path) -> AsyncIterator[Ledger]:
    """A ledger of five events that was dumped, grew by three more that were sealed, and was restored."""
    async with postgres.fresh() as database:
        async with opened(database) as ledger:
            await append_some(ledger, 5)
            await sealed_in(ledger, folder)
        async with postgres.fresh(template=database.name) as backup:
            async with opened(database) as ledger:
                await append_some(ledger, 3)
                await sealed_in(ledger, folder)
            async with opened(backup) as ledger:
                yield ledger


async def owner_does(database: Database, *statements: str) -> None:
    conn = await asyncpg.connect(database.owner_url)
    try:
        for statement in statements:
            await conn.execute(statement)
    finally:
        await conn.close()


async def test_a_restored_backup_is_not_signed_until_it_is_adopted(postgres: Cluster, tmp_path: Path) -> None:
    async with restored(postgres, tmp_path) as ledger:
        (before,) = keyring_in(ledger, tmp_path).signers()
        sealer = sealer_in(ledger, tmp_path)
        assert await halts(sealer, GuardAhead) == {"guard": 8, "database": 5}
        await append_some(ledger, 6)  # commands go on, past what the guard knows
        assert await halts(sealer, GuardAhead) == {"guard": 8, "database": 5}
        await sealer.release()
        sealer = sealer_in(ledger, tmp_path)
        assert await halts(sealer, GuardAhead)
        assert (await last_of(ledger)).size == 5

        adopted = await adopts(ledger, tmp_path)
        assert (adopted.cause, adopted.checkpoint.size, adopted.is_new_key) == ("guard-ahead", 5, True)
        await seal(sealer)

        last = await last_of(ledger)
        assert last.size == 12
        assert is_signed_by(last, adopted.vkey)
        assert not is_signed_by(last, before.vkey)
        (event,) = await told(ledger)
        assert isinstance(event, NotaryAdopted)
        assert (event.reason, event.size, event.guard_size) == (WHY, 5, 8)
        assert (event.cause, event.vkey) == ("guard-ahead", adopted.vkey)
        assert event.root == adopted.checkpoint.root.hex()


async def test_a_database_that_is_restored_beneath_a_running_notary_is_noticed_at_once(
    ledger: Ledger, database: Database, tmp_path: Path
) -> None:
    sealer = sealer_in(ledger, tmp_path)
    for _ in range(2):
        await append_some(ledger, 3)
        await seal(sealer)
    await owner_does(database, "delete from ledger.events where position > 3")
    await ledger.pool.execute("delete from work.notary_checkpoints where size > 3")
    await append_some(ledger, 1)  # at a position that was sealed already
    assert await sealer.round() is False
    assert await halts(sealer, GuardAhead) == {"guard": 6, "database": 3}


async def test_an_adoption_that_ends_between_any_two_of_its_steps_is_done_again(
    postgres: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with restored(postgres, tmp_path) as ledger:
        ahead = (tmp_path / GUARD_FILE).read_text()
        for step in ("_write_down", "sign_anew", "publish"):
            (tmp_path / GUARD_FILE).write_text(ahead)
            with monkeypatch.context() as patched:
                patched.setattr(adopting, step, never_returns)
                with pytest.raises(KilledHere):
                    await adopts(ledger, tmp_path)
            try:
                adopted = await adopts(ledger, tmp_path)
            except NothingToAdopt:
                assert step == "publish"  # the guard had it: what is left to do the notary does
            else:
                assert adopted.checkpoint.size == 5
        assert checkpoint_in((await sealed_in(ledger, tmp_path)).note).size > 5


async def test_a_key_of_long_ago_does_not_sign_what_is_adopted(postgres: Cluster, tmp_path: Path) -> None:
    """It signed a history that this one contradicts, and the guard has forgotten that by then."""
    async with restored(postgres, tmp_path) as ledger:
        of_long_ago = (tmp_path / KEY_FILE).read_text()
        await adopts(ledger, tmp_path)
        await append_some(ledger, 6)
        await sealed_in(ledger, tmp_path)
        (tmp_path / KEY_FILE).write_text(of_long_ago)
        (put_back,) = keyring_in(ledger, tmp_path).signers()
        await halts(sealer_in(ledger, tmp_path), KeyLost)

        assert (await adopts(ledger, tmp_path)).vkey != put_back.vkey
        assert not is_signed_by(await sealed_in(ledger, tmp_path), put_back.vkey)


async def test_a_key_that_was_given_is_changed_before_a_restored_backup_is_adopted(
    postgres: Cluster, tmp_path: Path
) -> None:
    async with restored(postgres, tmp_path) as ledger:
        old = (tmp_path / KEY_FILE).read_text().strip()
        origin = default_origin(ledger)
        with pytest.raises(NotaryKeyGiven):
            await adopts(ledger, tmp_path, keyring=Keyring(origin, tmp_path, given=[old]))
        assert await told(ledger) == []

        new = Keyring(origin, tmp_path, given=[new_seed()])
        adopted = await adopts(ledger, tmp_path, keyring=new)
        assert adopted.vkey == new.signers()[0].vkey
        await seal(Sealer(ledger, new, guard_in(tmp_path), utc_now))
        assert is_signed_by(await last_of(ledger), adopted.vkey)


async def test_two_histories_never_get_past_one_guard(postgres: Cluster, tmp_path: Path) -> None:
    async with postgres.fresh() as database:
        async with opened(database) as ledger:
            await append_some(ledger, 2)
            await sealed_in(ledger, tmp_path)
        async with (
            postgres.fresh(template=database.name) as twin,
            opened(database) as one,
            opened(twin) as other,
        ):
            sealers = sealer_in(one, tmp_path), sealer_in(other, tmp_path)
            for sealer in sealers:
                await seal(sealer)
            await asyncio.gather(append_some(one, 2), append_some(other, 2))
            outcomes = await asyncio.gather(*(sealer.round() for sealer in sealers), return_exceptions=True)
            assert sorted(outcome is True for outcome in outcomes) == [False, True]
            loser = sealers[outcomes[0] is True]
            assert await halts(loser, HistoryDiffers) == {"guard": 4, "database": 4}
            sizes = [(await last_of(ledger)).size for ledger in (one, other)]
            assert sorted(sizes) == [2, 4]


async def test_a_lost_guard_halts_and_adopting_keeps_the_key(ledger: Ledger, tmp_path: Path) -> None:
    await append_some(ledger, 2)
    sealed = await sealed_in(ledger, tmp_path)
    guard_in(tmp_path)._path.unlink()
    sealer = sealer_in(ledger, tmp_path)
    assert await halts(sealer, GuardMissing) == {"place": str(tmp_path / "notary_state"), "database": 2}

    adopted = await adopts(ledger, tmp_path)
    assert (adopted.is_new_key, adopted.guarded) == (False, None)
    await seal(sealer)
    assert is_signed_by(await last_of(ledger), adopted.vkey)
    assert is_signed_by(sealed, adopted.vkey)
    (event,) = await told(ledger)
    assert isinstance(event, NotaryAdopted)
    assert (event.cause, event.guard_size, event.guard_root) == ("guard-missing", None, None)


async def test_a_guard_that_holds_something_else_halts(ledger: Ledger, tmp_path: Path) -> None:
    await append_some(ledger, 1)
    await sealed_in(ledger, tmp_path)
    guard_in(tmp_path)._path.write_text("nothing of value\n")
    sealer = sealer_in(ledger, tmp_path)
    await halts(sealer, GuardUnreadable)
    await adopts(ledger, tmp_path)
    await seal(sealer)


async def test_another_history_than_the_guard_knows_halts(ledger: Ledger, tmp_path: Path) -> None:
    await append_some(ledger, 3)
    await sealed_in(ledger, tmp_path)
    signers = keyring_in(ledger, tmp_path).signers()
    sealer = sealer_in(ledger, tmp_path)
    for size in (3, 2):
        other = Checkpoint(origin=default_origin(ledger), size=size, root=bytes(32)).signed_by(signers)
        guard_in(tmp_path)._path.write_text(other)
        assert await halts(sealer, HistoryDiffers) == {"guard": size, "database": 3}


async def test_an_older_copy_of_the_guard_is_caught_up_with(ledger: Ledger, tmp_path: Path) -> None:
    sealer = sealer_in(ledger, tmp_path)
    await append_some(ledger, 3)
    await seal(sealer)
    older = await guard_in(tmp_path).read()
    assert older is not None
    await append_some(ledger, 4)
    await seal(sealer)

    guard_in(tmp_path)._path.write_text(older)
    await append_some(ledger, 1)
    await sealer.release()
    await seal(sealer_in(ledger, tmp_path))
    assert await guard_in(tmp_path).read() == (await last_of(ledger)).note
    assert (await last_of(ledger)).size == 8


async def test_a_lost_key_halts_and_adopting_makes_another(ledger: Ledger, tmp_path: Path) -> None:
    await append_some(ledger, 2)
    sealed = await sealed_in(ledger, tmp_path)
    (tmp_path / KEY_FILE).unlink()
    sealer = sealer_in(ledger, tmp_path)
    assert await halts(sealer, KeyLost) == {}
    assert await sealer.vkey() is None

    adopted = await adopts(ledger, tmp_path)
    assert adopted.is_new_key
    await seal(sealer)
    assert is_signed_by(await last_of(ledger), adopted.vkey)
    assert not is_signed_by(sealed, adopted.vkey)


async def test_another_key_than_the_one_that_signed_halts(ledger: Ledger, tmp_path: Path) -> None:
    await append_some(ledger, 2)
    await sealed_in(ledger, tmp_path)
    (tmp_path / KEY_FILE).write_text(new_seed())
    await halts(sealer_in(ledger, tmp_path), KeyLost)


async def test_another_name_halts_and_adopting_goes_on_under_it(ledger: Ledger, tmp_path: Path) -> None:
    await append_some(ledger, 2)
    await sealed_in(ledger, tmp_path)
    keyring = keyring_in(ledger, tmp_path, origin="log.example/new")
    sealer = Sealer(ledger, keyring, guard_in(tmp_path), utc_now)
    facts = await halts(sealer, OtherOrigin)
    assert facts == {"guard": default_origin(ledger), "set": "log.example/new"}

    await adopts(ledger, tmp_path, keyring=keyring)
    await seal(sealer)
    assert checkpoint_in((await last_of(ledger)).note).origin == "log.example/new"


async def test_a_checkpoint_that_nobody_known_signed_halts_and_is_not_adopted(
    ledger: Ledger, tmp_path: Path
) -> None:
    await append_some(ledger, 2)
    sealed = await sealed_in(ledger, tmp_path)
    forger = Signer(default_origin(ledger), bytes(32))
    forged = checkpoint_in(sealed.note).signed_by([forger])
    await ledger.pool.execute("update work.notary_checkpoints set note = $1", forged)
    assert await halts(sealer_in(ledger, tmp_path), CheckpointForged) == {"size": 2}
    with pytest.raises(CheckpointForged):
        await adopts(ledger, tmp_path)
    assert await told(ledger) == []


@pytest.mark.parametrize(
    "how",
    ["update work.notary_tiles set hashes = sha256(hashes)", "update work.notary_tiles set tile = 7"],
)
async def test_changed_tiles_halt(ledger: Ledger, tmp_path: Path, how: str) -> None:
    await append_some(ledger, 1)
    await sealed_in(ledger, tmp_path)
    await ledger.pool.execute(how)
    await halts(sealer_in(ledger, tmp_path), TilesDiffer)


async def test_an_envelope_that_was_changed_under_its_hash_halts_and_is_named(
    ledger: Ledger, database: Database, tmp_path: Path
) -> None:
    await append_some(ledger, 3)
    await sealed_in(ledger, tmp_path)
    await append_some(ledger, 3)
    await owner_does(
        database,
        "alter table ledger.events alter column leaf_hash drop expression",
        "update ledger.events set envelope = envelope || ' '::bytea where position = 5",
    )
    sealer = sealer_in(ledger, tmp_path)
    assert await halts(sealer, LeafDiffers) == {"position": 5}
    with pytest.raises(NothingToAdopt):
        await adopts(ledger, tmp_path)
    await owner_does(
        database,
        "update ledger.events set envelope = substring(envelope for octet_length(envelope) - 1) where position = 5",
    )
    await seal(sealer)
    assert (await last_of(ledger)).size == 6


async def test_a_hole_in_the_log_halts_and_is_named(
    ledger: Ledger, database: Database, tmp_path: Path
) -> None:
    await append_some(ledger, 4)
    await owner_does(database, "delete from ledger.events where position = 3")
    facts = await halts(sealer_in(ledger, tmp_path), PositionMissing)
    assert facts == {"position": 3, "found": 4}


async def test_a_guard_that_is_away_halts_nothing_and_loses_nothing(ledger: Ledger, tmp_path: Path) -> None:
    sealer = sealer_in(ledger, tmp_path)
    await append_some(ledger, 1)
    await seal(sealer)
    path = guard_in(tmp_path)._path
    path.rename(tmp_path / "aside")
    path.mkdir()
    await append_some(ledger, 1)
    with pytest.raises(GuardUnreachable):
        await seal(sealer)
    assert (await last_of(ledger)).size == 1
    path.rmdir()
    (tmp_path / "aside").rename(path)
    await seal(sealer)
    assert (await last_of(ledger)).size == 2


async def test_everybody_can_see_that_and_why_it_is_halted(ledger: Ledger, tmp_path: Path) -> None:
    await append_some(ledger, 1)
    await sealed_in(ledger, tmp_path)
    guard_in(tmp_path)._path.unlink()
    sealer = sealer_in(ledger, tmp_path)
    async with asyncio.timeout(HANG):
        going = asyncio.create_task(sealer.run_forever())
        while (halt := (await status(ledger)).halt) is None:
            await asyncio.sleep(0.01)
        assert halt.code == "guard-missing"
        assert str(tmp_path) in halt.because
        await adopts(ledger, tmp_path)
        while (found := await status(ledger)).halt is not None or found.lag:
            await asyncio.sleep(0.01)
        going.cancel()
        await asyncio.gather(going, return_exceptions=True)
    assert (await last_of(ledger)).size == 2


async def test_a_halted_notary_gives_way_to_one_that_has_the_key(ledger: Ledger, tmp_path: Path) -> None:
    await append_some(ledger, 1)
    await sealed_in(ledger, tmp_path)
    without_key = Sealer(ledger, keyring_in(ledger, tmp_path / "elsewhere"), guard_in(tmp_path), utc_now)
    async with asyncio.timeout(HANG):
        going = [asyncio.create_task(without_key.run_forever())]
        while (halt := (await status(ledger)).halt) is None:
            await asyncio.sleep(0.01)
        assert halt.code == "notary-key-lost"
        going.append(asyncio.create_task(sealer_in(ledger, tmp_path).run_forever()))
        await append_some(ledger, 1)
        while (found := await status(ledger)).halt is not None or found.lag:
            await asyncio.sleep(0.01)
        for task in going:
            task.cancel()
        await asyncio.gather(*going, return_exceptions=True)


async def test_what_is_well_is_not_adopted_and_nothing_without_a_reason(
    ledger: Ledger, tmp_path: Path
) -> None:
    await append_some(ledger, 1)
    await sealed_in(ledger, tmp_path)
    with pytest.raises(NothingToAdopt):
        await adopts(ledger, tmp_path)
    guard_in(tmp_path)._path.unlink()
    with pytest.raises(ReasonMissing):
        await adopts(ledger, tmp_path, reason="  ")
    await halts(sealer_in(ledger, tmp_path), GuardMissing)


async def test_the_first_checkpoint_after_a_rotation_is_signed_by_both_keys(
    ledger: Ledger, tmp_path: Path
) -> None:
    sealer, keyring = sealer_in(ledger, tmp_path), keyring_in(ledger, tmp_path)
    await append_some(ledger, 1)
    await seal(sealer)
    operator = Operator(
        provenance=Provenance(actor=OPERATOR, command_id=new_command_id()),
        reason="once a year",
        clock=utc_now,
    )
    rotated = await rotate_key(ledger, keyring, operator)
    await seal(sealer)
    both = await last_of(ledger)
    await append_some(ledger, 1)
    await seal(sealer)
    alone = await last_of(ledger)

    assert (both.size, alone.size) == (2, 3)
    assert (is_signed_by(both, rotated.vkey), is_signed_by(both, rotated.previous)) == (True, True)
    assert (is_signed_by(alone, rotated.vkey), is_signed_by(alone, rotated.previous)) == (True, False)
    assert [signer.vkey for signer in keyring.signers()] == [rotated.vkey]
    (event,) = await told(ledger)
    assert isinstance(event, NotaryKeyRotated)
    assert (event.vkey, event.previous, event.reason) == (rotated.vkey, rotated.previous, "once a year")
    await sealer.release()
    await append_some(ledger, 1)
    assert (await sealed_in(ledger, tmp_path)).size == 4


async def test_a_key_that_was_rotated_twice_still_goes_on(ledger: Ledger, tmp_path: Path) -> None:
    keyring = keyring_in(ledger, tmp_path)
    await append_some(ledger, 1)
    await sealed_in(ledger, tmp_path)
    (first,) = keyring.signers()
    keyring.rotate()
    keyring.rotate()
    await append_some(ledger, 1)
    sealed = await sealed_in(ledger, tmp_path)
    (last,) = keyring.signers()
    assert is_signed_by(sealed, first.vkey)
    assert is_signed_by(sealed, last.vkey)


async def test_a_key_that_is_rotated_while_the_last_one_is_forgotten_stays(
    ledger: Ledger, tmp_path: Path
) -> None:
    keyring = keyring_in(ledger, tmp_path)
    keyring.make()
    (first,) = keyring.signers()
    second = keyring.rotate()[0]
    third = keyring.rotate()[0]
    keyring.forget_before(second)
    assert [signer.vkey for signer in keyring.signers()] == [third.vkey, second.vkey]
    keyring.forget_before(first)
    assert [signer.vkey for signer in keyring.signers()] == [third.vkey, second.vkey]


async def test_keys_that_were_given_are_rotated_by_giving_both(ledger: Ledger, tmp_path: Path) -> None:
    old, new, origin = new_seed(), new_seed(), default_origin(ledger)
    for given, signatures in (([old], 1), ([new, old], 2), ([new, old], 1), ([new], 1)):
        await append_some(ledger, 1)
        sealer = Sealer(ledger, Keyring(origin, tmp_path, given=given), guard_in(tmp_path), utc_now)
        await seal(sealer)
        await sealer.release()
        assert len(Note.parse((await last_of(ledger)).note).signatures) == signatures
    assert not (tmp_path / KEY_FILE).exists()


async def test_the_key_file_is_private_and_one_that_is_not_is_refused_in_production(
    ledger: Ledger, tmp_path: Path
) -> None:
    await append_some(ledger, 1)
    await sealed_in(ledger, tmp_path)
    path = tmp_path / KEY_FILE
    assert path.stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "notary_state").stat().st_mode & 0o777 == 0o600
    assert keyring_in(ledger, tmp_path, is_strict=True).signers()
    for mode in (0o640, 0o604):
        path.chmod(mode)
        with pytest.raises(NotaryKeyUnusable):
            keyring_in(ledger, tmp_path, is_strict=True).signers()
        assert keyring_in(ledger, tmp_path).signers()
