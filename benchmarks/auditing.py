"""A process that seals a log, takes it out as a bundle and verifies that: reads its job, prints what it took."""

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

import msgspec
import structlog
import uvloop

from benchmarks.sealing import keyring_of, sealer_of
from benchmarks.subject import LostOrDoubled
from ledger.sealing.notes import Signer
from ledger.store.ledger import Ledger
from ledger.verifier.bundle import Asked, verify_bundle
from ledger.verifier.checkpoint import parse_checkpoint
from ledger.verifier.entries import split_entries
from ledger.verifier.leaves import check_leaf
from ledger.verifier.manifest import CHECKPOINT, Tier
from ledger.verifier.merkle import HASH_BYTES
from ledger.verifier.policy import parse_policy
from ledger.verifier.tiles import Tile, entries_path, tiles_of
from ledger.verifier.tree import Upper, check_root
from ledger.verifier.verdict import Verdict

KIBIBYTE: Final = 1024


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """Which log, by both of its logins, and a folder for the key, the guard and the bundle."""

    service_url: str
    owner_url: str
    folder: str


class Done(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds for each, and the memory of the process that exported, at its peak."""

    events: int
    exporting: float
    peak_bytes: int
    hashing: float
    verifying: float


def work(job: Job) -> Done:
    """Seal, export, hash, verify: one after the other."""
    folder = Path(job.folder)
    size, signer = uvloop.run(_sealed(job, folder))
    bundle = folder / "bundle"
    began = time.perf_counter()
    peak = _exported(job, bundle)
    exported = time.perf_counter()
    _hashed(bundle, size)
    hashed = time.perf_counter()
    policy = parse_policy(f"log {signer.vkey}\nquorum none\n".encode())
    report = verify_bundle(bundle, Asked(policy=policy, now=int(time.time()), tier=Tier.PAYLOAD))
    if report.verdict is not Verdict.VERIFIED or report.payloads != size:
        raise LostOrDoubled(f"the bundle was not verified: {report.found} {report.missing}")
    return Done(
        events=size,
        exporting=exported - began,
        peak_bytes=peak,
        hashing=hashed - exported,
        verifying=time.perf_counter() - hashed,
    )


async def _sealed(job: Job, folder: Path) -> tuple[int, Signer]:
    async with await Ledger.open(job.service_url, max_size=4) as ledger:
        sealer = sealer_of(ledger, folder)
        while not await sealer.round():
            pass
        await sealer.release()
        return await ledger.head(), keyring_of(folder).signers()[0]


def _exported(job: Job, bundle: Path) -> int:
    """Export as an operator does; the most memory it took."""
    others = {name: value for name, value in os.environ.items() if not name.startswith("LEDGER_")}
    settings = {
        "LEDGER_DATABASE_URL": job.service_url,
        "LEDGER_OWNER_DATABASE_URL": job.owner_url,
        "LEDGER_DATA_DIR": str(bundle.parent / "service"),
    }
    command = (sys.executable, "-m", "ledger", "audit", "export", "--tier", "payload", "-o", str(bundle))
    with subprocess.Popen(command, env={**others, **settings}, stdout=subprocess.DEVNULL) as process:
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise LostOrDoubled(f"the export ended with {process.returncode}")
    return used.ru_maxrss * KIBIBYTE


def _hashed(bundle: Path, size: int) -> None:
    """Hash every entry, and the tree over them, and compare with what was signed: no more than that."""
    upper = Upper(size, lambda tile: bundle.joinpath(tile.path()).read_bytes())
    leaves: dict[Tile, bytes] = {}
    for tile in tiles_of(size):
        if tile.level:
            break
        hashes = bundle.joinpath(tile.path()).read_bytes()
        raw = bundle.joinpath(entries_path(tile.index, tile.width)).read_bytes()
        first = tile.index * 256 + 1
        for slot, entry in enumerate(split_entries(raw, first=first, width=tile.width)):
            check_leaf(first + slot, entry, hashes[slot * HASH_BYTES : (slot + 1) * HASH_BYTES])
        upper.check(tile, hashes)
        leaves = {tile: hashes}
    checkpoint = parse_checkpoint(bundle.joinpath(CHECKPOINT).read_bytes())
    check_root(checkpoint, upper.root(size, lambda tile: leaves.get(tile, b"")))


if __name__ == "__main__":
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))  # the answer stands alone
    done = work(msgspec.json.decode(sys.stdin.readline(), type=Job))
    print(msgspec.json.encode(done).decode(), flush=True)
