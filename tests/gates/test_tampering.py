"""Attacks on a live database by its own superuser: each is found, and the place is named.

Every attack happens in a transaction that also verifies, and is rolled back: one database serves them all.
"""

import asyncio
import hashlib
from base64 import b64encode
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import asyncpg
import msgspec
import pytest

from ledger.cli.audit.database import verify_ledger
from ledger.sealing.notes import Signer, checkpoint_in
from ledger.sealing.rows import Sealed
from ledger.store.ledger import Ledger
from ledger.store.pool import DirectConnection
from ledger.store.streams import StreamName, append, draft, read_stream
from ledger.verifier.checkpoint import Checkpoint, parse_checkpoint
from ledger.verifier.merkle import root_of
from ledger.verifier.policy import Policy, parse_policy
from ledger.verifier.report import Report
from ledger.verifier.verdict import Verdict
from tests.support.bundles import tile_files
from tests.support.databases import Cluster, Database
from tests.support.events import an_event, by_somebody, new_stream
from tests.support.sealing import keyring_in, sealed_in

EARLIER, SEALED, ALL = 270, 300, 310
STREAMS = 7
VICTIM = 265


class Scene(msgspec.Struct, frozen=True, kw_only=True):
    """A database with a sealed history, and the policy of somebody who was told the log's key."""

    database: Database
    policy: Policy
    sealed: Sealed
    signer: Signer


