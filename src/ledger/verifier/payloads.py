"""Payloads beside the entries that commit to them, in the order of the log."""

import re
from collections.abc import Iterator
from hashlib import sha256
from typing import Final

import msgspec

from ledger.verifier.envelope import Envelope
from ledger.verifier.files import Folder
from ledger.verifier.lines import LinesMalformed, read_lines
from ledger.verifier.manifest import LINES_A_FILE, PAYLOADS
from ledger.verifier.verdict import Tampered

SALT: Final = re.compile("[0-9a-f]{32}")


class PayloadDiffers(Tampered):
    """A payload is not the one that the entry commits to.

    Context: ``position``, ``stream``.
    """

    code = "payload-differs"


class TypeDiffers(Tampered):
    """A payload says to be of another type than its entry.

    Context: ``position``, ``stream``, the ``type`` of the entry.
    """

    code = "type-differs"


class PayloadsMisplaced(Tampered):
    """Payloads are not in the order of the log, or there are some beyond the range of the bundle.

    Context: ``position``.
    """

    code = "payloads-misplaced"


class Line(msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """One line of a file of payloads."""

    position: int
    salt: str
    payload: str


class _Tagged(msgspec.Struct, frozen=True, gc=False):
    type: str


_TAG: Final = msgspec.json.Decoder(_Tagged)


def check_payload(position: int, envelope: Envelope, salt: bytes, payload: bytes) -> None:
    """Check a payload against the entry at its position.

    Raises:
        PayloadDiffers: the entry commits to another one.
        TypeDiffers: it says to be of another type.
    """
    if sha256(salt + payload).hexdigest() != envelope.data:
        raise PayloadDiffers(position=position, stream=envelope.stream)
    try:
        is_of_type = _TAG.decode(payload).type == envelope.type
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        is_of_type = False
    if not is_of_type:
        raise TypeDiffers(position=position, stream=envelope.stream, type=envelope.type)


class Payloads:
    """The payloads of a bundle, read once and in order."""

    def __init__(self, folder: Folder) -> None:
        """Begin with the first."""
        self._lines = _all_lines(folder)
        self._line = next(self._lines, None)

    def take(self, position: int, envelope: Envelope) -> bytes | None:
        """Read and check the payload of the next position; ``None``: it is not in the bundle.

        Raises:
            PayloadsMisplaced: the next line is for a position that was passed.
            PayloadDiffers, TypeDiffers: as ``check_payload``.
            LinesMalformed: the next line is none.
        """
        line = self._line
        if line is None or line.position > position:
            return None
        if line.position < position or SALT.fullmatch(line.salt) is None:
            raise PayloadsMisplaced(position=line.position)
        self._line = next(self._lines, None)
        try:
            payload = line.payload.encode()
        except UnicodeEncodeError as broken:
            raise PayloadDiffers(position=position, stream=envelope.stream) from broken
        check_payload(position, envelope, bytes.fromhex(line.salt), payload)
        return payload

    def finish(self) -> None:
        """Check that nothing is left.

        Raises:
            PayloadsMisplaced: something is.
        """
        if self._line is not None:
            raise PayloadsMisplaced(position=self._line.position)


def _all_lines(folder: Folder) -> Iterator[Line]:
    for name in folder.below("payloads/"):
        first = PAYLOADS.fullmatch(name)
        number = 0
        for number, line in enumerate(read_lines(folder.path(name), Line), 1):
            is_first = number == 1
            if number > LINES_A_FILE or (is_first and first is not None and int(first[1]) > line.position):
                raise LinesMalformed(file=name, line=number)
            yield line
        if not number:
            raise LinesMalformed(file=name, line=0)
