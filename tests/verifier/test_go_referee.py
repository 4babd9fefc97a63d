"""The code of Go's checksum database accepts honest bundles, and refuses every change of what it reads."""

import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ledger.cli.exporting.bundle import write_bundle
from ledger.cli.exporting.from_database import FromDatabase
from ledger.cli.exporting.source import Wanted
from ledger.domain.export.events import Tier
from ledger.identity.identity import SUBJECT_KEY_PURPOSE
from ledger.identity.keys import Keyring
from ledger.store.ledger import Ledger
from ledger.verifier.bundle import Asked, verify_bundle
from ledger.verifier.policy import parse_policy
from ledger.verifier.verdict import Verdict
from tests.support.bundles import THE_LOG, WITNESSES, Bundle, changed, checkpoint, hashes_of, on, seal
from tests.support.noting import Signatory
from tests.support.referee import Referee, built
from tests.support.sealing import append_some, keyring_in, sealed_in

HISTORY = seal(on(*"abcabbcadeab"))
LONG = seal(on(*("abcabbcadeab" * 55)))
TILE, ENTRIES = "tile/0/000.p/12", "tile/entries/000.p/12"


@pytest.fixture(scope="module")
def go(tmp_path_factory: pytest.TempPathFactory) -> Referee:
    return built(tmp_path_factory.mktemp("referee"))


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return Bundle(sealed=list(HISTORY)).write(tmp_path / "bundle")


@pytest.mark.parametrize("size", [1, 2, 255, 256, 257, 512, 660])
def test_it_accepts_an_honest_bundle_and_its_earlier_checkpoints(size: int, go: Referee, tmp_path: Path):
    folder = Bundle(sealed=LONG[:size], witnesses=WITNESSES).write(tmp_path / "bundle")
    (tmp_path / "earlier").write_bytes(checkpoint(hashes_of(LONG[: size // 2 + 1])))

    assert go.accepts(folder, THE_LOG.vkey, tmp_path / "earlier")


def test_it_refuses_an_earlier_checkpoint_of_another_history(go: Referee, bundle: Path, tmp_path: Path):
    (tmp_path / "earlier").write_bytes(checkpoint(list(reversed(hashes_of(HISTORY)))[:5]))

    assert not go.accepts(bundle, THE_LOG.vkey, tmp_path / "earlier")


def test_it_refuses_the_key_of_another_log(go: Referee, bundle: Path):
    assert not go.accepts(bundle, Signatory(name="ledger.example/other").vkey)


def test_it_refuses_every_flipped_byte_of_the_checkpoint(go: Referee, bundle: Path):
    assert accepted_flips(go, bundle, "checkpoint", step=1) == []


@pytest.mark.parametrize(("name", "step"), [(TILE, 5), (ENTRIES, 61)])
def test_it_refuses_flipped_bytes_of_tiles_and_entries(name: str, step: int, go: Referee, bundle: Path):
    assert accepted_flips(go, bundle, name, step=step) == []


@pytest.mark.parametrize("name", [TILE, ENTRIES])
def test_it_refuses_what_is_cut_short_or_too_long(name: str, go: Referee, bundle: Path):
    for change in (lambda raw: raw[:-1], lambda raw: raw + b"\0"):
        honest = (bundle / name).read_bytes()
        changed(bundle / name, change)
        assert not go.accepts(bundle, THE_LOG.vkey)
        (bundle / name).write_bytes(honest)


async def test_it_accepts_what_the_service_exports_and_so_does_sha256sum(
    go: Referee, ledger: Ledger, tmp_path: Path
):
    await append_some(ledger, 300)
    await sealed_in(ledger, tmp_path)
    (signer,) = keyring_in(ledger, tmp_path).signers()
    source = FromDatabase(ledger, Keyring(["a key for tests that is long enough"], SUBJECT_KEY_PURPOSE))
    wanted = Wanted(tier=Tier.DISCLOSED, first=1, last=300)
    await write_bundle(source, wanted, tmp_path / "bundle", now=datetime.now(UTC))

    assert go.accepts(tmp_path / "bundle", signer.vkey)
    assert sums_hold(tmp_path / "bundle")
    policy = parse_policy(f"log {signer.vkey}\nquorum none\n".encode())
    assert verify_bundle(tmp_path / "bundle", Asked(policy=policy, now=0)).verdict is Verdict.VERIFIED


def sums_hold(folder: Path) -> bool:
    command = ["sha256sum", "--check", "--strict", "--quiet", "SHA256SUMS"]
    return subprocess.run(command, cwd=folder, check=False).returncode == 0


def accepted_flips(go: Referee, bundle: Path, name: str, *, step: int) -> list[int]:
    honest, accepted = (bundle / name).read_bytes(), list[int]()
    for at in range(0, len(honest), step):
        (bundle / name).write_bytes(honest[:at] + bytes([honest[at] ^ 1 << at % 8]) + honest[at + 1 :])
        if go.accepts(bundle, THE_LOG.vkey):
            accepted.append(at)
    (bundle / name).write_bytes(honest)
    assert go.accepts(bundle, THE_LOG.vkey)
    return accepted