@pytest.fixture(scope="module")
def scene(postgres: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with asyncio.Runner() as runner:
        made = postgres.fresh()
        database = runner.run(made.__aenter__())
        yield runner.run(_history(database, tmp_path_factory.mktemp("notary")))
        runner.run(made.__aexit__(None, None, None))


async def _history(database: Database, folder: Path) -> Scene:
    async with await Ledger.open(database.service_url) as ledger:
        names = [new_stream().name for _ in range(STREAMS)]
        await _append(ledger, names, EARLIER)
        await sealed_in(ledger, folder)
        await _append(ledger, names, SEALED - EARLIER)
        sealed = await sealed_in(ledger, folder)
        await _append(ledger, names, ALL - SEALED)
        (signer,) = keyring_in(ledger, folder).signers()
        policy = parse_policy(f"log {signer.vkey}\nquorum none\n".encode())
    return Scene(database=database, policy=policy, sealed=sealed, signer=signer)


async def _append(ledger: Ledger, names: list[StreamName], count: int) -> None:
    for number in range(count):
        stream = await read_stream(ledger, names[number % STREAMS])
        await append(ledger, draft(stream, [an_event()], by_somebody()))


@pytest.fixture
async def superuser(scene: Scene) -> AsyncIterator[DirectConnection]:
    conn = await asyncpg.connect(scene.database.owner_url)
    transaction = conn.transaction()
    await transaction.start()
    yield conn
    await transaction.rollback()
    await conn.close()


async def verified(superuser: DirectConnection, scene: Scene) -> Report:
    return await verify_ledger(superuser, 1, scene.policy)


async def stream_at(superuser: DirectConnection, position: int) -> str:
    return str(await superuser.fetchval("select stream from ledger.events where position = $1", position))


def place(report: Report) -> tuple[str, object, object]:
    first = report.found[0]
    return first.code, first.facts.get("position"), first.facts.get("stream")


async def rewrite(superuser: DirectConnection, position: int, change: Callable[[bytes], bytes]) -> None:
    envelope = await superuser.fetchval("select envelope from ledger.events where position = $1", position)
    assert change(envelope) != envelope
    await superuser.execute(
        "update ledger.events set envelope = $2 where position = $1", position, change(envelope)
    )


def back_dated(envelope: bytes) -> bytes:
    return envelope.replace(b'"recorded_at":"20', b'"recorded_at":"19')


async def test_an_honest_database_verifies_and_says_what_is_not_sealed_yet(
    superuser: DirectConnection, scene: Scene
):
    report = await verified(superuser, scene)

    assert (report.verdict, report.found) == (Verdict.VERIFIED, [])
    assert (report.last, report.payloads, report.streams) == (ALL, ALL, STREAMS)
    assert report.unsealed_from == SEALED + 1


async def test_without_a_policy_it_is_not_complete(superuser: DirectConnection):
    report = await verify_ledger(superuser, 1, None)

    assert report.verdict is Verdict.INCOMPLETE
    assert report.missing == ["a policy: nobody looked whose signature the checkpoint bears"]


async def test_a_changed_byte_of_a_payload_is_located(superuser: DirectConnection, scene: Scene):
    await superuser.execute(
        "update ledger.events set payload = set_byte(payload, 3, get_byte(payload, 3) # 1) where position = $1",
        VICTIM,
    )

    report = await verified(superuser, scene)

    assert report.verdict is Verdict.TAMPERED
    assert place(report) == ("payload-differs", VICTIM, await stream_at(superuser, VICTIM))


async def test_all_payloads_that_were_changed_are_counted_and_the_first_are_named(
    superuser: DirectConnection, scene: Scene
):
    await superuser.execute("update ledger.events set payload = payload || ' ' where position >= $1", VICTIM)

    report = await verified(superuser, scene)

    assert report.verdict is Verdict.TAMPERED
    assert place(report) == ("payload-differs", VICTIM, await stream_at(superuser, VICTIM))
    assert report.payloads_wrong == ALL - VICTIM + 1
    assert [one.facts["position"] for one in report.found] == list(range(VICTIM, ALL + 1))[:20]
    assert (report.last, report.payloads) == (ALL, VICTIM - 1)


async def test_an_entry_behind_a_changed_payload_is_found_too(superuser: DirectConnection, scene: Scene):
    await superuser.execute(
        "update ledger.events set payload = payload || ' ' where position = $1", VICTIM - 1
    )
    await rewrite(superuser, VICTIM, back_dated)

    report = await verified(superuser, scene)

    assert report.verdict is Verdict.TAMPERED
    assert [one.code for one in report.found] == ["payload-differs", "entry-differs"]


async def test_a_back_dated_envelope_is_located(superuser: DirectConnection, scene: Scene):
    await rewrite(superuser, VICTIM, back_dated)

    report = await verified(superuser, scene)

    assert report.verdict is Verdict.TAMPERED
    assert place(report) == ("entry-differs", VICTIM, await stream_at(superuser, VICTIM))


async def test_a_back_dated_envelope_is_located_where_columns_and_leaf_hash_follow(
    superuser: DirectConnection, scene: Scene
):
    """The leaf hash is made from the envelope by the database itself, and follows in any case."""
    await rewrite(superuser, VICTIM, back_dated)
    await superuser.execute(
        "update ledger.events set recorded_at = recorded_at - interval '100 years' where position = $1",
        VICTIM,
    )

    report = await verified(superuser, scene)

    assert place(report) == ("entry-differs", VICTIM, await stream_at(superuser, VICTIM))


async def test_a_leaf_hash_that_stays_as_it_was_hides_nothing(superuser: DirectConnection, scene: Scene):
    await superuser.execute("alter table ledger.events alter column leaf_hash drop expression")
    await rewrite(superuser, VICTIM, back_dated)

    assert place(await verified(superuser, scene))[:2] == ("entry-differs", VICTIM)


async def test_a_leaf_hash_that_is_not_the_envelopes_is_located(superuser: DirectConnection, scene: Scene):
    await superuser.execute("alter table ledger.events alter column leaf_hash drop expression")
    await superuser.execute(
        "update ledger.events set leaf_hash = sha256(leaf_hash) where position = $1", VICTIM
    )

    report = await verified(superuser, scene)

    assert place(report)[:2] == ("column-differs", VICTIM)
    assert report.found[0].facts["column"] == "leaf_hash"


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("stream", "'other-stream'"),
        ("version", "version + 1000"),
        ("type", "'session-expired'"),
        ("schema_version", "schema_version + 1"),
        ("event_id", "gen_random_uuid()"),
        ("recorded_at", "recorded_at - interval '1 microsecond'"),
        ("actor", "'somebody'"),
        ("command_id", "gen_random_uuid()"),
        ("causation_id", "gen_random_uuid()"),
        ("correlation_id", "'4bf92f3577b34da6a3ce929d0e0e4736'"),
    ],
)
async def test_a_column_that_says_something_else_than_the_envelope_is_located(
    column: str, value: str, superuser: DirectConnection, scene: Scene
):
    stream = await stream_at(superuser, VICTIM)
    await superuser.execute(f"update ledger.events set {column} = {value} where position = $1", VICTIM)  # noqa: S608

    report = await verified(superuser, scene)

    assert place(report) == ("column-differs", VICTIM, stream)
    assert report.found[0].facts["column"] == column


