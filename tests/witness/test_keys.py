"""The key of a witness and its file."""

from pathlib import Path

import pytest

from ledger.verifier.notes import parse_key
from ledger.witness.cosigner import Cosigner, KeyUnusable, is_name, keep_key, kept_key


def test_a_key_is_read_as_it_was_written(tmp_path: Path):
    made = Cosigner.made("witness.example/w1")
    keep_key(tmp_path / "key", made)
    read = kept_key(tmp_path / "key", None)
    assert read is not None
    assert (read.name, read.vkey) == (made.name, made.vkey)


def test_the_public_key_is_one_of_a_witness():
    key = parse_key(Cosigner.made("witness.example/w1").vkey)
    assert (key.name, key.kind) == ("witness.example/w1", 4)


def test_nobody_else_reads_the_file(tmp_path: Path):
    keep_key(tmp_path / "folder" / "key", Cosigner.made("w"))
    assert (tmp_path / "folder" / "key").stat().st_mode & 0o777 == 0o600


def test_a_key_is_never_written_over(tmp_path: Path):
    keep_key(tmp_path / "key", Cosigner.made("w"))
    with pytest.raises(KeyUnusable):
        keep_key(tmp_path / "key", Cosigner.made("w"))


def test_a_missing_file_is_no_key(tmp_path: Path):
    assert kept_key(tmp_path / "key", None) is None


def test_a_key_keeps_its_name(tmp_path: Path):
    keep_key(tmp_path / "key", Cosigner.made("w"))
    assert kept_key(tmp_path / "key", "w") is not None
    with pytest.raises(KeyUnusable, match="its name is w"):
        kept_key(tmp_path / "key", "another")


@pytest.mark.parametrize(
    "mangle",
    [
        lambda _: "",
        lambda text: text.replace("PRIVATE", "PUBLIC"),
        lambda text: text.replace("+w+", "+v+"),
        lambda text: text[:-6] + "\n",
        lambda text: text + "\n",
    ],
)
def test_a_damaged_file_is_refused(tmp_path: Path, mangle):
    path = tmp_path / "key"
    path.write_text(mangle(Cosigner.made("w").written()))
    with pytest.raises(KeyUnusable):
        kept_key(path, None)


def test_a_file_that_holds_no_text_is_refused(tmp_path: Path):
    (tmp_path / "key").write_bytes(b"\xff\xfe")
    with pytest.raises(KeyUnusable):
        kept_key(tmp_path / "key", None)


@pytest.mark.parametrize("name", ["", "two words", "with+plus", "new\nline", "no-break space"])
def test_a_name_has_neither_spaces_nor_plus(name: str):
    assert not is_name(name)
