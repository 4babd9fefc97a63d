"""The static surface: whoever trusts nobody fetches the log with its checkpoint and computes everything anew."""

import asyncio
import gzip
from base64 import b64decode
from collections.abc import Iterator
from hashlib import sha256
from itertools import pairwise
from pathlib import Path
from typing import Final

import metamorphic_log as referee
import pytest
import pytest_asyncio
from httpx import Response

from ledger.domain.reading.decide import READING
from ledger.domain.reading.events import Extent, Query
from ledger.sealing.notary import default_origin
from ledger.sealing.rows import Sealed
from ledger.sealing.tree import (
    Tile,
    consistency_proof,
    consistency_tiles,
    entries_path,
    leaf_hash,
    root,
    tile_path,
    tiles_of,
)
from ledger.store.history import read_page
from ledger.store.streams import recorded
from tests.api.answers import assert_refused, raw, together, wrong_fields
from tests.support.databases import Database
from tests.support.desk import Desk
from tests.support.http import Api, cheap_passwords, serving
from tests.support.sealing import sealed_in
from tests.support.tlog_proof import Proof, vkeys_in

MANY: Final = 300
BYTES: Final = "application/octet-stream"
TEXT: Final = "text/plain; charset=utf-8"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the notary of this module keeps its key and its guard."""
    return tmp_path_factory.mktemp("notary")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def sealed(desk: Desk, folder: Path) -> Sealed:
    """A log of a few hundred events under a checkpoint, one event that is under none, and an auditor."""
    await desk.seat("olga", "auditor")
    await asyncio.gather(*(desk.ask(f"sealed-{number}") for number in range(MANY)))
    found = await sealed_in(desk.api.ledger, folder)
    await desk.ask("not-sealed")
    return found


async def fetch(desk: Desk, path: str, who: str | None = None, **headers: str) -> Response:
    sent = {**(desk.people[who].headers if who else {}), **headers}
    return await desk.api.client.get(f"/tlog/{path}", headers=sent)


def entries_in(bundle: bytes) -> Iterator[bytes]:
    while bundle:
        length = int.from_bytes(bundle[:2], "big")
        yield bundle[2 : 2 + length]
        bundle = bundle[2 + length :]


@together
async def test_a_stranger_fetches_the_checkpoint_and_every_tile_and_computes_the_root(
    desk: Desk, sealed: Sealed, folder: Path
) -> None:
    answer = await fetch(desk, "checkpoint")
    assert answer.headers["content-type"] == TEXT
    head = referee.checkpoint_verify(answer.text, vkeys_in(desk.api.ledger, folder))
    assert (head.origin, head.size) == (default_origin(desk.api.ledger), sealed.size)

    tiles = {tile: await fetch(desk, tile_path(tile)) for tile in tiles_of(head.size)}

    assert len(tiles) == 3
    assert {answer.headers["content-type"] for answer in tiles.values()} == {BYTES}
    assert root(head.size, {tile: answer.content for tile, answer in tiles.items()}) == head.root


@together
async def test_every_entry_that_an_auditor_fetches_hashes_to_its_leaf(desk: Desk, sealed: Sealed) -> None:
    for tile in tiles_of(sealed.size):
        if tile.level == 0:
            hashes = (await fetch(desk, tile_path(tile))).content
            answer = await fetch(desk, entries_path(tile.index, tile.width), "olga")

            assert answer.headers["content-type"] == BYTES
            found = list(entries_in(answer.content))
            assert len(found) == tile.width
            assert b"".join(leaf_hash(entry) for entry in found) == hashes


@together
async def test_that_somebody_reads_entries_is_recorded_before_they_are_given(
    desk: Desk, sealed: Sealed
) -> None:
    await desk.seat("otto", "auditor")
    head = await desk.api.ledger.head()

    await fetch(desk, "tile/0/000", "otto")
    assert await desk.api.ledger.head() == head
    await fetch(desk, "tile/entries/000", "otto")
    await fetch(desk, "tile/entries/000.p/9", "otto")

    page = await read_page(desk.api.ledger, after=head, types=["history-read"])
    (read,) = [recorded(stored, READING.event_types).event for stored in page.events]
    assert read.person == desk.people["otto"].person
    assert read.query == Query(call="tlog-entries")
    assert read.extent == Extent(reads=1, events=256, first=1, last=256)


@together
async def test_a_narrower_tile_is_the_beginning_of_a_wider_one(desk: Desk, sealed: Sealed) -> None:
    whole = await fetch(desk, "tile/0/000")
    part = await fetch(desk, "tile/0/000.p/7")
    entries = await fetch(desk, "tile/entries/000.p/7", "olga")

    assert part.content == whole.content[: 7 * 32]
    assert len(list(entries_in(entries.content))) == 7


@together
async def test_what_is_not_under_the_checkpoint_is_not_there(desk: Desk, sealed: Sealed) -> None:
    width = sealed.size % 256
    assert await desk.api.ledger.head() > sealed.size

    for path in (
        f"tile/0/001.p/{width + 1}",
        "tile/0/001",
        "tile/0/002.p/1",
        "tile/1/000.p/2",
        "tile/2/000.p/1",
        "tile/63/000",
        "tile/0/" + "x999/" * 6 + "999",
        f"tile/entries/001.p/{width + 1}",
        "tile/entries/001",
    ):
        answer = await fetch(desk, path, "olga")
        assert_refused(answer, 404, "tile not found")
        assert answer.json()["code"] == "no-such-tile"
        assert answer.headers["cache-control"] == "no-store"


@together
@pytest.mark.parametrize(
    "path",
    [
        "tile/0/0",
        "tile/00/000",
        "tile/0/000/",
        "tile/0/x000/000",
        "tile/0/000.p/0",
        "tile/0/000.p/01",
        "tile/0/000.p/256",
        "tile/0/000.p",
        "tile/-1/000",
        "tile/64/000",
        "tile/0/%2e%2e/0/000",
        "tile/0/%30%30%30",
        "tile/data/000",
        "tile/0//000",
        "tile/entries/0",
        "tile/entries/%2e%2e/0/000",
        "tile/entries/000.p/300",
        "tile/0/000%00",
        "tile/0/000%ff",
        "tile/0",
        "tile/",
        "tile",
        "",
    ],
)
async def test_a_path_that_is_not_written_as_it_should_be_leads_nowhere(
    desk: Desk, sealed: Sealed, path: str
) -> None:
    answer = await raw(desk.api, "GET", f"/tlog/{path}".encode(), headers=desk.people["olga"].headers)

    assert answer.status_code == (422 if path.endswith(("%00", "%ff")) else 404)


@together
async def test_what_never_changes_is_kept_for_ever_and_not_sent_twice(desk: Desk, sealed: Sealed) -> None:
    answer = await fetch(desk, "tile/0/000")

    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    tag = answer.headers["etag"]
    for condition in (tag, f'"other", W/{tag}', "*"):
        again = await fetch(desk, "tile/0/000", **{"if-none-match": condition})
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["etag"] == tag
        assert again.headers["cache-control"] == answer.headers["cache-control"]
    assert (await fetch(desk, "tile/0/000.p/3", **{"if-none-match": tag})).status_code == 200


@together
async def test_the_checkpoint_is_kept_for_a_moment_only(desk: Desk, sealed: Sealed) -> None:
    answer = await fetch(desk, "checkpoint")

    assert answer.headers["cache-control"] == "public, max-age=1"
    again = await fetch(desk, "checkpoint", **{"if-none-match": answer.headers["etag"]})
    assert again.status_code == 304


@together
async def test_entries_that_need_a_token_lie_in_no_cache_of_others(desk: Desk, sealed: Sealed) -> None:
    answer = await fetch(desk, "tile/entries/000", "olga")

    assert answer.headers["cache-control"] == "private, max-age=31536000, immutable"
    assert "Authorization" in answer.headers["vary"]


@together
async def test_entries_are_compressed_for_whoever_takes_that(desk: Desk, sealed: Sealed) -> None:
    plain = await fetch(desk, "tile/entries/000", "olga", **{"accept-encoding": "identity, gzip;q=0"})
    url, headers = "/tlog/tile/entries/000", {**desk.people["olga"].headers, "accept-encoding": "gzip"}
    async with desk.api.client.stream("GET", url, headers=headers) as answer:
        packed = answer

    assert "content-encoding" not in plain.headers
    assert packed.headers["content-encoding"] == "gzip"
    assert int(packed.headers["content-length"]) < len(plain.content) / 2
    assert packed.content == plain.content
    assert packed.headers["etag"] != plain.headers["etag"]
    assert len(gzip.compress(plain.content, mtime=0)) == int(packed.headers["content-length"])


@together
@pytest.mark.parametrize("path", ["checkpoint", "tile/0/000", "tile/entries/000"])
async def test_head_tells_what_get_would_and_nothing_more(desk: Desk, sealed: Sealed, path: str) -> None:
    headers = desk.people["olga"].headers
    got = await fetch(desk, path, "olga")

    asked = await desk.api.client.head(f"/tlog/{path}", headers=headers)

    assert (asked.status_code, asked.content) == (200, b"")
    for name in ("etag", "cache-control", "content-type", "content-length"):
        assert asked.headers[name] == got.headers[name]


@together
@pytest.mark.parametrize("path", ["tile/entries/000", "proof/0"])
async def test_entries_and_proofs_are_for_auditors(desk: Desk, sealed: Sealed, path: str) -> None:
    assert_refused(await fetch(desk, path), 401)
    assert_refused(await fetch(desk, path, "ana"), 403)
    assert_refused(await fetch(desk, path, "engine"), 403)
    assert (await fetch(desk, path, "olga")).status_code == 200
    assert (await fetch(desk, path, "admin")).status_code == 200


@together
@pytest.mark.parametrize("index", [0, 1, 255, 256, 299])
async def test_a_proof_of_any_event_is_one_that_a_referee_accepts(
    desk: Desk, sealed: Sealed, folder: Path, index: int
) -> None:
    answer = await fetch(desk, f"proof/{index}", "olga")

    assert answer.headers["content-type"] == TEXT
    proof = Proof.parse(answer.text)
    assert proof.index == index
    tile = (
        await fetch(desk, tile_path(Tile(0, index // 256, 256 if index < 256 else sealed.size % 256)))
    ).content
    leaf = tile[index % 256 * 32 :][:32]
    referee.checkpoint_verify_inclusion(
        proof.note, vkeys_in(desk.api.ledger, folder), index, leaf, list(proof.path)
    )
    with pytest.raises(referee.VerifyError):
        referee.checkpoint_verify_inclusion(
            proof.note, vkeys_in(desk.api.ledger, folder), index, sha256(leaf).digest(), list(proof.path)
        )


@together
async def test_there_is_no_proof_of_what_is_not_sealed(desk: Desk, sealed: Sealed) -> None:
    for index in (sealed.size, 10**17):
        answer = await fetch(desk, f"proof/{index}", "olga")
        assert_refused(answer, 404, "not sealed yet")
        assert answer.json()["code"] == "not-sealed"
        assert answer.headers["retry-after"] == "1"
    for index in ("00", "+1", "-1", "1.0", "x", "9" * 30):
        assert (await fetch(desk, f"proof/{index}", "olga")).status_code == 404


@together
async def test_checkpoints_are_listed_page_by_page(desk: Desk, sealed: Sealed, folder: Path) -> None:
    await sealed_in(desk.api.ledger, folder)
    whole = (await fetch(desk, "checkpoints")).json()

    assert whole["next"] is None
    assert [told["size"] for told in whole["checkpoints"]] == sorted(
        told["size"] for told in whole["checkpoints"]
    )
    first = whole["checkpoints"][0]
    head = referee.checkpoint_verify(first["note"], vkeys_in(desk.api.ledger, folder))
    assert (head.size, head.root) == (first["size"], b64decode(first["root"]))

    page = (await fetch(desk, f"checkpoints?from={first['size']}&limit=1")).json()
    assert page["checkpoints"] == [first]
    assert page["next"] == whole["checkpoints"][1]["size"]
    rest = (await fetch(desk, f"checkpoints?from={page['next']}")).json()
    assert rest["checkpoints"] == whole["checkpoints"][1:]
    assert wrong_fields(await fetch(desk, "checkpoints?limit=0")) == {"limit"}
    assert wrong_fields(await fetch(desk, "checkpoints?from=-1")) == {"from"}


@together
async def test_the_tiles_of_an_older_checkpoint_stay_when_the_log_grows(
    desk: Desk, sealed: Sealed, folder: Path
) -> None:
    for number in range(3):
        await desk.ask(f"later-{number}")
    await sealed_in(desk.api.ledger, folder)

    tiles = {tile: (await fetch(desk, tile_path(tile))).content for tile in tiles_of(sealed.size)}

    assert root(sealed.size, tiles) == sealed.root


@together
async def test_each_checkpoint_continues_the_one_before_by_the_tiles_alone(
    desk: Desk, sealed: Sealed, folder: Path
) -> None:
    await desk.ask("one-more")
    await sealed_in(desk.api.ledger, folder)
    listed = (await fetch(desk, "checkpoints")).json()["checkpoints"]
    vkeys = vkeys_in(desk.api.ledger, folder)
    assert len(listed) > 1

    for older, newer in pairwise(listed):
        wanted = consistency_tiles(older["size"], newer["size"])
        tiles = {tile: (await fetch(desk, tile_path(tile))).content for tile in wanted}
        proof = list(consistency_proof(older["size"], newer["size"], tiles))

        referee.checkpoint_verify_consistency(older["note"], newer["note"], vkeys, proof)
        with pytest.raises(referee.VerifyError):
            referee.checkpoint_verify_consistency(older["note"], newer["note"], vkeys, proof[:-1])


@together
async def test_a_referee_refuses_a_checkpoint_with_any_character_changed(
    desk: Desk, sealed: Sealed, folder: Path
) -> None:
    note = (await fetch(desk, "checkpoint")).text
    vkeys = vkeys_in(desk.api.ledger, folder)
    referee.checkpoint_verify(note, vkeys)

    for at, character in enumerate(note.removesuffix("\n")):
        changed = note[:at] + ("x" if character != "x" else "y") + note[at + 1 :]
        with pytest.raises(referee.VerifyError):
            referee.checkpoint_verify(changed, vkeys)


async def test_before_anything_is_sealed_there_is_nothing_and_it_says_so(api: Api) -> None:
    headers = await api.login()

    for path in ("checkpoint", "tile/0/000.p/1", "tile/entries/000.p/1"):
        answer = await api.client.get(f"/tlog/{path}", headers=headers)
        assert_refused(answer, 404, "nothing has been sealed")
        assert answer.json()["code"] == "nothing-sealed"
    assert (await api.client.get("/tlog/proof/0", headers=headers)).json()["code"] == "not-sealed"
    assert (await api.client.get("/tlog/checkpoints")).json() == {"checkpoints": [], "next": None}


async def test_a_public_log_shows_entries_and_proofs_to_everybody(database: Database, tmp_path: Path) -> None:
    async with serving(database, passwords=cheap_passwords(), settings={"tlog_public": True}) as api:
        size = (await sealed_in(api.ledger, tmp_path)).size

        for path in (f"tile/entries/000.p/{size}", "proof/0"):
            assert (await api.client.get(f"/tlog/{path}")).status_code == 200
        answer = await api.client.get(f"/tlog/tile/entries/000.p/{size}")
        assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
