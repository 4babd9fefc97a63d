"""Names, keys and files that a database keeps beside its log: what the log commits to, and what it says was erased."""

from collections.abc import Collection, Iterable, Iterator, Mapping

import msgspec

from ledger.verifier.disclosed import (
    ATTACHED,
    ERASED,
    REGISTERED,
    PersonDiffers,
    decoded,
    keys_named,
    read_erasure,
    read_registration,
)
from ledger.verifier.envelope import Envelope
from ledger.verifier.verdict import Tampered

MOST_NAMED = 5


class ErasedStillThere(Tampered):
    """The log says that it was erased, and it is there: somebody kept it, or put it back.

    Context: ``what`` (names, keys or files); of names and keys the ``subject``'s id and the ``position`` of the erasure;
    of a file its id ``evidence``, and the ``position`` and ``stream`` of the event that attached it.
    """

    code = "erased-still-there"


class FileDiffers(Tampered):
    """The stored content of a file is not the one that was attached.

    Context: ``evidence``, the file's id; the ``position`` and ``stream`` of the event.
    """

    code = "file-differs"


class Attached(msgspec.Struct, frozen=True):
    """Where a file was attached, and its SHA-256."""

    position: int
    stream: str
    sha256: str


class FileFound(msgspec.Struct, frozen=True):
    """The SHA-256 of what is stored of a file, and the key that its decision was submitted under, if any."""

    sha256: str
    key: str | None


class Registration(msgspec.Struct, frozen=True):
    """Where somebody was registered, and what that commits to."""

    position: int
    stream: str
    commitment: str


class Kept(msgspec.Struct, kw_only=True):
    """What was found beside the log: names that it commits to, keys and files that it names; what it says was erased."""

    names: int = 0
    names_erased: int = 0
    keys: int = 0
    keys_erased: int = 0
    files: int = 0
    files_erased: int = 0


class _Attachment(msgspec.Struct, frozen=True):
    evidence: str
    sha256: str


class _Submission(msgspec.Struct, frozen=True):
    sealed_under: str | None = None


def key_of(submission: bytes) -> str | None:
    """Read under which key a decision was submitted; ``None``: none, or this is no submission."""
    try:
        return msgspec.json.decode(submission, type=_Submission).sealed_under
    except msgspec.MsgspecError:  # found as what it is by whoever verifies the event
        return None


