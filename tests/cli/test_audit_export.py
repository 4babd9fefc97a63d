"""Bundles from the database: exactly the files that the format has, each of them what was sealed."""

import asyncio
import gzip
import hashlib
import re
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
import pytest_asyncio

from ledger.cli.exporting import bundle, folder
from ledger.cli.exporting.bundle import write_bundle
from ledger.cli.exporting.folder import CannotWrite, FolderTaken, new_folder
from ledger.cli.exporting.from_database import FromDatabase
from ledger.cli.exporting.source import ExportCutShort, NothingSealed, Wanted
from ledger.domain.account.events import AccountRegistered
from ledger.domain.authority import Role
from ledger.domain.decision.events import DecisionEvent
from ledger.domain.export.decide import BadExportRange
from ledger.domain.export.events import LedgerExported, Tier
from ledger.domain.ids import DecisionId, PersonId
from ledger.identity import people
from ledger.identity.identity import SUBJECT_KEY_PURPOSE
from ledger.identity.keys import Keyring
from ledger.identity.people import Person, Record, commitment
from ledger.sealing.rows import FOR_GOOD, Sealed, last_checkpoint
from ledger.sealing.tree import leaf_hash, tile_path, tiles_of
from ledger.store.codec import decode
from ledger.store.ledger import Ledger, account_stream
from ledger.verifier.bundle import Asked, verify_bundle
from ledger.verifier.policy import parse_policy
from ledger.verifier.report import Report
from ledger.verifier.verdict import Verdict
from tests.builders.decision_events import submitted, voted
from tests.builders.people import ANA, BEN, NOW
from tests.support.databases import Cluster
from tests.support.recorded import happened
from tests.support.sealed_log import ORIGIN, SIGNER, seal, tiles_over

together = pytest.mark.asyncio(loop_scope="module")
SIZE = 300
KEYRING = Keyring(["a key for tests that is long enough"], SUBJECT_KEY_PURPOSE)
POLICY = parse_policy(f"log {SIGNER.vkey}\nquorum none\n".encode())


def asked(number: int) -> tuple[DecisionId, DecisionEvent]:
    decision = DecisionId(f"CASE-{number}")
    return decision, submitted(decision_id=decision)


async def fill(ledger: Ledger, first: int, cases: int) -> None:
    for number in range(first, first + cases):
        decision, event = asked(number)
        await happened(ledger, ledger.decision_stream(decision), event, voted(by=ANA, notes="a\u2028b\n“c”"))


def known(person: PersonId, name: str) -> Person:
    record = Record(username=name, email=f"{name}@example.org", full_name=name.title())
    return Person(person=person, record=record, salt=bytes(32), created_at=NOW)


