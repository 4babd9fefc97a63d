"""The code of Go's checksum database accepts honest bundles, and refuses every change of what it reads."""

from pathlib import Path

import pytest

from tests.support.bundles import THE_LOG, WITNESSES, Bundle, changed, checkpoint, hashes_of, on, seal
from tests.support.noting import Signatory
from tests.support.referee import Referee, built

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


def accepted_flips(go: Referee, bundle: Path, name: str, *, step: int) -> list[int]:
    honest, accepted = (bundle / name).read_bytes(), list[int]()
    for at in range(0, len(honest), step):
        (bundle / name).write_bytes(honest[:at] + bytes([honest[at] ^ 1 << at % 8]) + honest[at + 1 :])
        if go.accepts(bundle, THE_LOG.vkey):
            accepted.append(at)
    (bundle / name).write_bytes(honest)
    assert go.accepts(bundle, THE_LOG.vkey)
    return accepted