@pytest.mark.parametrize(
    "moment", ["'-infinity'", "'infinity'", "recorded_at - interval '4000 years'", "'20000-03-15'"]
)
async def test_a_moment_that_no_program_can_hold_is_located(
    moment: str, superuser: DirectConnection, scene: Scene
):
    stream = await stream_at(superuser, VICTIM)
    await superuser.execute(f"update ledger.events set recorded_at = {moment} where position = $1", VICTIM)  # noqa: S608

    report = await verified(superuser, scene)

    assert place(report) == ("column-differs", VICTIM, stream)
    assert report.found[0].facts["column"] == "recorded_at"


@pytest.mark.parametrize(
    ("column", "code"),
    [
        ("envelope", "entry-differs"),
        ("leaf_hash", "column-differs"),
        ("recorded_at", "column-differs"),
        ("event_id", "column-differs"),
        ("version", "column-differs"),
        ("salt", "payload-differs"),
        ("payload", "payload-differs"),
    ],
)
async def test_a_column_that_was_emptied_is_located(
    column: str, code: str, superuser: DirectConnection, scene: Scene
):
    await superuser.execute("alter table ledger.events alter leaf_hash drop expression")
    await superuser.execute(f"alter table ledger.events alter {column} drop not null")
    await superuser.execute(f"update ledger.events set {column} = null where position = $1", VICTIM)  # noqa: S608

    assert place(await verified(superuser, scene))[:2] == (code, VICTIM)


@pytest.mark.parametrize("position", [-5, 0, 100, 256, 257, SEALED, ALL])
async def test_a_row_beside_those_of_the_log_is_located(
    position: int, superuser: DirectConnection, scene: Scene
):
    """Whoever reads a stream reads it, by version; page by page it may be passed over."""
    stream = await stream_at(superuser, VICTIM)
    await superuser.execute("alter table ledger.events drop constraint events_position_positive")
    await superuser.execute("alter table ledger.events drop constraint events_pkey")
    await superuser.execute(
        "insert into ledger.events (ledger_id, position, stream, version, type, schema_version, event_id,"
        " recorded_at, actor, command_id, causation_id, correlation_id, envelope, salt, payload) "
        "select ledger_id, $1, stream, version + 1000, type, schema_version, gen_random_uuid(), recorded_at, actor,"
        " command_id, causation_id, correlation_id, envelope, salt, payload from ledger.events where position = $2",
        position,
        VICTIM,
    )

    report = await verified(superuser, scene)

    assert (report.verdict, report.found[0].facts["position"]) == (Verdict.TAMPERED, position)
    assert report.found[0].code in {"rows-added", "entry-differs"}
    if report.found[0].code == "rows-added":
        assert stream in str(report.found[0].facts["streams"])


async def test_rows_that_the_database_does_not_give_are_not_usable(superuser: DirectConnection, scene: Scene):
    await superuser.execute("alter table ledger.events rename salt to pepper")

    report = await verified(superuser, scene)

    assert (report.verdict, report.found[0].code) == (Verdict.UNUSABLE, "rows-unreadable")
    assert report.found[0].facts == {"verified_to": 0, "reason": 'column "salt" does not exist'}


