"""Where the notary's keys are, and what keeps them from being used."""

from pathlib import Path

import pytest

from ledger.sealing.keyring import (
    KEY_FILE,
    Keyring,
    MalformedSeed,
    NotaryKeyGiven,
    NotaryKeyUnusable,
    new_seed,
    seed_in,
)

ORIGIN = "log.example/decisions"


def test_a_key_is_made_once_whoever_asks(tmp_path: Path) -> None:
    one, other = Keyring(ORIGIN, tmp_path / "new"), Keyring(ORIGIN, tmp_path / "new")
    assert one.signers() == ()
    one.make()
    other.make()
    (signer,) = one.signers()
    assert [found.vkey for found in other.signers()] == [signer.vkey]
    assert signer.name == ORIGIN
    assert [path.name for path in (tmp_path / "new").iterdir()] == [KEY_FILE]
    assert (tmp_path / "new").stat().st_mode & 0o066 == 0


def test_a_new_key_stands_before_those_there_are_or_alone(tmp_path: Path) -> None:
    keyring = Keyring(ORIGIN, tmp_path)
    keyring.make()
    (first,) = keyring.signers()
    second, also_first = keyring.rotate()
    assert also_first.vkey == first.vkey
    (third,) = keyring.rotate(keeps=False)
    assert len({first.vkey, second.vkey, third.vkey}) == 3
    assert (tmp_path / KEY_FILE).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty"),
        (b"no key\n", "something else"),
        (b"\xff\xfe\n", "something else"),
        (b"AAAA\n", "something"),
    ],
)
def test_a_file_that_holds_no_key_is_named(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / KEY_FILE
    path.write_bytes(content)
    with pytest.raises(NotaryKeyUnusable) as unusable:
        Keyring(ORIGIN, tmp_path).signers()
    assert unusable.value.context["path"] == str(path)
    assert reason in str(unusable.value.context["reason"])


def test_a_folder_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    keyring = Keyring(ORIGIN, tmp_path / "file")
    for act in (keyring.signers, keyring.make, keyring.rotate):
        with pytest.raises(NotaryKeyUnusable):
            act()


def test_keys_that_were_given_are_read_and_never_changed(tmp_path: Path) -> None:
    seeds = [new_seed(), new_seed()]
    keyring = Keyring(ORIGIN, tmp_path, given=seeds)
    signers = keyring.signers()
    assert len(signers) == 2
    keyring.forget_before(signers[0])
    assert [signer.vkey for signer in keyring.signers()] == [signer.vkey for signer in signers]
    with pytest.raises(NotaryKeyGiven):
        keyring.rotate()
    assert list(tmp_path.iterdir()) == []


def test_a_given_key_that_is_none_names_its_variable(tmp_path: Path) -> None:
    with pytest.raises(NotaryKeyUnusable) as unusable:
        Keyring(ORIGIN, tmp_path, given=["short"]).signers()
    assert unusable.value.context == {"path": "LEDGER_NOTARY_KEY", "reason": "it holds something else"}


def test_a_key_is_32_bytes_in_base64() -> None:
    assert len(seed_in(new_seed())) == 32
    for wrong in ("", "AAAA", new_seed()[1:], "ä" * 44):
        with pytest.raises(MalformedSeed):
            seed_in(wrong)
