"""``ledger audit evidence``: one decision in one folder, which can be judged and verified without us."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Final

import msgspec
from cyclopts import Parameter

from ledger.api.export_wire import person_told
from ledger.cli.audit.report import print_report
from ledger.cli.evidence.dossier import Dossier, gather
from ledger.cli.evidence.files import File, Standing, write_files
from ledger.cli.evidence.leaves import Leaf
from ledger.cli.evidence.page import evidence_page
from ledger.cli.exporting.folder import Folder, new_folder
from ledger.cli.operating import by_operator, disclosing
from ledger.command_handling.context import CommandContext
from ledger.command_handling.facts import Facts
from ledger.command_handling.handler import handle
from ledger.domain.decision.events import EvidenceAttached
from ledger.domain.export.commands import ExportDecision
from ledger.domain.export.decide import EXPORT
from ledger.domain.ids import DecisionId, PersonId
from ledger.identity.identity import utc_now
from ledger.identity.people import ERASED
from ledger.store.ledger import Ledger, export_stream
from ledger.verifier.report import Report
from ledger.verifier.verdict import Unverified

INDENT: Final = 2
POLICY: Final = """# A template of whom you believe (C2SP tlog-policy). This file is one of those that are verified, so leave it as it is:
#
#     cp policy-template.txt ../policy.txt
#
# edit the copy, and then: ledger audit check --evidence . --policy ../policy.txt
#
# The key is not in here, and must not be taken from this folder: whoever could forge the one could forge the other.
# Ask the operator of {origin} for it ('ledger notary status' shows it), or somebody who has verified this log before,
# by another way than this folder came, and write it into this line:
#
# log {origin}+…
#
# Witnesses, if you know some: "witness NAME KEY", then "group GROUP COUNT NAME NAME …" and "quorum GROUP".
quorum none
"""


class _Line(msgspec.Struct, frozen=True, kw_only=True):
    """An event: ``envelope`` is the entry of the log, ``payload`` what was stored, both as text and byte for byte."""

    position: int
    event_id: str
    stream: str
    version: int
    type: str
    schema_version: int
    recorded_at: str
    actor: str
    leaf_hash: str
    envelope: str
    salt: str
    payload: str


class _Erased(msgspec.Struct, frozen=True):
    person: PersonId
    standing: str = ERASED


def evidence(
    decision: str,
    *,
    output: Annotated[Path, Parameter(name=("--output", "-o"), help="The folder to make.")],
) -> int:
    """Write all about one DECISION into a new folder: a page for people, and what programs need to verify it.

    Names and attached files are in it: treat it as personal data. That it was made is an event in the ledger.
    Exit codes: 0 written, 1 refused, 2 tampered: the database holds something else than what was sealed, and nothing
    was written.
    """
    try:
        told = asyncio.run(_evidence(DecisionId(decision), output))
    except Unverified as wrong:
        return not_written(wrong)
    print(f"{output}: {told}")
    return 0


def not_written(wrong: Unverified) -> int:
    """Say what the database holds that was not sealed; the exit code."""
    report = Report()
    report.found_wrong(wrong)
    print_report(report, as_json=False)
    print("  Nothing was written. 'ledger audit verify --database' looks at all events.")
    return report.verdict


async def _evidence(decision: DecisionId, output: Path) -> str:
    async with disclosing() as (ledger, keyring):
        dossier = await gather(ledger, keyring, decision, now=utc_now())
        await write_evidence(ledger, dossier, output)
    proven = sum(leaf.proof is not None for leaf in dossier.leaves)
    return f"{len(dossier.leaves)} events, {proven} of them proven; begin with index.html"


async def write_evidence(ledger: Ledger, dossier: Dossier, output: Path) -> None:
    """Write a dossier down, once the ledger has it that somebody took it.

    Raises:
        FolderTaken, CannotWrite: the folder cannot be made.
    """
    with new_folder(output) as folder:
        await _record(ledger, dossier)
        files = await write_files(ledger, dossier, folder)
        _write_events(dossier, folder)
        _write_facts(dossier, folder)
        _write_erased(dossier, files, folder)
        folder.write("index.html", evidence_page(dossier, files))


async def _record(ledger: Ledger, dossier: Dossier) -> None:
    provenance = by_operator()

    def build(facts: Facts) -> ExportDecision:
        story = dossier.story
        return ExportDecision(now=facts.now, by=None, decision_id=story.decision, last=story.last)

    stream = export_stream(provenance.command_id)
    await handle(
        ledger, CommandContext(decider=EXPORT, target=stream, clock=utc_now, provenance=provenance), build
    )


def _write_events(dossier: Dossier, folder: Folder) -> None:
    folder.write("events.ndjson", b"".join(map(_line, dossier.leaves)))
    folder.write("supporting.ndjson", b"".join(map(_line, dossier.supporting)))
    for leaf in (*dossier.leaves, *dossier.supporting):
        folder.write(f"entries/{leaf.position}.json", leaf.envelope)
        if leaf.proof is not None:
            folder.write(f"proofs/{leaf.position}.tlog-proof", leaf.proof.encode())
    if dossier.seal is not None:
        folder.write("checkpoint", dossier.seal.note.encode())


def _write_facts(dossier: Dossier, folder: Folder) -> None:
    origin = "the log" if dossier.seal is None else dossier.seal.origin
    folder.write("policy-template.txt", POLICY.format(origin=origin).encode())
    folder.write("policy.json", _readable(dossier.story.case.policy))
    state = dossier.opener.json(_readable(dossier.story.state).decode())
    folder.write("state.json", state.encode())
    people = [
        _Erased(one.person) if one.row is None else person_told(one.row) for one in dossier.people.values()
    ]
    folder.write("people.json", _readable(people))


def _write_erased(dossier: Dossier, files: Sequence[File], folder: Folder) -> None:
    """Say for programs at which positions files were attached that were erased since."""
    gone = {file.event.evidence for file in files if file.standing is Standing.ERASED}
    if gone:
        erased = [
            one.position
            for one in dossier.story.events
            if isinstance(one.event, EvidenceAttached) and one.event.evidence in gone
        ]
        folder.write("erased.json", _readable(erased))


def _line(leaf: Leaf) -> bytes:
    stored = leaf.stored
    line = _Line(
        position=stored.position,
        event_id=str(stored.event_id),
        stream=stored.stream,
        version=stored.version,
        type=stored.type,
        schema_version=stored.schema_version,
        recorded_at=stored.recorded_at.isoformat(),
        actor=stored.actor,
        leaf_hash=stored.leaf.hex(),
        envelope=leaf.envelope.decode(),
        salt=leaf.salt,
        payload=leaf.payload,
    )
    return msgspec.json.encode(line) + b"\n"


def _readable(what: object) -> bytes:
    return msgspec.json.format(msgspec.json.encode(what), indent=INDENT) + b"\n"
