"""Proofs of one entry that verify offline (C2SP tlog-proof)."""

import re
from typing import Final

import msgspec

from ledger.verifier.checkpoint import Checkpoint, parse_checkpoint
from ledger.verifier.merkle import HASH_BYTES, ProofWrong, check_inclusion, leaf_hash
from ledger.verifier.notes import exact_base64
from ledger.verifier.policy import Accepted, Policy, accepted
from ledger.verifier.verdict import Tampered, Unusable

HEADER: Final = "c2sp.org/tlog-proof@v1"
INDEX: Final = re.compile("index (0|[1-9][0-9]{0,18})")
EXTRA: Final = re.compile("extra [A-Za-z0-9+/]*={0,2}")
LEAF_HASH: Final = re.compile("[0-9A-Fa-f]{64}")
MAX_HASHES: Final = 63


class ProofMalformed(Tampered):
    """It is no proof of inclusion."""

    code = "proof-malformed"


class NewlineAdded(Unusable):
    """The file of the entry ends with a newline that the entry does not have: an entry is taken byte for byte."""

    code = "newline-added"


class NotALeafHash(Unusable):
    """A leaf hash is written as 64 hexadecimal digits, as in the header Ledger-Leaf-Hash."""

    code = "not-a-leaf-hash"


class Proof(msgspec.Struct, frozen=True, kw_only=True):
    """Where an entry is, and the way from there to the root of the checkpoint."""

    index: int
    hashes: tuple[bytes, ...]
    checkpoint: Checkpoint


def parse_proof(raw: bytes) -> Proof:
    """Read a proof; nothing in it is to be believed before it was checked.

    Raises:
        ProofMalformed: it is none.
        NoteMalformed, CheckpointMalformed: its checkpoint is none.
    """
    head, separator, checkpoint = raw.partition(b"\n\n")
    try:
        lines = head.decode("ascii").split("\n")
    except UnicodeDecodeError as broken:
        raise ProofMalformed from broken
    if len(lines) > 1 and EXTRA.fullmatch(lines[1]):
        del lines[1]  # says nothing that is authenticated
    index = INDEX.fullmatch(lines[1]) if separator and len(lines) > 1 else None
    if index is None or lines[0] != HEADER or len(lines) - 2 > MAX_HASHES:
        raise ProofMalformed
    return Proof(
        index=int(index[1]), hashes=tuple(map(_hash, lines[2:])), checkpoint=parse_checkpoint(checkpoint)
    )


def parse_leaf_hash(text: str) -> bytes:
    """Read a leaf hash as a header has it.

    Raises:
        NotALeafHash: it is none.
    """
    if LEAF_HASH.fullmatch(text.strip()) is None:
        raise NotALeafHash(given=text)
    return bytes.fromhex(text.strip())


def check_leaf_proof(proof: Proof, leaf: bytes, policy: Policy) -> Accepted:
    """Check that a log of the policy has sealed an entry with this hash, at the index that the proof names.

    Raises:
        PolicyNotMet, SignatureWrong: as ``accepted``.
        ProofWrong: the proof does not lead from this hash to the signed root.
    """
    found = accepted(policy, proof.checkpoint)
    _check(proof, leaf)
    return found


def check_proof(proof: Proof, entry: bytes, policy: Policy) -> Accepted:
    """Check that a log of the policy has sealed exactly these bytes, at the index that the proof names.

    Raises:
        PolicyNotMet, SignatureWrong: as ``accepted``.
        ProofWrong: the proof does not lead from these bytes to the signed root.
        NewlineAdded: it would, without the newline at their end.
    """
    found = accepted(policy, proof.checkpoint)
    try:
        _check(proof, leaf_hash(entry))
    except ProofWrong:
        if entry.endswith(b"\n"):
            _check(proof, leaf_hash(entry.removesuffix(b"\n")))
            raise NewlineAdded from None
        raise
    return found


def _check(proof: Proof, leaf: bytes) -> None:
    check_inclusion(
        index=proof.index,
        size=proof.checkpoint.size,
        leaf=leaf,
        proof=proof.hashes,
        root=proof.checkpoint.root,
    )


def _hash(line: str) -> bytes:
    decoded = exact_base64(line)
    if decoded is None or len(decoded) != HASH_BYTES:
        raise ProofMalformed
    return decoded
