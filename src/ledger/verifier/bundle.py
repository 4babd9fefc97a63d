"""Verifies a bundle: a folder that holds all there is to verify, and is believed in nothing."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
from cryptography.x509 import Certificate

from ledger.verifier.chain import Chain, Doubles
from ledger.verifier.checkpoint import Checkpoint, parse_checkpoint
from ledger.verifier.disclosed import Disclosed
from ledger.verifier.entries import MOST_BYTES, split_entries
from ledger.verifier.files import SUMS, FileMissing, FileUnexpected, Folder, Progress, check_sums
from ledger.verifier.kinds import Kind, check_folder
from ledger.verifier.leaves import check_leaf
from ledger.verifier.manifest import (
    CHECKPOINT,
    MANIFEST,
    Manifest,
    Tier,
    check_manifest,
    parse_manifest,
)
from ledger.verifier.merkle import HASH_BYTES
from ledger.verifier.payloads import Payloads
from ledger.verifier.policy import Policy, accepted, check_age
from ledger.verifier.report import Report, Stamped, attested_by
from ledger.verifier.stamps import count_stamps, read_stamps
from ledger.verifier.tiles import WIDTH, Tile, entries_path, tiles_of, width_of
from ledger.verifier.tree import LogShrunk, Upper, check_history, check_root, names_of
from ledger.verifier.verdict import Forked, Tampered, Unverified

PROGRESS_EVERY = 16
MOST_NAMED = 5
SWAPPED = "was the bundle exported before that checkpoint? Then they are swapped: --since names the older one"


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What a bundle has to be: signed as the ``policy`` says, and the continuation of ``since``, where there is one.

    ``tier``: what it has to hold at least; ``max_age`` in seconds, at the moment ``now``; ``None``: any age.
    ``authorities``: whose time stamps are believed; ``None``: they are not looked at.
    """

    policy: Policy
    now: int
    since: Checkpoint | None = None
    tier: Tier = Tier.ENVELOPE
    max_age: int | None = None
    authorities: list[Certificate] | None = None


def nobody_watches(done: int, of: int) -> None:
    """Tell nobody how far it is."""


def verify_bundle(root: Path, asked: Asked, progress: Progress = nobody_watches) -> Report:
    """Verify the bundle in the folder ``root``; what is wrong is in the report, never raised.

    ``progress`` is told of bytes first, then of events.

    Raises:
        OSError: the folder cannot be read.
    """
    report = Report()
    try:
        folder = Folder(root)
        check_folder(str(root), folder.names, Kind.BUNDLE)
        try:
            check_sums(folder, progress)
        except Unverified as wrong:  # says which file; what follows says which event
            report.found_wrong(wrong)
        _Bundle(folder, asked, report, progress).verify()
    except Unverified as wrong:
        report.found_wrong(wrong)
    return report


