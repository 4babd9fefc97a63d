"""What a witness answers to a checkpoint: every status of C2SP tlog-witness, and what it remembers."""

import itertools
from base64 import b64decode, b64encode
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st

from ledger.verifier.notes import parse_key
from ledger.witness.cosigner import Cosigner
from ledger.witness.memory import Memory
from ledger.witness.witness import RequestMalformed, Witness, parsed
from tests.support.small_log import SmallLog, body
from tests.witness.conftest import NAME, SECONDS

NOTHING = b64encode(bytes(32)).decode()


def test_the_first_checkpoint_of_a_log_is_cosigned_from_size_zero(witness: Witness, log: SmallLog):
    answer = witness.add_checkpoint(log.request(0, 5))

    assert answer.status == 200
    assert witness.standings()[0].size == 5


def test_a_cosignature_is_over_the_time_and_the_checkpoint(witness: Witness, log: SmallLog):
    line = witness.add_checkpoint(log.request(0, 5)).body

    dash, name, value = line.removesuffix("\n").split(" ")
    raw = b64decode(value)
    key = parse_key(witness.cosigner.vkey)
    assert (dash, name, raw[:4]) == ("—", NAME, key.key_id)
    assert int.from_bytes(raw[4:12]) == SECONDS
    signed = f"cosignature/v1\ntime {SECONDS}\n{log.text(5)}".encode()
    Ed25519PublicKey.from_public_bytes(key.public).verify(raw[12:], signed)


def test_what_continues_by_proof_is_cosigned(witness: Witness, log: SmallLog):
    sizes = [0, 1, 2, 7, 8, 9, 31, 64]
    answers = [witness.add_checkpoint(log.request(old, new)) for old, new in itertools.pairwise(sizes)]
    assert [answer.status for answer in answers] == [200] * 7


def test_the_same_checkpoint_is_cosigned_again(witness: Witness, log: SmallLog):
    witness.add_checkpoint(log.request(0, 5))
    assert witness.add_checkpoint(log.request(5, 5)).status == 200


def test_an_empty_log_is_cosigned(witness: Witness, log: SmallLog):
    assert witness.add_checkpoint(log.request(0, 0)).status == 200
    assert witness.add_checkpoint(log.request(0, 3)).status == 200


def test_another_old_size_is_told_the_right_one(witness: Witness, log: SmallLog):
    witness.add_checkpoint(log.request(0, 5))

    answer = witness.add_checkpoint(log.request(3, 9))

    assert (answer.status, answer.body, answer.media_type) == (409, "5\n", "text/x.tlog.size")


def test_a_client_that_knows_nothing_learns_the_size_by_asking_from_zero(witness: Witness, log: SmallLog):
    witness.add_checkpoint(log.request(0, 5))
    answer = witness.add_checkpoint(log.request(0, 9))
    assert (answer.status, answer.body) == (409, "5\n")


def test_another_root_at_the_same_size_is_a_conflict(witness: Witness, log: SmallLog):
    witness.add_checkpoint(log.request(0, 5))

    answer = witness.add_checkpoint(log.fork(at=2).request(5, 5))

    assert (answer.status, answer.body, answer.media_type) == (409, "5\n", "text/x.tlog.size")


def test_two_signed_checkpoints_that_contradict_are_kept_as_evidence(
    witness: Witness, log: SmallLog, memory: Memory
):
    witness.add_checkpoint(log.request(0, 5))
    other = log.fork(at=2)
    witness.add_checkpoint(other.request(5, 5))

    kept = [path.read_text() for path in memory.folder.glob("*.contradiction")]
    assert kept == [other.note(5)]


def test_a_history_that_was_rewritten_is_not_cosigned(witness: Witness, log: SmallLog):
    witness.add_checkpoint(log.request(0, 5))

    answer = witness.add_checkpoint(log.fork(at=2).request(5, 9))

    assert answer.status == 422
    assert witness.standings()[0].size == 5


@pytest.mark.parametrize(
    ("old", "new", "hashes"),
    [
        (5, 9, []),
        (5, 9, [NOTHING]),
        (5, 5, [NOTHING]),
        (0, 9, [NOTHING]),
    ],
    ids=["none", "wrong", "of-the-same-size", "from-nothing"],
)
def test_a_proof_that_does_not_lead_there_is_refused(
    witness: Witness, log: SmallLog, old: int, new: int, hashes: list[str]
):
    if old:
        witness.add_checkpoint(log.request(0, old))
    answer = witness.add_checkpoint(body(old, hashes, log.note(new)))
    assert answer.status == 422


def test_an_empty_tree_has_one_root(witness: Witness, log: SmallLog):
    text = f"{log.origin}\n0\n{NOTHING}\n"
    assert witness.add_checkpoint(body(0, [], f"{text}\n{log.sign(text)}")).status == 422


