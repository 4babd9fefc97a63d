"""What an entry of the log says: a reading of the envelope's format of its own (ADR 0009)."""

import re
from typing import Final

import msgspec

from ledger.verifier.verdict import Tampered

FORMAT: Final = 1
UUID: Final = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
SHAPE: Final = re.compile(
    rf"""\{{"v":1,"event_id":"{UUID}","ledger":[1-9][0-9]{{0,9}},"""
    rf""""stream":"[!#-\[\]-~]+","version":[1-9][0-9]{{0,9}},"type":"[a-z][a-z0-9-]*","""
    rf""""schema_version":[1-9][0-9]{{0,4}},"""
    rf""""recorded_at":"[0-9]{{4}}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-5][0-9]\.[0-9]{{6}}Z","""
    rf""""actor":"[!#-\[\]-~]+","command_id":"{UUID}","causation_id":"(?:{UUID})?","""
    rf""""correlation_id":"(?:[0-9a-f]{{32}})?","request":"(?:[0-9a-f]{{64}})?","""
    rf""""data":"[0-9a-f]{{64}}","prev":"(?:[0-9a-f]{{64}})?"\}}""".encode()
)
"""Keys in their order and nothing between them; every value in its one spelling."""


class EnvelopeMalformed(Tampered):
    """An entry is no envelope of the format that is known here: another wrote it, or a newer release did.

    Context: its ``position``.
    """

    code = "envelope-malformed"


class Envelope(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One event, as it was sealed."""

    event_id: str
    ledger: int
    stream: str
    version: int
    type: str
    schema_version: int
    recorded_at: str
    actor: str
    command_id: str
    causation_id: str
    correlation_id: str
    request: str
    data: str
    prev: str


_DECODER: Final = msgspec.json.Decoder(Envelope)


def parse_envelope(entry: bytes, position: int | None = None) -> Envelope:
    """Read an entry of the log.

    Raises:
        EnvelopeMalformed: it has not exactly the form of an envelope.
    """
    if SHAPE.fullmatch(entry) is None:
        raise EnvelopeMalformed(position=position)
    return _DECODER.decode(entry)