async def register(ledger: Ledger, person: PersonId, name: str) -> None:
    row = known(person, name)
    registered = AccountRegistered(
        at=NOW, person=person, role=Role.ANALYST, commitment=commitment(row.salt, row.record), by=None
    )
    await happened(ledger, account_stream(person), registered)
    async with ledger.pool.acquire() as conn:
        await people.insert(conn, ledger.ledger_id, row)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def full(postgres: Cluster) -> AsyncIterator[Ledger]:
    """A ledger with 300 events and two people."""
    async with postgres.fresh() as database, await Ledger.open(database.service_url) as ledger:
        for person, name in ((ANA, "ana"), (BEN, "ben")):
            await register(ledger, person, name)
        await fill(ledger, 1, SIZE // 2 - 1)
        await seal(ledger)
        yield ledger


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def sealed(full: Ledger) -> Sealed:
    async with full.pool.acquire() as conn:
        found = await last_checkpoint(conn, full.ledger_id)
    assert found is not None
    return found


async def exported(
    ledger: Ledger,
    target: Path,
    *,
    tier: Tier = Tier.PAYLOAD,
    first: int = 1,
    last: int = SIZE,
) -> Path:
    wanted = Wanted(tier=tier, first=first, last=last)
    await write_bundle(FromDatabase(ledger, KEYRING), wanted, target, now=NOW)
    return target


def files(root: Path) -> dict[str, bytes]:
    return {
        path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()
    }


def unzipped_lines(content: bytes) -> list[dict]:
    return [msgspec.json.decode(line) for line in gzip.decompress(content).split(b"\n")[:-1]]


async def envelopes(ledger: Ledger) -> list[bytes]:
    async with ledger.pool.acquire() as conn:
        return [
            row["envelope"]
            for row in await conn.fetch("select envelope from ledger.events order by position")
        ]


def entries_in(content: bytes) -> list[bytes]:
    found, at = [], 0
    while at < len(content):
        end = at + 2 + int.from_bytes(content[at : at + 2])
        found.append(content[at + 2 : end])
        at = end
    return found


@together
async def test_a_bundle_has_exactly_the_files_of_its_format(full: Ledger, sealed: Sealed, tmp_path: Path):
    found = files(await exported(full, tmp_path / "bundle", tier=Tier.DISCLOSED))
    assert found.keys() == {
        "manifest.json",
        "checkpoint",
        "VERIFY.md",
        "SHA256SUMS",
        "tile/0/000",
        "tile/0/001.p/44",
        "tile/1/000.p/1",
        "tile/entries/000",
        "tile/entries/001.p/44",
        "payloads/000000000001.ndjson.gz",
        "disclosed/people.ndjson.gz",
        "disclosed/keys.ndjson.gz",
    }
    manifest = msgspec.json.decode(found["manifest.json"])
    assert isinstance(manifest.pop("ledger_version"), str)
    assert manifest == {
        "format": 1,
        "origin": ORIGIN,
        "size": SIZE,
        "from": 1,
        "to": SIZE,
        "tier": "disclosed",
        "exported_at": "2026-03-02T09:00:00.000000Z",
    }
    assert found["checkpoint"].decode() == sealed.note


@together
async def test_tiles_and_entries_are_those_of_the_log(full: Ledger, tmp_path: Path):
    found = files(await exported(full, tmp_path / "bundle", tier=Tier.ENVELOPE))
    entries = entries_in(found["tile/entries/000"]) + entries_in(found["tile/entries/001.p/44"])
    assert entries == (await envelopes(full))[:SIZE]
    tiles = tiles_over(b"".join(map(leaf_hash, entries)))
    assert {tile_path(tile): tiles[tile] for tile in tiles_of(SIZE)} == {
        path: content for path, content in found.items() if re.match(r"tile/\d", path)
    }


@together
async def test_payloads_open_the_hashes_of_their_entries(
    full: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(bundle, "LINES_A_FILE", 128)
    monkeypatch.setattr("ledger.store.openings.PAGE", 50)
    found = files(await exported(full, tmp_path / "bundle"))
    names = sorted(path for path in found if path.startswith("payloads/"))
    assert names == [f"payloads/{first:012}.ndjson.gz" for first in (1, 129, 257)]
    lines = [line for name in names for line in unzipped_lines(found[name])]
    assert [line["position"] for line in lines] == list(range(1, SIZE + 1))
    digests = [
        hashlib.sha256(bytes.fromhex(line["salt"]) + line["payload"].encode()).hexdigest() for line in lines
    ]
    assert digests == [msgspec.json.decode(one)["data"] for one in (await envelopes(full))[:SIZE]]


@together
async def test_a_part_has_whole_bundles_and_its_own_payloads(full: Ledger, tmp_path: Path):
    found = files(await exported(full, tmp_path / "bundle", first=257, last=258))
    assert {path for path in found if path.startswith("tile/entries")} == {"tile/entries/001.p/44"}
    assert {tile_path(tile) for tile in tiles_of(SIZE)} < found.keys()
    lines = unzipped_lines(found["payloads/000000000257.ndjson.gz"])
    assert [line["position"] for line in lines] == [257, 258]


@together
async def test_the_same_content_gives_the_same_bytes(full: Ledger, tmp_path: Path):
    one, other = [
        files(await exported(full, tmp_path / name, tier=Tier.DISCLOSED)) for name in ("one", "two")
    ]
    assert one == other
    heads = {content[:8] for path, content in one.items() if path.endswith(".gz")}
    assert heads == {b"\x1f\x8b\x08" + bytes(5)}  # no name, no time (RFC 1952, section 2.3)


@together
async def test_people_come_with_salts_and_the_erased_are_missing(full: Ledger, tmp_path: Path):
    before = files(await exported(full, tmp_path / "before", tier=Tier.DISCLOSED))
    assert [one["username"] for one in unzipped_lines(before["disclosed/people.ndjson.gz"])] == ["ana", "ben"]
    async with full.pool.acquire() as conn:
        await conn.execute("delete from work.people where person_id = $1", BEN)
    after = files(await exported(full, tmp_path / "after", tier=Tier.DISCLOSED))
    assert unzipped_lines(after["disclosed/people.ndjson.gz"]) == [
        {
            "person": str(ANA),
            "username": "ana",
            "email": "ana@example.org",
            "full_name": "Ana",
            "salt": "00" * 32,
        }
    ]
    report = verified(tmp_path / "after")
    assert report.missing == ["names of 1 people: nothing in the log says that they were erased"]
    async with full.pool.acquire() as conn:
        await people.insert(conn, full.ledger_id, known(BEN, "ben"))


def verified(root: Path) -> Report:
    return verify_bundle(root, Asked(policy=POLICY, now=int(NOW.timestamp())))


@together
@pytest.mark.parametrize("tier", list(Tier))
async def test_the_verifier_accepts_a_whole_bundle(full: Ledger, tmp_path: Path, tier: Tier):
    report = verified(await exported(full, tmp_path / "bundle", tier=tier))
    assert (report.verdict, report.found, report.missing) == (Verdict.VERIFIED, [], [])
    assert (report.first, report.last, report.streams) == (1, SIZE, SIZE // 2 + 1)
    assert report.payloads == (0 if tier is Tier.ENVELOPE else SIZE)


@together
async def test_the_verifier_finds_a_part_right_and_incomplete(full: Ledger, tmp_path: Path):
    report = verified(await exported(full, tmp_path / "bundle", first=257, last=290))
    assert (report.verdict, report.found) == (Verdict.INCOMPLETE, [])
    assert report.payloads == 34


@together
async def test_an_export_is_an_event_before_anything_leaves(full: Ledger, tmp_path: Path):
    before = await full.head()

    class Breaks(FromDatabase):
        async def tiles(self, tiles):
            for tile in tiles:
                raise ZeroDivisionError
                yield tile

    wanted = Wanted(tier=Tier.ENVELOPE, first=2, last=3)
    with pytest.raises(ZeroDivisionError):
        await write_bundle(Breaks(full, KEYRING), wanted, tmp_path / "bundle", now=NOW)
    assert await full.head() == before + 1
    async with full.pool.acquire() as conn:
        payload = await conn.fetchval("select payload from ledger.events order by position desc limit 1")
    event = decode((LedgerExported,), "ledger-exported", 1, payload)
    assert (event.by, event.tier, event.first, event.last, event.size) == (None, Tier.ENVELOPE, 2, 3, SIZE)


@together
async def test_the_checkpoint_of_an_export_is_kept_for_good(full: Ledger, sealed: Sealed, tmp_path: Path):
    await exported(full, tmp_path / "bundle")

    kept_of = await full.pool.fetchval(
        "select kept_of from work.notary_checkpoints where size = $1", sealed.size
    )
    assert kept_of == FOR_GOOD


@together
async def test_what_is_cut_off_leaves_nothing(full: Ledger, tmp_path: Path):
    class Short(FromDatabase):
        async def payloads(self, wish):
            async for piece in super().payloads(wish):
                yield piece.partition(b"\n")[0] + b"\n"
                return

    class Stopped(FromDatabase):
        async def payloads(self, wish):
            raise asyncio.CancelledError
            yield wish

    wanted = Wanted(tier=Tier.PAYLOAD, first=1, last=SIZE)
    with pytest.raises(ExportCutShort) as cut:
        await write_bundle(Short(full, KEYRING), wanted, tmp_path / "bundle", now=NOW)
    assert cut.value.context == {"expected": SIZE, "found": 1}
    with pytest.raises(asyncio.CancelledError):
        await write_bundle(Stopped(full, KEYRING), wanted, tmp_path / "bundle", now=NOW)
    assert files(tmp_path) == {}


@together
async def test_positions_that_are_not_sealed_are_not_exported(full: Ledger, tmp_path: Path):
    with pytest.raises(BadExportRange):
        await exported(full, tmp_path / "bundle", last=SIZE + 1)
    assert files(tmp_path) == {}


def test_a_folder_with_something_in_it_is_left_alone(tmp_path: Path):
    (tmp_path / "bundle").mkdir()
    (tmp_path / "bundle" / "mine").touch()
    with pytest.raises(FolderTaken), new_folder(tmp_path / "bundle"):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]


def test_what_an_export_that_was_killed_left_is_left_alone(tmp_path: Path):
    (tmp_path / "bundle.partial").mkdir()
    with pytest.raises(FolderTaken, match=r"bundle\.partial"), new_folder(tmp_path / "bundle"):
        pass


def test_an_empty_folder_is_filled(tmp_path: Path):
    (tmp_path / "bundle").mkdir()
    with new_folder(tmp_path / "bundle") as made:
        made.write("a/b", b"c")
    assert files(tmp_path / "bundle").keys() == {"a/b", "SHA256SUMS"}


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path):
    with pytest.raises(CannotWrite), new_folder(tmp_path / "missing" / "bundle"):
        pass


def test_a_folder_is_for_its_owner(tmp_path: Path):
    with new_folder(tmp_path / "bundle"):
        pass
    assert (tmp_path / "bundle").stat().st_mode & 0o777 == folder.PRIVATE == 0o700


@together
async def test_the_guide_by_hand_leads_to_verified(full: Ledger, tmp_path: Path):
    root = await exported(full, tmp_path / "bundle")
    guide = (root / "VERIFY.md").read_text(encoding="utf-8")
    sums, signature, payload = re.findall(r"(`sha256sum[^`]*`)|```\n((?: {3}.*\n)+?) {3}```", guide)
    key = SIGNER.vkey.split("+", 2)[2]

    def by_hand(script: str) -> str:
        done = subprocess.run(
            ["sh", "-ec", script.replace("KEY", key)], cwd=root, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert "FAILED" not in by_hand(sums[0].strip("`"))
    assert "Verified Successfully" in by_hand(signature[1])
    assert by_hand(payload[1]).strip() == (msgspec.json.decode((await envelopes(full))[0])["data"])


@together
async def test_what_is_written_and_sealed_meanwhile_changes_nothing(full: Ledger, tmp_path: Path):
    class Busy(FromDatabase):
        async def tiles(self, tiles):
            await fill(full, 10_000, 100)
            await seal(full)
            async for found in super().tiles(tiles):
                yield found

    size = await FromDatabase(full, KEYRING).sealed()
    wish = await write_bundle(Busy(full, KEYRING), Wanted(tier=Tier.DISCLOSED), tmp_path / "bundle", now=NOW)
    report = verified(tmp_path / "bundle")
    assert (wish.size, report.verdict, report.last) == (size, Verdict.VERIFIED, size)


async def test_where_nothing_is_sealed_nothing_is_exported(ledger: Ledger, tmp_path: Path):
    with pytest.raises(NothingSealed):
        await exported(ledger, tmp_path / "bundle")
    assert (files(tmp_path), await ledger.head()) == ({}, 0)
