"""What a bundle says it is; everything that matters in it is compared with what was signed."""

import re
from enum import StrEnum
from typing import Final

import msgspec

from ledger.verifier.checkpoint import Checkpoint
from ledger.verifier.lines import names_twice
from ledger.verifier.tiles import WIDTH, entries_path, tiles_of, width_of
from ledger.verifier.verdict import Tampered, Unusable

FORMAT: Final = 1
DIGITS: Final = 12
LINES_A_FILE: Final = 65_536
MANIFEST: Final = "manifest.json"
CHECKPOINT: Final = "checkpoint"
GUIDE: Final = "VERIFY.md"
PEOPLE: Final = "disclosed/people.ndjson.gz"
KEYS: Final = "disclosed/keys.ndjson.gz"
PAYLOADS: Final = re.compile(r"payloads/([0-9]{12})\.ndjson\.gz")
STAMPS: Final = re.compile(r"timestamps/([1-9][0-9]{0,18})\.tsr")
STAMPED: Final = re.compile(r"timestamps/([1-9][0-9]{0,18})\.checkpoint")


class ManifestWrong(Tampered):
    """The manifest is none, or says something else than the checkpoint."""

    code = "manifest-wrong"


class FormatUnknown(Unusable):
    """The bundle has a format that this verifier does not know: take a newer one."""

    code = "format-unknown"


class Tier(StrEnum):
    """How much of an event a bundle holds."""

    ENVELOPE = "envelope"
    PAYLOAD = "payload"
    DISCLOSED = "disclosed"

    def reaches(self, other: "Tier") -> bool:
        """Tell whether this holds all that ``other`` holds."""
        return list(Tier).index(self) >= list(Tier).index(other)


class Manifest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The range of positions and the tier of a bundle; its ``size`` and ``origin`` are the checkpoint's."""

    format: int
    origin: str
    size: int
    first: int = msgspec.field(name="from")
    last: int = msgspec.field(name="to")
    tier: Tier
    exported_at: str
    ledger_version: str

    def bundles(self) -> range:
        """Number the files of entries that cover the range."""
        if self.last < self.first:
            return range(0)
        return range((self.first - 1) // WIDTH, (self.last - 1) // WIDTH + 1)

    def is_whole(self) -> bool:
        """Tell whether every event of the checkpoint is in the bundle."""
        return self.first == 1 and self.last == self.size

    def files(self) -> set[str]:
        """Name the files that a bundle of this size and range has, whatever its tier."""
        entries = {entries_path(index, width_of(self.size, 0, index)) for index in self.bundles()}
        return {MANIFEST, CHECKPOINT, *entries, *(tile.path() for tile in tiles_of(self.size))}

    def may_hold(self, name: str) -> bool:
        """Tell whether a file may be in the bundle beside those that must be."""
        stamp = STAMPS.fullmatch(name) or STAMPED.fullmatch(name)
        if name == GUIDE or (stamp is not None and int(stamp[1]) <= self.size):
            return True
        if name in {PEOPLE, KEYS}:
            return self.tier is Tier.DISCLOSED
        return PAYLOADS.fullmatch(name) is not None and self.tier is not Tier.ENVELOPE


class _Form(msgspec.Struct, frozen=True):
    format: int


def parse_manifest(raw: bytes) -> Manifest:
    """Read a manifest.

    Raises:
        FormatUnknown: it is of another format.
        ManifestWrong: it is none.
    """
    try:
        if msgspec.json.decode(raw, type=_Form).format != FORMAT:
            raise FormatUnknown
        manifest = msgspec.json.decode(raw, type=Manifest)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as broken:
        raise ManifestWrong(reason=str(broken)) from broken
    if names_twice(raw, manifest):
        raise ManifestWrong(reason="it says one thing twice")
    return manifest


def check_manifest(manifest: Manifest, checkpoint: Checkpoint) -> None:
    """Compare what a manifest says with what was signed.

    Raises:
        ManifestWrong: they say two things, or the range is none.
    """
    if (manifest.origin, manifest.size) != (checkpoint.origin, checkpoint.size):
        raise ManifestWrong(reason="the checkpoint has another origin or size")
    is_range = 1 <= manifest.first <= manifest.last <= manifest.size
    is_empty = (manifest.first, manifest.last, manifest.size) == (1, 0, 0)
    if not is_range and not is_empty:
        raise ManifestWrong(reason="from and to are no range of the log")