class _Bundle:
    def __init__(self, folder: Folder, asked: Asked, report: Report, progress: Progress) -> None:
        self._folder = folder
        self._asked = asked
        self._report = report
        self._progress = progress

    def verify(self) -> None:
        checkpoint = parse_checkpoint(self._folder.read(CHECKPOINT))
        by = accepted(self._asked.policy, checkpoint)
        self._report.attested = attested_by(by, self._asked.policy.quorum)
        manifest = parse_manifest(self._folder.read(MANIFEST))
        check_manifest(manifest, checkpoint)
        self._report.tier = manifest.tier.value
        self._check_names(manifest)
        try:
            self._check_tree(checkpoint)
        except (Tampered, Forked) as wrong:  # the events may say which of them it is
            self._report.found_wrong(wrong)
        self._check_events(manifest)
        if self._asked.max_age is not None:
            check_age(by.newest(), now=self._asked.now, max_age=self._asked.max_age)

    def _check_names(self, manifest: Manifest) -> None:
        # Whatever size was signed: naming its tiles one by one might never end.
        if manifest.size > WIDTH * len(self._folder.names):
            raise FileMissing(reason=f"a tree of {manifest.size} events has more tiles than there are files")
        needed = manifest.files()
        for name in sorted(needed - self._folder.names):
            raise FileMissing(file=name)
        for name in sorted(self._folder.names - needed - {SUMS}):
            if not manifest.may_hold(name):
                raise FileUnexpected(file=name)

    def _check_tree(self, checkpoint: Checkpoint) -> None:
        upper = Upper(checkpoint.size, self._tile)
        for tile in tiles_of(checkpoint.size):
            if tile.level:
                break
            upper.check(tile, self._tile(tile))
        check_root(checkpoint, upper.root(checkpoint.size, self._tile))
        self._check_stamps(checkpoint, upper)
        since = self._asked.since
        if since is not None:
            accepted(self._asked.policy, since, with_quorum=False)
            if since.size > checkpoint.size:
                hints = {"hint": SWAPPED} | names_of(since, checkpoint)
                raise LogShrunk(older=since.size, newer=checkpoint.size, **hints)
            check_history(since, checkpoint, upper, self._tile)
            self._report.since = since.size

    def _check_stamps(self, checkpoint: Checkpoint, upper: Upper) -> None:
        if self._asked.authorities is None:
            self._report.stamps_unread = count_stamps(self._folder)
            return
        for stamp in read_stamps(self._folder, self._asked.authorities, checkpoint):
            accepted(self._asked.policy, stamp.checkpoint, with_quorum=False)
            check_history(stamp.checkpoint, checkpoint, upper, self._tile)
            self._report.stamps.append(Stamped(size=stamp.checkpoint.size, seconds=int(stamp.at.timestamp())))
        if not self._report.stamps:
            self._report.lacks("time stamps: there is none in the bundle")

    def _check_events(self, manifest: Manifest) -> None:
        chain = Chain(first=manifest.bundles().start * WIDTH + 1)
        reader = _Beside(self._folder, manifest, self._report)
        last = min(manifest.bundles().stop * WIDTH, manifest.size)
        for index, entries in enumerate(self._entries(manifest)):
            start = (manifest.bundles().start + index) * WIDTH
            hashes = self._tile(self._leaves(manifest.size, start // WIDTH))
            for slot, entry in enumerate(entries):
                sealed = hashes[slot * HASH_BYTES : (slot + 1) * HASH_BYTES]
                check_leaf(start + slot + 1, entry, sealed)
                reader.take(chain, entry, sealed)
            self._report.last = start + len(entries)
            if index % PROGRESS_EVERY == 0:
                self._progress(start + len(entries), last)
        self._report.first = chain.first if self._report.last else 0
        self._report.streams, self._report.streams_joined = chain.streams, len(chain.joined)
        self._check_doubles(chain, manifest)
        reader.finish()
        self._say_what_is_missing(manifest)

    def _check_doubles(self, chain: Chain, manifest: Manifest) -> None:
        doubtful = chain.doubtful()
        if not doubtful:
            return
        doubles, position = Doubles(doubtful), chain.first
        for entries in self._entries(manifest):
            for entry in entries:
                doubles.take(entry, position)
                position += 1

    def _say_what_is_missing(self, manifest: Manifest) -> None:
        if not manifest.is_whole():
            self._say_what_was_not_exported(manifest)
        if not manifest.tier.reaches(self._asked.tier):
            self._report.lacks(
                f"tier {self._asked.tier.value}: the bundle was exported with tier {manifest.tier.value}"
            )

    def _say_what_was_not_exported(self, manifest: Manifest) -> None:
        """Tell events whose entries came along, in whole files, from those of which nothing is here."""
        asked = _span(manifest.first, manifest.last)
        first, last, streams = self._report.first, self._report.last, self._report.streams_joined
        if along := _around(manifest.first, manifest.last, within=(first, last)):
            self._report.lacks(
                f"what events {along} say: the bundle was exported for {asked}; "
                f"of these it has the entries alone, which come in files of {WIDTH} and were verified"
            )
        if absent := _around(first, last, within=(1, manifest.size)):
            began = f"; {streams} streams began before it" if streams else ""
            self._report.lacks(f"events {absent}: the bundle was exported for {asked}{began}")

    def _entries(self, manifest: Manifest) -> Iterator[list[bytes]]:
        for index in manifest.bundles():
            width = width_of(manifest.size, 0, index)
            raw = self._folder.read(entries_path(index, width), most=MOST_BYTES)
            yield split_entries(raw, first=index * WIDTH + 1, width=width)

    def _leaves(self, size: int, index: int) -> Tile:
        return Tile(level=0, index=index, width=width_of(size, 0, index))

    def _tile(self, tile: Tile) -> bytes:
        return self._folder.read(tile.path())


def _around(first: int, last: int, *, within: tuple[int, int]) -> str:
    """Name the positions before and behind a range."""
    lowest, highest = within
    spans = ((lowest, first - 1), (last + 1, highest))
    return " and ".join(_span(low, high) for low, high in spans if low <= high)


def _span(low: int, high: int) -> str:
    return str(low) if low == high else f"{low} to {high}"


class _Beside:
    """What lies beside the entries: payloads, and what they disclose."""

    def __init__(self, folder: Folder, manifest: Manifest, report: Report) -> None:
        self._range = range(manifest.first, manifest.last + 1)
        self._payloads = None if manifest.tier is Tier.ENVELOPE else Payloads(folder)
        self._disclosed = Disclosed(folder) if manifest.tier is Tier.DISCLOSED else None
        self._is_whole = manifest.is_whole()
        self._report = report
        self._absent = list[int]()
        self._absent_count = 0
        self._with_gaps = set[str]()
        """Streams of which a payload is not here: what one of theirs carries on may have come with that."""

    def take(self, chain: Chain, entry: bytes, leaf: bytes) -> None:
        position = chain.next
        envelope = chain.take(entry, leaf)
        if self._payloads is None:
            return
        if position not in self._range:
            self._with_gaps.add(envelope.stream)
            return
        payload = self._payloads.take(position, envelope)
        if payload is None:
            self._absent_count += 1
            self._with_gaps.add(envelope.stream)
            self._absent += [position] if len(self._absent) < MOST_NAMED else []
            return
        self._report.payloads += 1
        if self._disclosed is not None:
            has_gaps = envelope.stream in chain.joined or envelope.stream in self._with_gaps
            self._disclosed.take(position, envelope, payload, "" if has_gaps else chain.command_began)

    def finish(self) -> None:
        if self._payloads is not None:
            self._payloads.finish()
        if self._absent_count:
            named = ", ".join(map(str, self._absent))
            events = "1 event" if self._absent_count == 1 else f"{self._absent_count} events"
            self._report.lacks(f"payloads of {events}, of positions {named} first")
        if self._disclosed is None:
            return
        self._disclosed.finish()
        told = self._report.disclosed = self._disclosed.counted
        where = "the log" if self._is_whole else "this range"
        for count, what in (
            (told.unregistered, "registrations of {} people: nothing in {} commits to their names"),
            (told.names_withheld, "names of {} people: nothing in {} says that they were erased"),
            (told.keys_withheld, "{} keys of sealed values: nothing in {} says that they were erased"),
        ):
            if count:
                self._report.lacks(what.format(count, where))