def test_a_log_that_nobody_configured_is_not_found(witness: Witness):
    assert witness.add_checkpoint(SmallLog("other.example/log").request(0, 5)).status == 404


def test_a_checkpoint_by_another_key_is_forbidden(witness: Witness):
    assert witness.add_checkpoint(SmallLog(seed=2).request(0, 5)).status == 403


def test_a_signature_that_does_not_verify_is_forbidden(witness: Witness, log: SmallLog):
    note = log.text(6) + "\n" + log.sign(log.text(5))
    assert witness.add_checkpoint(body(0, [], note)).status == 403


def test_signatures_of_strangers_are_ignored(witness: Witness, log: SmallLog):
    stranger = SmallLog("stranger.example/log")
    note = log.note(5) + stranger.sign(log.text(5))
    assert witness.add_checkpoint(body(0, [], note)).status == 200


def test_a_log_may_have_two_keys(memory: Memory, log: SmallLog):
    successor = SmallLog(seed=2)
    keys = [parse_key(log.vkey), parse_key(successor.vkey)]
    witness = Witness(Cosigner(NAME, bytes(32)), memory, keys, clock=lambda: SECONDS)

    assert witness.add_checkpoint(log.request(0, 5)).status == 200
    assert witness.add_checkpoint(successor.request(5, 9)).status == 200


def test_an_old_size_above_the_new_one_is_malformed(witness: Witness, log: SmallLog):
    witness.add_checkpoint(log.request(0, 5))
    assert witness.add_checkpoint(body(5, [], log.note(3))).status == 400


@pytest.mark.parametrize(
    "mangle",
    [
        lambda good: good[:0],
        lambda good: good.replace(b"old 0", b"old"),
        lambda good: good.replace(b"old 0", b"old 00"),
        lambda good: good.replace(b"old 0", b"old -1"),
        lambda good: good.replace(b"old 0", b"old 0 "),
        lambda good: good.replace(b"old 0", b"old 0\r"),
        lambda good: good.replace(b"old 0", b"new 0"),
        lambda good: good.replace(b"old 0", b"old 99999999999999999999"),
        lambda good: good.replace(b"\n\n", b"\n", 1),
        lambda good: good.replace(b"old 0\n", b"old 0\nAAAA\n"),
        lambda good: good.replace(b"old 0\n", b"old 0\n!\n"),
        lambda good: good.replace(b"old 0\n", b"old 0\n" + (NOTHING + "\n").encode() * 64),
        lambda good: good.replace(b"\n5\n", b"\n05\n"),
        lambda good: good.removesuffix(b"\n"),
        lambda good: good + b"\xff",
    ],
)  # fmt: skip
def test_what_is_no_request_is_malformed(witness: Witness, log: SmallLog, mangle):
    assert witness.add_checkpoint(mangle(log.request(0, 5))).status == 400
    assert witness.standings()[0].size == 0


def test_sixty_three_hashes_are_not_too_many(witness: Witness, log: SmallLog):
    assert witness.add_checkpoint(body(0, [NOTHING] * 63, log.note(5))).status == 422


def test_each_log_is_remembered_by_itself(memory: Memory, log: SmallLog):
    other = SmallLog("other.example/log", seed=2)
    keys = [parse_key(log.vkey), parse_key(other.vkey)]
    witness = Witness(Cosigner(NAME, bytes(32)), memory, keys, clock=lambda: SECONDS)

    witness.add_checkpoint(log.request(0, 5))

    assert witness.add_checkpoint(other.request(0, 2)).status == 200
    assert {one.origin: one.size for one in witness.standings()} == {log.origin: 5, other.origin: 2}


@given(st.binary(max_size=400))
def test_whatever_comes_is_read_or_refused(raw: bytes):
    for candidate in (raw, b"old 0\n\n" + raw):
        with suppress(RequestMalformed):
            parsed(candidate)


@given(st.tuples(st.integers(0, 64), st.integers(0, 64)), st.integers(0, 400), st.integers(0, 7))
def test_one_flipped_bit_never_gets_another_text_cosigned(sizes: tuple[int, int], at: int, bit: int):
    log, (old, new) = SmallLog(), sorted(sizes)
    with TemporaryDirectory() as folder, Memory(Path(folder)) as memory:
        witness = Witness(Cosigner(NAME, bytes(32)), memory, [parse_key(log.vkey)], clock=lambda: SECONDS)
        witness.add_checkpoint(log.request(0, old))
        flipped = bytearray(log.request(old, new))
        flipped[at % len(flipped)] ^= 1 << bit
        answer = witness.add_checkpoint(bytes(flipped))
        assert answer.status != 200 or log.text(new).encode() in flipped
