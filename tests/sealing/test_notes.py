"""Notes and checkpoints are as C2SP signed-note and tlog-checkpoint say; examples are those of the specifications."""

import pytest

from ledger.sealing.notes import (
    COSIGNATURE,
    Checkpoint,
    MalformedCheckpoint,
    MalformedKey,
    MalformedNote,
    Note,
    Signer,
    Verifier,
    checkpoint_in,
)

POEM = (
    "Ognuno sta solo sul cuor della terra\n"
    "trafitto da un raggio di sole:\n"
    "\n"
    "ed è subito sera.\n"
    "\n"
    "— quasimodo.example/salvatore NnugSzTjtVAewIS+Z/iJhUPeFDkO/5QQ2i5ddnGITLlC+EhfLW9oJKONrMouFSQU0xMcXxj99ihAQwaqP3ZekRwNtIc=\n"
)
SOFA = (
    "example.com/behind-the-sofa\n"
    "20852163\n"
    "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"
    "\n"
    "— example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n"
)
ONE, OTHER = Signer("log.example/one", bytes(32)), Signer("log.example/one", bytes(31) + b"\x01")
TREE = Checkpoint(origin="log.example/one", size=5, root=bytes(range(32)))


def test_a_note_is_read_and_written_as_it_was() -> None:
    note = Note.parse(POEM)
    assert note.text.endswith("ed è subito sera.\n")
    assert [(one.name, one.key_id.hex(), len(one.value)) for one in note.signatures] == [
        ("quasimodo.example/salvatore", "367ba04b", 64)
    ]
    assert note.written() == POEM


def test_a_checkpoint_is_an_origin_a_size_and_a_root() -> None:
    found = checkpoint_in(SOFA)
    assert (found.origin, found.size) == ("example.com/behind-the-sofa", 20852163)
    assert found.text() == Note.parse(SOFA).text


@pytest.mark.parametrize(
    "broken",
    [
        "",
        "text\n",
        "text\n\n",
        "text\n\nno signature\n",
        "text\n\n— name\n",
        "text\n\n— name AAAA\n",
        "text\n\n— name AAAAAAAAAAA\n",
        "text\n\n— na+me AAAAAAAAAAA=\n",
        POEM.removesuffix("\n"),
        POEM.replace("solo", "so\tlo"),
        POEM + "\n",
    ],
)
def test_what_is_no_signed_note_is_refused(broken: str) -> None:
    with pytest.raises(MalformedNote):
        Note.parse(broken)


@pytest.mark.parametrize(
    "broken",
    [
        "origin\n5\n",
        TREE.text() + "extension\n",
        TREE.text().removesuffix("\n"),
        TREE.text().replace("\n5\n", "\n05\n"),
        TREE.text().replace("\n5\n", "\n-5\n"),
        TREE.text().replace("\n5\n", "\n5x\n"),
        TREE.text().replace("=", ""),
        "\n5\nAAAA\n",
    ],
)
def test_what_is_no_checkpoint_is_refused(broken: str) -> None:
    with pytest.raises(MalformedCheckpoint):
        Checkpoint.parse(broken)


def test_whoever_knows_the_key_sees_who_signed() -> None:
    note = Note.parse(TREE.signed_by([ONE]))
    assert Verifier.parse(ONE.vkey).signed(note)
    assert not Verifier.parse(OTHER.vkey).signed(note)
    assert not Verifier.parse(Signer("log.example/two", bytes(32)).vkey).signed(note)


def test_a_changed_text_is_signed_by_nobody() -> None:
    forged = Note.parse(TREE.signed_by([ONE]).replace("\n5\n", "\n6\n"))
    assert not Verifier.parse(ONE.vkey).signed(forged)


def test_two_keys_of_one_name_sign_one_note() -> None:
    note = Note.parse(TREE.signed_by([ONE, OTHER]))
    assert Verifier.parse(ONE.vkey).signed(note)
    assert Verifier.parse(OTHER.vkey).signed(note)


def test_one_false_signature_of_a_known_key_spoils_the_note() -> None:
    note = TREE.signed_by([ONE])
    false = (
        Checkpoint(origin="log.example/one", size=6, root=bytes(32)).signed_by([ONE]).rpartition("\n\n")[2]
    )
    assert not Verifier.parse(ONE.vkey).signed(Note.parse(note + false))


def test_a_public_key_is_read_as_it_was_written() -> None:
    found = Verifier.parse(ONE.vkey)
    assert found == ONE.verifier
    assert found.vkey == ONE.vkey == "log.example/one+752d45a7+ATtqJ7zOtqQtYqOo0CpvDXNlMhV3HeJDpjrASKGLWdop"


def test_a_key_has_another_id_for_every_type() -> None:
    witness = Signer("log.example/one", bytes(32), COSIGNATURE)
    assert witness.verifier.key_id != ONE.verifier.key_id
    assert Verifier.parse(witness.vkey) == witness.verifier


@pytest.mark.parametrize(
    "broken",
    [
        "",
        "log.example/one",
        ONE.vkey.replace("one+", "two+"),
        ONE.vkey.replace("+AT", "+Aj"),
        ONE.vkey + "=",
        ONE.vkey.replace("log.", "log "),
    ],
)
def test_what_is_no_public_key_is_refused(broken: str) -> None:
    with pytest.raises(MalformedKey):
        Verifier.parse(broken)


@pytest.mark.parametrize(("name", "seed"), [("a name", bytes(32)), ("a+b", bytes(32)), ("a", bytes(31))])
def test_what_cannot_sign_is_refused(name: str, seed: bytes) -> None:
    with pytest.raises(MalformedKey):
        Signer(name, seed)