async def test_events_that_were_put_into_another_ledger_are_located(
    superuser: DirectConnection, scene: Scene
):
    await superuser.execute("update ledger.events set ledger_id = 2")

    report = await verify_ledger(superuser, 2, scene.policy)

    assert place(report)[:2] == ("column-differs", 1)
    assert report.found[0].facts["column"] == "ledger_id"


async def test_a_deleted_tail_is_located(superuser: DirectConnection, scene: Scene):
    await superuser.execute("delete from ledger.events where position > $1", SEALED - 4)

    report = await verified(superuser, scene)

    assert report.verdict is Verdict.TAMPERED
    assert report.found[0].facts == {"position": SEALED - 3, "events": 4}


async def test_a_deleted_middle_is_located(superuser: DirectConnection, scene: Scene):
    await superuser.execute("delete from ledger.events where position between 100 and 102")

    report = await verified(superuser, scene)

    assert report.found[0].facts == {"position": 100, "events": 3}, "nothing says of which streams they were"


async def test_a_deleted_middle_is_located_where_the_rest_moves_up(superuser: DirectConnection, scene: Scene):
    stream = await stream_at(superuser, 101)
    await superuser.execute("delete from ledger.events where position = 100")
    await superuser.execute("update ledger.events set position = position - 1 + 100000 where position > 100")
    await superuser.execute("update ledger.events set position = position - 100000 where position > 100000")

    assert place(await verified(superuser, scene)) == ("entry-differs", 100, stream)


async def test_two_swapped_events_are_located(superuser: DirectConnection, scene: Scene):
    stream = await stream_at(superuser, 51)
    for old, new in ((50, 100_000), (51, 50), (100_000, 51)):
        await superuser.execute("update ledger.events set position = $2 where position = $1", old, new)

    assert place(await verified(superuser, scene)) == ("entry-differs", 50, stream)


async def test_an_event_that_is_not_sealed_yet_still_has_to_fit_its_stream(
    superuser: DirectConnection, scene: Scene
):
    await rewrite(superuser, SEALED + 2, lambda envelope: envelope[:-66] + b"ab" * 32 + b'"}')

    assert place(await verified(superuser, scene))[:2] == ("stream-broken", SEALED + 2)


async def test_a_changed_tile_is_found(superuser: DirectConnection, scene: Scene):
    await superuser.execute(
        "update work.notary_tiles set hashes = set_byte(hashes, 0, get_byte(hashes, 0) # 1) "
        "where level = 0 and tile = 0"
    )

    report = await verified(superuser, scene)

    assert (report.verdict, report.found[0].code) == (Verdict.TAMPERED, "tiles-disagree")
    assert (report.found[0].facts["first"], report.found[0].facts["last"]) == (1, 256)


async def test_a_missing_tile_is_found(superuser: DirectConnection, scene: Scene):
    await superuser.execute("delete from work.notary_tiles where level = 0 and tile = 1")

    assert (await verified(superuser, scene)).verdict is Verdict.TAMPERED


async def test_a_rewrite_of_everything_but_the_signature_is_narrowed_down_by_earlier_checkpoints(
    superuser: DirectConnection, scene: Scene
):
    """Envelope, columns, what comes after it in its stream, and all tiles: as consistent as before."""
    await _rewrite_all(superuser, EARLIER + 5)

    report = await verified(superuser, scene)

    assert (report.verdict, report.found[0].code) == (Verdict.TAMPERED, "rewritten-between")
    assert (report.found[0].facts["first"], report.found[0].facts["last"]) == (EARLIER + 1, SEALED)


async def test_a_rewrite_is_found_where_the_policy_knows_no_earlier_checkpoints_key(
    superuser: DirectConnection, scene: Scene
):
    """As after a rotation whose old key was taken out of the policy."""
    await _rewrite_all(superuser, EARLIER + 5)
    await superuser.execute(
        "update work.notary_checkpoints set note = replace(note, '— ', '— another.') where size = $1", EARLIER
    )

    report = await verified(superuser, scene)

    assert (report.verdict, report.found[0].code) == (Verdict.TAMPERED, "root-differs")


