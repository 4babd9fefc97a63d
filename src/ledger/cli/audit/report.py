"""What a verification found, in words: what was verified, what that means, and what it does not mean."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final

import msgspec

from ledger.cli.numbers import counted
from ledger.cli.refusals import printable
from ledger.verifier.report import Attested, Checked, Finding, Report
from ledger.verifier.verdict import Verdict

VERDICTS: Final = {
    Verdict.VERIFIED: "Verified.",
    Verdict.UNUSABLE: "Nothing was verified: this cannot be used.",
    Verdict.TAMPERED: "TAMPERED: this is not what was sealed.",
    Verdict.FORK: "FORK: the log has told two stories.",
    Verdict.POLICY_NOT_MET: "Not accepted: the policy is not met.",
    Verdict.INCOMPLETE: "Verified as far as it goes; it is not complete.",
}
MEANING: Final = """\
That means: since the log signed this, none of the events {first} to {last} was changed, removed, put in or moved, and
each names the one before it in its stream.
It does not mean that what was logged is true, that everything that happened was logged, or that nobody was shown another
log: for the last, compare checkpoints with others, or ask for witnesses in the policy."""


UNSIGNED: Final = """\
That means: the rows in this database, their hashes and the checkpoint in it agree with each other. Nobody looked whose signature
that checkpoint bears (--policy), nor whether the log was another one before (--since): whoever can write to the database may have
made it so."""


OF_EVIDENCE: Final = """\
That means: these are all events of this decision up to the last one here, as they were sealed{but}; names and files are those
that the log commits to. index.html and state.json tell of them in the words of whoever made the folder."""
BUT_UNPROVEN: Final = ", but for those without a proof, which nobody has signed"


def print_report(report: Report, *, as_json: bool) -> None:
    """Print a report about a bundle or a database."""
    if as_json:
        print_json(report)
        return
    print(VERDICTS[report.verdict])
    for line in (*_found(report), *_verified(report), *(f"  missing: {what}" for what in report.missing)):
        print(line)
    if report.verdict in {Verdict.VERIFIED, Verdict.INCOMPLETE} and report.last:
        print(_meaning(report))


def print_evidence(report: Report, *, as_json: bool) -> None:
    """Print a report about a folder of evidence."""
    if as_json:
        print_json(report)
        return
    print(VERDICTS[report.verdict])
    for line in (*_found(report), *(f"  missing: {what}" for what in report.missing)):
        print(line)
    if report.last and report.verdict in {Verdict.VERIFIED, Verdict.INCOMPLETE}:
        print(
            f"  decision {printable(report.decision)}, from position {report.first} to {report.last}; {counted(report.payloads, 'event')} in all"
        )
        for line in () if report.attested is None else _attested(report.attested):
            print(line)
        print(OF_EVIDENCE.format(but=BUT_UNPROVEN if report.unproven else ""))


def print_checked(report: Report, *, as_json: bool) -> None:
    """Print a report about one entry."""
    if as_json:
        print_json(report)
        return
    print(VERDICTS[report.verdict])
    for line in _found(report):
        print(line)
    if report.checked is None or report.attested is None:
        return
    for line in (*_checked(report.checked, report.last), *_attested(report.attested)):
        print(line)


def print_json(report: Report) -> None:
    """Print a report for programs."""
    print(msgspec.json.format(msgspec.json.encode(report), indent=2).decode())


def moment(seconds: int) -> str:
    """Write a moment as people read it."""
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (OverflowError, OSError, ValueError):
        return f"second {seconds}"


def _meaning(report: Report) -> str:
    if report.attested is None:
        return UNSIGNED
    last = report.last if report.unsealed_from is None else report.unsealed_from - 1
    return MEANING.format(first=report.first, last=last)


def _found(report: Report) -> Iterator[str]:
    for one in report.found:
        yield f"  {one.title} [{one.code}]"
        yield from _facts(one)


def _facts(one: Finding) -> Iterator[str]:
    for name, fact in one.facts.items():
        values = fact if isinstance(fact, list | tuple) else [fact]
        shown = moment(fact) if name == "newest" and isinstance(fact, int) else ", ".join(map(str, values))
        yield f"    {name.replace('_', ' ')}: {printable(shown)}"


def _verified(report: Report) -> Iterator[str]:
    if report.attested is not None:
        yield from _attested(report.attested)
    if report.last:
        yield f"  events {report.first} to {report.last}, in {counted(report.streams, 'stream')}; {counted(report.payloads, 'payload')}"
    if report.payloads_wrong:
        yield f"  not as sealed: {counted(report.payloads_wrong, 'payload')}, of which up to 20 are named"
    if report.streams_joined:
        yield f"  {counted(report.streams_joined, 'stream')} began before: the first event here of each was taken as it is"
    if report.since is not None:
        yield f"  it goes on from the earlier checkpoint, of {counted(report.since, 'event')}"
    for stamp in report.stamps:
        first = counted(stamp.size, "event")
        yield f"  its first {first} existed at {moment(stamp.seconds)}: an authority stamped that"
    if report.stamps_unread:
        unread = counted(report.stamps_unread, "time stamp")
        yield f"  not looked at, as --tsa names no authority: {unread}"
    if report.unsealed_from is not None:
        yield f"  events from {report.unsealed_from} on are not sealed yet: nothing but their chain was looked at"
    yield from _beside(report)


def _beside(report: Report) -> Iterator[str]:
    """Tell of names and keys: those that a database keeps, or a bundle discloses."""
    kept, told = report.kept, report.disclosed
    if kept is not None:
        yield f"  {counted(kept.names, 'name')} as committed to by the log; {kept.names_erased} erased, as it says"
        yield f"  {counted(kept.keys, 'key')} of sealed values; {kept.keys_erased} erased, as it says"
        yield f"  {counted(kept.files, 'file')} as attached; {kept.files_erased} erased, as it says"
    if told is not None:
        yield f"  {counted(told.names, 'name')} as committed to by the log; {told.names_erased} erased, as it says"
        yield f"  {counted(told.opened, 'sealed value')} opened; {told.unopened} without a key"


def _checked(entry: Checked, position: int) -> Iterator[str]:
    if entry.size is None:
        yield f"  The event at position {position} has the leaf hash {entry.leaf_hash}."
        yield "  The hash was verified, and not the content that it stands for: that takes the entry (--entry)."
        return
    yield f"  These {entry.size} bytes are the event at position {position}."
    event = entry.event
    if event is None:
        yield "  They have not the form of an event of this ledger."
    else:
        yield f"  {event.type} of {event.stream}, version {event.version}, recorded at {event.recorded_at}"
        yield f"  by {event.actor}"


def _attested(by: Attested) -> Iterator[str]:
    yield f"  {printable(by.origin)} with {counted(by.size, 'event')}, root {by.root}"
    yield f"  signed by the log's key {by.log_key}; quorum of witnesses: {printable(by.quorum)}"
    for name, seen in sorted(by.cosigned.items()):
        yield f"  seen by witness {printable(name)} at {moment(seen)}"
