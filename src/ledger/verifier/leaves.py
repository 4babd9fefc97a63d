"""Entries against the leaf hashes that were sealed."""

from ledger.verifier.envelope import EnvelopeMalformed, parse_envelope
from ledger.verifier.merkle import leaf_hash
from ledger.verifier.verdict import Tampered


class EntryDiffers(Tampered):
    """An event is not the one that was sealed at its position.

    Context: its ``position``, the ``stream`` and ``event_id`` that it claims now, where it is an event at all.
    """

    code = "entry-differs"


def check_leaf(position: int, entry: bytes, sealed: bytes) -> None:
    """Check an entry against the leaf hash that was ``sealed`` at its position.

    Raises:
        EntryDiffers: it is another one.
    """
    if leaf_hash(entry) != sealed:
        raise EntryDiffers(position=position, **claimed(entry))


def claimed(entry: bytes) -> dict[str, str]:
    """Read what an entry claims to be, for whoever looks for it; nothing where it is no envelope."""
    try:
        envelope = parse_envelope(entry)
    except EnvelopeMalformed:
        return {}
    return {"stream": envelope.stream, "event_id": envelope.event_id}
