"""A policy file says whom an auditor believes, as C2SP tlog-policy lays down, and nothing is guessed."""

import pytest

from ledger.verifier.checkpoint import CheckpointMalformed, parse_checkpoint
from ledger.verifier.notes import KeyMalformed, NoteMalformed, SignatureWrong, parse_key, parse_note
from ledger.verifier.policy import (
    NoLogSignature,
    NoQuorum,
    Policy,
    PolicyMalformed,
    accepted,
    parse_policy,
)
from tests.support import rfc6962
from tests.support.bundles import SEEN_AT, THE_LOG
from tests.support.noting import LOG, WITNESS, Signatory, checkpoint_text, note

X1, X2, X3, Y1, Y2 = (
    Signatory(name=f"witness.example/{name}", kind=WITNESS) for name in ("x1", "x2", "x3", "y1", "y2")
)
TEXT = checkpoint_text(THE_LOG.name, 3, rfc6962.leaf(b"root"))
TWO_LEVELS = f"""
# Two organisations.
log {THE_LOG.vkey} https://ledger.example/
witness x1 {X1.vkey} https://x.example/1
witness x2\t{X2.vkey}
  witness x3 {X3.vkey}
group x 2 x1 x2 x3
witness y1 {Y1.vkey}
witness y2 {Y2.vkey}
group y any y1 y2
group both all x y
quorum both
"""


def parsed(text: str) -> Policy:
    return parse_policy(text.encode())


def signed(*lines: str) -> bytes:
    return note(TEXT, THE_LOG.line(TEXT), *lines)


@pytest.mark.parametrize(
    ("witnesses", "is_enough"),
    [
        ((), False),
        ((X1, Y1), False),
        ((X1, X2), False),
        ((X1, X2, Y1), True),
        ((X2, X3, Y2), True),
        ((X1, X2, X3, Y1, Y2), True),
        ((Y1, Y2), False),
    ],
)
def test_a_quorum_of_two_levels_is_met_or_not(witnesses: tuple[Signatory, ...], *, is_enough: bool):
    checkpoint = parse_checkpoint(signed(*(one.line(TEXT, at=SEEN_AT) for one in witnesses)))
    if is_enough:
        assert len(accepted(parsed(TWO_LEVELS), checkpoint).cosigned) == len(witnesses)
    else:
        with pytest.raises(NoQuorum):
            accepted(parsed(TWO_LEVELS), checkpoint)


def test_addresses_of_witnesses_are_kept():
    assert parsed(TWO_LEVELS).addresses == {"x1": "https://x.example/1"}


def test_one_witness_may_be_the_quorum():
    text = f"log {THE_LOG.vkey}\nwitness x1 {X1.vkey}\nquorum x1\n"

    assert accepted(parsed(text), parse_checkpoint(signed(X1.line(TEXT, at=7)))).newest() == 7
    with pytest.raises(NoQuorum):
        accepted(parsed(text), parse_checkpoint(signed()))


L, W, V = f"log {THE_LOG.vkey}", f"witness w {X1.vkey}", f"witness v {X2.vkey}"


@pytest.mark.parametrize(
    "text",
    [
        "",
        L,
        "quorum none",
        f"{L}\nquorum none\nquorum none",
        f"{L}\n{L}\nquorum none",
        f"{L}\nquorum w\n{W}",
        f"{L}\n{W}\nwitness other {X1.vkey}\nquorum w",
        f"{L}\n{W}\nwitness w {X2.vkey}\nquorum w",
        f"{L}\nwitness none {X1.vkey}\nquorum none",
        f"{L}\n{W}\ngroup g 2 w\nquorum g",
        f"{L}\n{W}\ngroup g 0 w\nquorum g",
        f"{L}\n{W}\ngroup g 01 w\nquorum g",
        f"{L}\n{W}\ngroup g some w\nquorum g",
        f"{L}\n{W}\ngroup g any\nquorum g",
        f"{L}\n{W}\ngroup g any w w\nquorum g",
        f"{L}\n{W}\n{V}\ngroup g any w\ngroup h any w v\nquorum h",
        f"{L}\n{W}\ngroup g any g\nquorum g",
        f"{L}\n{W}\ngroup g any none\nquorum g",
        f"{L}\n{W}\ngroup w any w\nquorum w",
        f"{L} a b\nquorum none",
        f"{L}\nsomething else\nquorum none",
        f"{L}\nquorum none\r\n",
        f"{L}\nquorum none # as long as we are alone",
    ],
)
def test_what_is_no_policy_is_refused(text: str):
    with pytest.raises(PolicyMalformed):
        parsed(text)


def test_a_witness_cannot_be_a_log_nor_a_log_a_witness():
    for text in (f"log {X1.vkey}\nquorum none", f"{L}\nwitness w {THE_LOG.vkey}\nquorum w"):
        with pytest.raises(KeyMalformed):
            parsed(text)