class Beside:
    """Takes events page by page, and after each page what lies beside the log at that moment.

    What is gone by then is gone together with an event that says so, which is among those to come at the latest: nobody
    who is erased meanwhile is missed.
    """

    def __init__(self) -> None:
        """Begin before the first event."""
        self.counted = Kept()
        self.persons: dict[str, Registration] = {}
        """Those whom this page registered."""
        self.keys: set[str] = set()
        """Those that this page names."""
        self.files: dict[str, Attached] = {}
        """Those that this page attached."""
        self.erased: dict[str, int] = {}
        """Whose erasure was seen, at which position."""
        self._unnamed: dict[str, Registration] = {}
        self._seen: dict[str, int] = {}
        """Keys by the position that named them first."""
        self._absent: dict[str, None] = {}
        self._keys_erased = self._files_erased = 0
        self._files_absent: list[int] = []
        self._files_sealed: dict[str, tuple[Attached, str]] = {}
        """Those that are there of decisions submitted under a key, with that key."""

    def take(self, position: int, envelope: Envelope, payload: bytes) -> None:
        """Take an event that was verified itself.

        Raises:
            TellingMalformed: it has not the form of its type.
        """
        if envelope.type == REGISTERED:
            said = read_registration(position, envelope, payload)
            self.persons[said.person] = Registration(position, envelope.stream, said.commitment)
        elif envelope.type == ERASED:
            erasure = read_erasure(position, envelope, payload)
            self.erased[erasure.subject] = position
            self._keys_erased += erasure.keys
            self._files_erased += erasure.files
        elif envelope.type == ATTACHED:
            file = decoded(payload, _Attachment, position, envelope)
            self.files[file.evidence] = Attached(position, envelope.stream, file.sha256)
        for key in keys_named(payload) - self._seen.keys():
            self._seen[key] = position
            self.keys.add(key)

    def compare(self, names: Mapping[str, str], keys: Collection[str]) -> Iterator[PersonDiffers]:
        """Take the digests of the names of this page's persons, and which of its keys there are; end the page."""
        for person, registered in self.persons.items():
            if person not in names:
                self._unnamed[person] = registered
            elif names[person] == registered.commitment:
                self.counted.names += 1
            else:
                yield PersonDiffers(person=person, position=registered.position, stream=registered.stream)
        self._absent |= dict.fromkeys(sorted(self.keys.difference(keys)))
        self.counted.keys += len(self.keys.intersection(keys))
        self.persons, self.keys = {}, set()

    def compare_files(self, found: Mapping[str, FileFound | None]) -> Iterator[FileDiffers]:
        """Take what is stored of this page's files, ``None`` where nothing is."""
        for evidence, attached in self.files.items():
            stored = found[evidence]
            if stored is None:
                self._files_absent.append(attached.position)
                continue
            if stored.key is not None:
                self._files_sealed[evidence] = (attached, stored.key)
            if stored.sha256 == attached.sha256:
                self.counted.files += 1
            else:
                yield FileDiffers(evidence=evidence, position=attached.position, stream=attached.stream)
        self.files = {}

    def suspects(self) -> list[str]:
        """Name the files that were there although the key of their decision is gone, which an erasure takes with it.

        None if the log does not account for every key that is gone: then it may have been lost without an erasure.
        """
        if len(self._absent) > self._keys_erased:
            return []
        return [evidence for evidence, (_, key) in self._files_sealed.items() if key in self._absent]

    def files_still_there(self, evidence: Iterable[str]) -> Iterator[ErasedStillThere]:
        """Take the suspects that are there in the end, when no erasure is under way any more."""
        for one in evidence:
            attached, _ = self._files_sealed[one]
            yield ErasedStillThere(
                what="files", evidence=one, position=attached.position, stream=attached.stream
            )

    def still_there(self, names: Collection[str], keys: Mapping[str, str]) -> Iterator[ErasedStillThere]:
        """Take of whom among ``erased`` there are names in the end, and the keys there are, with whose they are.

        Whoever comes again after an erasure has a new key, which no event before it names.
        """
        kept = {owner for key, owner in keys.items() if self._is_named_before(key, self.erased[owner])}
        for what, subjects in (("names", set(names)), ("keys", kept)):
            for subject in sorted(subjects):
                yield ErasedStillThere(what=what, subject=subject, position=self.erased[subject])

    def _is_named_before(self, key: str, erasure: int) -> bool:
        return self._seen.get(key, erasure) < erasure

    def missing(self) -> Iterator[str]:
        """Say in the end what is not there and was not erased either."""
        withheld = [one.position for person, one in self._unnamed.items() if person not in self.erased]
        self.counted.names_erased = len(self._unnamed) - len(withheld)
        self.counted.keys_erased = min(len(self._absent), self._keys_erased)
        self.counted.files_erased = min(len(self._files_absent), self._files_erased)
        if withheld:
            at = ", ".join(map(str, withheld[:MOST_NAMED]))
            yield (
                f"names of {len(withheld)} people, registered at positions {at} first:"
                " nothing in the log says that they were erased"
            )
        if keys := len(self._absent) - self.counted.keys_erased:
            yield f"{keys} keys of sealed values: nothing in the log says that they were erased"
        if files := len(self._files_absent) - self.counted.files_erased:
            at = ", ".join(map(str, self._files_absent[:MOST_NAMED]))
            yield (
                f"the content of {files} files (there is none of those attached at positions {at} first):"
                " nothing in the log says that they were erased"
            )
