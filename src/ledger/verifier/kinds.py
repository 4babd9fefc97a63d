"""What somebody handed over, at a glance: a slip of the hand is told apart from what was changed.

Whatever bears a single mark of the kind that is wanted is taken for it, so that one which was damaged or cut is still
*tampered*, and never "the wrong file".
"""

import re
from codecs import BOM_UTF8
from collections.abc import Set as AbstractSet
from enum import StrEnum
from typing import Final

from ledger.verifier.verdict import Unusable

BEGINNING: Final = 4_096
"""Bytes in which a file shows what it is."""

PROOF: Final = re.compile(rb"c2sp\.org/tlog-proof|[^\n]*\nindex [0-9]")
NOTE: Final = re.compile(
    rb"[^\n]+\n(?:0|[1-9][0-9]{0,18})(?:\n|\Z)"  # its size in the second line
    rb"|[^\n]+\n[^\n]+\n[A-Za-z0-9+/]{43}=\n"  # or its root in the third
    rb"|(?:[^\n]+\n)+\n\xe2\x80\x94 "  # or who signed, behind an empty line
)
ENTRY: Final = re.compile(rb'\{"v":[0-9]+,"event_id":"')
POLICY: Final = re.compile(rb"^(?:log|witness|quorum)[ \t]", re.MULTILINE)

BUNDLE_ONLY: Final = ("manifest.json", "VERIFY.md", "tile/", "payloads/", "disclosed/", "timestamps/")
EVIDENCE_ONLY: Final = ("events.ndjson", "supporting.ndjson", "people.json", "entries/", "proofs/")
OF_BOTH: Final = ("SHA256SUMS",)


class Kind(StrEnum):
    """What an auditor may hold in the hand."""

    PROOF = "the proof of an entry (e.tlog-proof)"
    ENTRY = "an entry of the log (e.json)"
    CHECKPOINT = "a signed checkpoint"
    POLICY = "a policy"
    BUNDLE = "a bundle"
    EVIDENCE = "a folder of evidence"


class WrongKind(Unusable):
    """This is not the kind of file or folder that is wanted here: nothing in it was looked at.

    Context: the ``file`` or ``folder``, what it is (``given``), what is ``wanted``, and the command to ``try``.
    """

    code = "wrong-kind"


class LineEndsChanged(Unusable):
    """A program has put other line ends into this file, or a byte order mark before it: take it byte for byte.

    Context: the ``file``.
    """

    code = "line-ends-changed"


def check_file(file: str, raw: bytes, wanted: Kind) -> None:
    """Check that a file has the look of a proof or a checkpoint; an entry has to look like neither.

    Raises:
        LineEndsChanged: it came through a program that writes text as it likes to: nobody tampers like that.
        WrongKind: it is something else.
    """
    if wanted is not Kind.ENTRY and raw and _is_rewritten(raw):
        raise LineEndsChanged(file=file)
    given = _kind(raw)
    if given is wanted or (wanted is Kind.ENTRY and given not in {Kind.PROOF, Kind.CHECKPOINT}):
        return
    raise WrongKind(file=file, given=given or _nothing(raw), wanted=wanted.value)


def check_folder(folder: str, names: AbstractSet[str], wanted: Kind) -> None:
    """Check that a folder with files of these names is a bundle, or one of evidence, whole or not.

    Raises:
        WrongKind: it is the other one, or neither.
    """
    own, others = (BUNDLE_ONLY, EVIDENCE_ONLY) if wanted is Kind.BUNDLE else (EVIDENCE_ONLY, BUNDLE_ONLY)
    if _holds(names, own):
        return
    if _holds(names, others):
        given = Kind.EVIDENCE if wanted is Kind.BUNDLE else Kind.BUNDLE
        instead = "check --evidence" if given is Kind.EVIDENCE else "verify"
        raise WrongKind(
            folder=folder,
            given=given.value,
            wanted=wanted.value,
            **{"try": f"ledger audit {instead} {folder}"},
        )
    if not _holds(names, OF_BOTH):
        what = "no file of a bundle or of evidence" if names else "an empty folder"
        raise WrongKind(folder=folder, given=what, wanted=wanted.value)


def _kind(raw: bytes) -> Kind | None:
    beginning = raw[:BEGINNING]
    for kind, mark in ((Kind.PROOF, PROOF), (Kind.CHECKPOINT, NOTE), (Kind.ENTRY, ENTRY)):
        if mark.match(beginning):
            return kind
    return Kind.POLICY if POLICY.search(beginning) else None


def _is_rewritten(raw: bytes) -> bool:
    """Tell whether every line ends as elsewhere, or a mark was put in front; one flipped byte does neither."""
    ends = raw.count(b"\n")
    return raw.startswith(BOM_UTF8) or (ends > 1 and raw.count(b"\r\n") == ends)


def _nothing(raw: bytes) -> str:
    return "none of the files that are known here" if raw else "an empty file"


def _holds(names: AbstractSet[str], marks: tuple[str, ...]) -> bool:
    return any(
        name == mark or (mark.endswith("/") and name.startswith(mark)) for name in names for mark in marks
    )