def test_names_of_other_alphabets_and_none_are_names():
    text = (
        f"{L}\n".encode()
        + b"witness \xff\xe2\x84\xaa "
        + f"{X1.vkey}\n".encode()
        + b"quorum \xff\xe2\x84\xaa\n"
    )

    assert accepted(parse_policy(text), parse_checkpoint(signed(X1.line(TEXT, at=7)))).newest() == 7


@pytest.mark.parametrize(
    "vkey",
    [
        "",
        "name",
        THE_LOG.vkey.replace("ledger", "lodger"),
        THE_LOG.vkey[:-1],
        THE_LOG.vkey.upper(),
        THE_LOG.vkey.replace("/", " "),
        Signatory(name="a", kind=6).vkey,
    ],
)
def test_what_is_no_key_is_refused(vkey: str):
    with pytest.raises(KeyMalformed):
        parse_key(vkey)


def test_signatures_of_strangers_are_as_if_they_were_not_there():
    stranger = Signatory(name="stranger.example", kind=LOG)
    same_name = f"— {THE_LOG.name} AAAAAAAA\n"

    assert accepted(
        parsed(f"{L}\nquorum none"), parse_checkpoint(signed(stranger.line(TEXT), same_name))
    ).log.name
    with pytest.raises(NoLogSignature):
        accepted(parsed(f"{L}\nquorum none"), parse_checkpoint(note(TEXT, stranger.line(TEXT))))


def test_a_wrong_signature_of_somebody_known_spoils_the_note():
    """Also one that the quorum would not need."""
    wrong = X1.line(TEXT.replace("3", "4"), at=SEEN_AT)

    with pytest.raises(SignatureWrong):
        accepted(parsed(f"{L}\n{W}\nquorum none"), parse_checkpoint(signed(wrong)))


def test_a_witness_that_signed_beyond_all_time_signed_nothing():
    """C2SP tlog-cosignature: a time must not exceed 2**63 - 1."""
    text = f"{L}\n{W}\nquorum w"

    assert accepted(parsed(text), parse_checkpoint(signed(X1.line(TEXT, at=2**63 - 1)))).newest() == 2**63 - 1
    with pytest.raises(SignatureWrong):
        accepted(parsed(text), parse_checkpoint(signed(X1.line(TEXT, at=2**63))))


def test_the_key_of_another_log_of_the_policy_does_not_stand_for_this_one():
    other = Signatory(name="ledger.example/other")

    with pytest.raises(NoLogSignature):
        accepted(
            parsed(f"{L}\nlog {other.vkey}\nquorum none"), parse_checkpoint(note(TEXT, other.line(TEXT)))
        )


def test_a_rotated_key_is_one_more_line_of_the_policy():
    next_key = Signatory(name=THE_LOG.name, number=2)
    checkpoint = parse_checkpoint(note(TEXT, next_key.line(TEXT)))

    with pytest.raises(NoLogSignature):
        accepted(parsed(f"{L}\nquorum none"), checkpoint)
    assert (
        accepted(parsed(f"{L}\nlog {next_key.vkey}\nquorum none"), checkpoint).log.key_id == next_key.key_id
    )


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"text\n",
        b"text\n\n",
        b"text\n\nno signature\n",
        signed()[:-1],
        signed() + b"\n",
        signed().replace(b"\xe2\x80\x94", b"-"),
        signed().replace(b"ledger.example", b"ledger\xff"),
        signed().replace(b"ledger", b"led\tger"),
        b"a\nb\nc\n\n" + THE_LOG.line(TEXT).encode() * 101,
    ],
)
def test_what_is_no_note_is_refused(raw: bytes):
    with pytest.raises(NoteMalformed):
        parse_note(raw)


ROOT = TEXT.splitlines()[2]


@pytest.mark.parametrize(
    "text",
    [
        f"log\n3\n{ROOT}\n\nmore\n",
        f"\n3\n{ROOT}\n",
        "log\n3\n",
        f"log\n03\n{ROOT}\n",
        f"log\n-3\n{ROOT}\n",
        f"log\n٣\n{ROOT}\n",
        f"log\n3\n{ROOT[:-1]}\n",
        "log\n3\nAAAA\n",
        f"log\n3\n{ROOT[:-2]}B=\n",
    ],
)
def test_what_is_no_checkpoint_is_refused(text: str):
    with pytest.raises(CheckpointMalformed):
        parse_checkpoint(note(text, THE_LOG.line(text)))


def test_lines_behind_the_root_are_signed_and_let_be():
    text = f"{TEXT}more\n"

    assert (
        accepted(
            parsed(f"{L}\nquorum none"), parse_checkpoint(note(text, THE_LOG.line(text)))
        ).checkpoint.size
        == 3
    )
