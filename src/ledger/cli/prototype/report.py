"""What became of a dump: counts for every kind of record, and the proof that the ledger says what it said."""

import hashlib
from collections.abc import Iterable
from typing import Final

import msgspec

from ledger.cli.prototype.file import SECTIONS, Bad
from ledger.cli.prototype.payloads import VERSION, Draft, said_in
from ledger.domain.ids import START, EventId
from ledger.store.history import read_page
from ledger.store.ledger import Ledger

KEPT_REASONS: Final = 1000
PAGE: Final = 2000
ALL_THERE, CANNOT_GO_ON, SOME_BAD = 0, 1, 2


class Count(msgspec.Struct, kw_only=True):
    """One kind of records; each of them is counted once.

    ``was_here``: users whose account was in this ledger already, for another reason than an import. ``events``
    and ``digest`` are of the records that are in the ledger, ``found`` is what was read back from the log.
    """

    in_dump: int = 0
    imported: int = 0
    already_there: int = 0
    was_here: int = 0
    bad: int = 0
    events: int = 0
    digest: str = ""
    found: str = ""

    def is_whole(self) -> bool:
        """Say whether nothing is missing: neither a record nor a word of it."""
        counted = self.imported + self.already_there + self.was_here + self.bad
        return counted == self.in_dump and self.digest == self.found


class Report(msgspec.Struct, kw_only=True):
    """The whole; ``bad`` holds the first thousand of the records that were left out."""

    dry_run: bool
    time_zone: str
    time_zone_is_assumed: bool
    by_name_only: int = 0
    kinds: dict[str, Count] = msgspec.field(default_factory=lambda: {name: Count() for name in SECTIONS})
    strays: int = 0
    bad: list[Bad] = msgspec.field(default_factory=list)
    proven: bool = False

    @property
    def exit_code(self) -> int:
        """0: everything is in the ledger, 2: some records are bad, 1: the ledger does not say what the dump said."""
        if not (self.proven or self.dry_run):
            return CANNOT_GO_ON
        return SOME_BAD if self.strays or any(count.bad for count in self.kinds.values()) else ALL_THERE

    def refuse(self, kind: str, bad: Bad) -> None:
        """Count a record that is left out."""
        self.kinds[kind].bad += 1
        self.note(bad)

    def note(self, bad: Bad) -> None:
        """Keep the reason, if there are not too many."""
        if len(self.bad) < KEPT_REASONS:
            self.bad.append(bad)


class Ledgered:
    """What should be in the log: event by event, the digest of what it must say."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self._expected: dict[EventId, tuple[str, str, bytes]] = {}

    def add(self, draft: Draft) -> None:
        """Expect the events of a draft."""
        for event, digest in zip(draft.events, draft.said, strict=True):
            self._expected[event.event_id] = (draft.kind, event.type, digest)

    async def prove(self, ledger: Ledger, report: Report) -> None:
        """Read the whole log, and compare what it says with what the dump said."""
        found: dict[str, list[bytes]] = {kind: [] for kind in report.kinds}
        types = sorted({event_type for _, event_type, _ in self._expected.values()})
        after, is_last = START, not types
        while not is_last:
            page = await read_page(ledger, after=after, types=types, limit=PAGE)
            for stored in page.events:
                expected = self._expected.get(stored.event_id)
                if expected is not None and stored.schema_version == VERSION:
                    found[expected[0]].append(said_in(stored.payload or b""))
            after, is_last = page.after, page.is_last
        for kind, count in report.kinds.items():
            wanted = [digest for expected_kind, _, digest in self._expected.values() if expected_kind == kind]
            count.events = len(wanted)
            count.digest, count.found = _digest(wanted), _digest(found[kind])
        report.proven = all(count.is_whole() for count in report.kinds.values())


def _digest(digests: Iterable[bytes]) -> str:
    return hashlib.sha256(b"".join(sorted(digests))).hexdigest()
