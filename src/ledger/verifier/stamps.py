"""Time stamps of checkpoints (RFC 3161): that one existed at a time, and no more."""

from collections.abc import Iterator
from datetime import datetime

import msgspec
from cryptography.x509 import Certificate, load_pem_x509_certificates
from rfc3161_client import VerificationError, VerifierBuilder, decode_timestamp_response

from ledger.verifier.checkpoint import Checkpoint, parse_checkpoint
from ledger.verifier.files import Folder
from ledger.verifier.manifest import CHECKPOINT, STAMPS
from ledger.verifier.verdict import Tampered, Unusable


class AuthorityMalformed(Unusable):
    """The file of certificates holds none that can be read."""

    code = "authority-malformed"


class StampWrong(Tampered):
    """A time stamp is not one of this checkpoint by an authority of yours.

    Context: the ``file`` and the ``reason``.
    """

    code = "stamp-wrong"


class Stamp(msgspec.Struct, frozen=True, kw_only=True):
    """A checkpoint and the moment at which it existed, which an authority attests."""

    checkpoint: Checkpoint
    at: datetime


def parse_authorities(raw: bytes) -> list[Certificate]:
    """Read certificates of authorities, or of those who certify them, in PEM.

    Raises:
        AuthorityMalformed: there is none.
    """
    try:
        return load_pem_x509_certificates(raw)
    except ValueError as broken:
        raise AuthorityMalformed(reason=str(broken)) from broken


def read_stamps(folder: Folder, authorities: list[Certificate], latest: Checkpoint) -> Iterator[Stamp]:
    """Verify every time stamp of a bundle whose last checkpoint is ``latest``.

    Raises:
        StampWrong: one is none, is of something else, or by nobody of ``authorities``.
    """
    for name in folder.below("timestamps/"):
        found = STAMPS.fullmatch(name)
        if found is not None:
            notes = list(_notes(folder, int(found[1]), latest))
            yield _verified(name, folder.read(name), authorities, notes)


def count_stamps(folder: Folder) -> int:
    """Count the time stamps of a bundle."""
    return sum(STAMPS.fullmatch(name) is not None for name in folder.names)


def _notes(folder: Folder, size: int, latest: Checkpoint) -> Iterator[bytes]:
    """Give what may have been stamped: the note beside it, or the last one without who cosigned it since."""
    beside = f"timestamps/{size}.checkpoint"
    if beside in folder.names:
        yield folder.read(beside)
    elif size == latest.size:
        raw = folder.read(CHECKPOINT)
        text, _, lines = raw.rpartition(b"\n\n")
        signatures = lines.splitlines(keepends=True)
        for count in range(1, len(signatures) + 1):
            yield text + b"\n\n" + b"".join(signatures[:count])


def _verified(name: str, raw: bytes, authorities: list[Certificate], notes: list[bytes]) -> Stamp:
    reason = "the checkpoint that was stamped is not beside it"
    for note in notes:
        try:
            response = decode_timestamp_response(raw)
            builder = VerifierBuilder(roots=list(authorities))
            builder.build().verify_message(response, note)
            return Stamp(checkpoint=parse_checkpoint(note), at=response.tst_info.gen_time)
        except (VerificationError, ValueError) as wrong:
            reason = str(wrong)
    raise StampWrong(file=name, reason=reason)