@pytest.mark.parametrize("size", [EARLIER, SEALED])
async def test_a_database_goes_on_from_an_earlier_checkpoint(
    size: int, superuser: DirectConnection, scene: Scene
):
    since = await earlier(superuser, size)

    report = await verify_ledger(superuser, 1, scene.policy, since)

    assert (report.verdict, report.since) == (Verdict.VERIFIED, size)


async def test_a_database_that_was_set_back_as_a_whole_is_a_fork_of_an_earlier_checkpoint(
    superuser: DirectConnection, scene: Scene
):
    """Rows, tiles and checkpoints agree with each other then: whoever holds the later checkpoint knows better."""
    since = await earlier(superuser, SEALED)
    await _set_back(superuser)

    assert (await verified(superuser, scene)).verdict is Verdict.VERIFIED
    report = await verify_ledger(superuser, 1, scene.policy, since)

    assert (report.verdict, report.found[0].code) == (Verdict.FORK, "log-shrunk")


async def test_a_database_whose_checkpoints_are_gone_is_a_fork_of_an_earlier_one(
    superuser: DirectConnection, scene: Scene
):
    since = await earlier(superuser, EARLIER)
    await superuser.execute("delete from work.notary_checkpoints")

    report = await verify_ledger(superuser, 1, scene.policy, since)

    assert (report.verdict, report.found[0].code) == (Verdict.FORK, "log-shrunk")


async def test_a_rewrite_is_a_fork_of_an_earlier_checkpoint(superuser: DirectConnection, scene: Scene):
    since = await earlier(superuser, EARLIER)
    await _rewrite_all(superuser, VICTIM)

    report = await verify_ledger(superuser, 1, scene.policy, since)

    assert (report.verdict, report.found[0].code) == (Verdict.FORK, "history-differs")
    assert report.found[1].code == "rewritten-between"


async def test_a_checkpoint_that_was_changed_to_fit_does_not_bear_the_signature(
    superuser: DirectConnection, scene: Scene
):
    line = scene.sealed.note.splitlines()[2]
    await superuser.execute(
        "update work.notary_checkpoints set note = replace(note, $1, $2)", line, "A" * 43 + "="
    )

    report = await verified(superuser, scene)

    assert (report.verdict, report.found[0].code) == (Verdict.TAMPERED, "signature-wrong")


@pytest.mark.parametrize(
    ("change", "size", "reason"),
    [
        ("root = sha256(root) where size = 300", SEALED, "its columns say something else than its note"),
        ("size = 299 where size = 300", SEALED - 1, "its columns say something else than its note"),
        ("size = 9000000 where size = 300", 9000000, "its columns say something else than its note"),
        ("root = sha256(root) where size = 270", EARLIER, "its columns say something else than its note"),
        ("size = 271 where size = 270", EARLIER + 1, "its columns say something else than its note"),
        ("note = 'no note' where size = 270", EARLIER, "its note is none"),
        (
            "note = replace(note, split_part(note, E'\\n', 3), encode(sha256(''), 'base64')), root = sha256('') where size = 270",
            EARLIER,
            "a signature on it is wrong",
        ),
    ],
)
async def test_a_checkpoint_of_before_that_was_changed_is_located(
    change: str, size: int, reason: str, superuser: DirectConnection, scene: Scene
):
    """Nothing else depends on it, and yet proofs are by it, and monitors are shown it."""
    await superuser.execute(f"update work.notary_checkpoints set {change}")  # noqa: S608

    report = await verified(superuser, scene)

    assert report.verdict is Verdict.TAMPERED
    assert [(one.code, one.facts) for one in report.found] == [
        ("checkpoint-differs", {"size": size, "reason": reason})
    ]


async def test_a_checkpoint_of_another_history_is_found_without_a_policy(superuser: DirectConnection):
    await superuser.execute(
        "update work.notary_checkpoints set note = replace(note, $1, $2), root = decode($2, 'base64') where size = $3",
        b64encode((await earlier(superuser, EARLIER)).root).decode(),
        b64encode(bytes(32)).decode(),
        EARLIER,
    )

    report = await verify_ledger(superuser, 1, None)

    assert report.found[0].code == "checkpoint-differs"
    assert report.found[0].facts == {"size": EARLIER, "reason": "its root is not that of the events"}


async def test_a_history_that_was_written_and_signed_anew_contradicts_the_checkpoints_that_stayed(
    superuser: DirectConnection, scene: Scene
):
    """Whoever has the key too signs the last checkpoint alone anew: the one before is the log's own word against it."""
    await _rewrite_all(superuser, VICTIM)
    rows = await superuser.fetch(
        "select leaf_hash from ledger.events where position <= $1 order by position", SEALED
    )
    root = root_of(b"".join(row["leaf_hash"] for row in rows))
    anew = msgspec.structs.replace(checkpoint_in(scene.sealed.note), root=root).signed_by([scene.signer])
    await superuser.execute(
        "update work.notary_checkpoints set root = $1, note = $2 where size = $3", root, anew, SEALED
    )

    report = await verified(superuser, scene)

    assert (report.verdict, report.found[0].code) == (Verdict.FORK, "history-differs")
    assert report.found[0].facts["older"] == EARLIER


async def test_json_that_the_database_wrote_anew_is_not_what_was_sealed(
    superuser: DirectConnection, scene: Scene
):
    """Payloads are bytes. As jsonb they would mean the same, and nothing would verify any more."""
    as_jsonb = "convert_to((convert_from(payload, 'UTF8')::jsonb)::text, 'UTF8')"
    equal = await superuser.fetchval(f"select count(*) from ledger.events where payload = {as_jsonb}")  # noqa: S608
    await superuser.execute(f"update ledger.events set payload = {as_jsonb} where position = 1")  # noqa: S608

    assert equal == 0
    assert place(await verified(superuser, scene))[:2] == ("payload-differs", 1)


async def earlier(superuser: DirectConnection, size: int) -> Checkpoint:
    note = await superuser.fetchval("select note from work.notary_checkpoints where size = $1", size)
    return parse_checkpoint(note.encode())


async def _set_back(superuser: DirectConnection) -> None:
    """Leave what there was at the first checkpoint, tiles as wide as they were."""
    await superuser.execute("delete from ledger.events where position > $1", EARLIER)
    await superuser.execute("delete from work.notary_checkpoints where size > $1", EARLIER)
    await superuser.execute(
        "update work.notary_tiles set hashes = substring(hashes for $1) where level = 0 and tile = 1",
        (EARLIER - 256) * 32,
    )


async def _rewrite_all(superuser: DirectConnection, position: int) -> None:
    stream = await stream_at(superuser, position)
    await superuser.execute(
        "update ledger.events set recorded_at = recorded_at - interval '100 years' where position = $1",
        position,
    )
    rows = await superuser.fetch(
        "select position, envelope, leaf_hash from ledger.events where stream = $1 and position >= $2 order by 1",
        stream,
        position,
    )
    before, after = b"", b""
    for row in rows:
        envelope = row["envelope"].replace(before.hex().encode() or b"\0", after.hex().encode())
        envelope = back_dated(envelope) if row["position"] == position else envelope
        await superuser.execute(
            "update ledger.events set envelope = $2 where position = $1", row["position"], envelope
        )
        before, after = row["leaf_hash"], hashlib.sha256(b"\0" + envelope).digest()
    leaves = await superuser.fetch(
        "select leaf_hash from ledger.events where position <= $1 order by position", SEALED
    )
    for path, hashes in tile_files([row["leaf_hash"] for row in leaves]).items():
        _, level, index = path.split(".")[0].split("/")
        await superuser.execute(
            "update work.notary_tiles set hashes = $3 where level = $1 and tile = $2",
            int(level),
            int(index),
            hashes,
        )
