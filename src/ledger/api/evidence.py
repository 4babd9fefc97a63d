"""Evidence files over HTTP: attached as they are, listed, and given out as attachments and nothing else."""

from base64 import b64encode
from typing import Annotated, Final
from urllib.parse import quote
from uuid import uuid4

import msgspec
from litestar import Controller, Response, get, post
from litestar.params import FromPath, QueryParameter
from litestar.response import Stream

from ledger.api.bodies import must_not_be_sealed
from ledger.api.call import Call
from ledger.api.conditional import etag
from ledger.api.decision_wire import Evidence, ListedEvidence, evidence_listed, evidence_told
from ledger.api.desk import FEEDS, Wish, act, named, rehearse, row_of
from ledger.api.evidence_rules import ALLOWED, harmless_name, media_type, must_not_be_coded
from ledger.api.types import HttpRequest
from ledger.api.uploads import Upload
from ledger.api.wire import decision_id
from ledger.command_handling.answering import Handled
from ledger.command_handling.facts import Facts
from ledger.domain.authority import Authority
from ledger.domain.decision.commands import AttachEvidence, DecisionCommand
from ledger.domain.decision.events import DecisionEvent, EvidenceAttached
from ledger.domain.decision.state import DecisionNotFound, DecisionState, case_of
from ledger.domain.errors import NotFound, PreconditionFailed, RuleViolation
from ledger.domain.ids import DecisionId, Digest, EvidenceId, SubjectKeyId
from ledger.personal import keys
from ledger.personal.covering import SubjectErased
from ledger.personal.opening import opened_text
from ledger.projections.decision_row import File, file_of
from ledger.store import evidence
from ledger.store.evidence import Content
from ledger.store.pool import Connection

NO_DIGEST: Final = Digest("0" * 64)
SANDBOX: Final = "default-src 'none'; sandbox; frame-ancestors 'none'"


class EvidenceNotFound(NotFound):
    """There is no such file here: evidence not found."""

    code = "evidence-not-found"
    advice = "GET …/evidence lists what there is."


class _Label(msgspec.Struct, frozen=True, kw_only=True):
    """What is said of a file before its content is there."""

    name: str
    media_type: str

    def wish(self, content: Content) -> Wish:
        """Make it a wish."""

        def wish(facts: Facts, by: Authority, _: DecisionState) -> AttachEvidence:
            return AttachEvidence(
                now=facts.now,
                by=by,
                evidence=content.evidence,
                name=self.name,
                media_type=self.media_type,
                size=content.size,
                sha256=content.sha256,
            )

        return wish


class EvidenceController(Controller):
    """Files that are attached to decisions."""

    path = "/api/decisions"
    tags = ("Decisions",)

    @post(
        "/{analysis_id:str}/evidence",
        status_code=200,
        request_max_body_size=None,
        opt={"file": sorted(ALLOWED), "answer": Evidence, "keyed": True, "tagged": True},
    )
    async def attach(
        self,
        request: HttpRequest,
        analysis_id: FromPath[str],
        name: Annotated[str, QueryParameter(min_length=1, max_length=2_000)],
    ) -> Response[bytes]:
        """Attach a file while the decision is open: the body is the file, 'name' its name, Content-Type its type.

        What its name, its type and its Content-Length say is looked at before it is read.
        """
        call = Call(request)
        wanted = decision_id(analysis_id)
        must_not_be_sealed(name, "name")
        must_not_be_coded(request.headers.get("content-encoding", ""))
        label = _Label(
            name=harmless_name(name), media_type=media_type(request.headers.get("content-type", ""))
        )
        await _must_be_welcome(call, wanted, label)
        async with call.services.uploads.receive(request, label.media_type, call.principal.person) as upload:
            handled = await _attach(call, wanted, label, upload)
        return await _answered(call, handled)

    @get("/{analysis_id:str}/evidence", opt={"answer": list[ListedEvidence], "tagged": True})
    async def list_evidence(self, request: HttpRequest, analysis_id: FromPath[str]) -> Response[bytes]:
        """List the files of a decision."""
        call = Call(request)
        row = await row_of(call, decision_id(analysis_id))
        names = await named(call, [file.by for file in row.evidence])
        ledger = call.services.ledger
        erased = await evidence.erased_of(
            ledger.pool, ledger.ledger_id, [file.evidence for file in row.evidence]
        )
        told = [evidence_listed(file, names, is_erased=file.evidence in erased) for file in row.evidence]
        return await call.shown(told, headers={"ETag": etag(row.version)})

    @get(
        "/{analysis_id:str}/evidence/{evidence_id:str}",
        opt={
            "media": "*/*",
            "tells": ("Content-Disposition", "Repr-Digest"),
            "also": {410: "The content has been erased"},
        },
    )
    async def download(
        self, request: HttpRequest, analysis_id: FromPath[str], evidence_id: FromPath[str]
    ) -> Stream:
        """Give a file out, as an attachment and nothing else; that it is what was attached has been checked."""
        call = Call(request)
        row = await row_of(call, decision_id(analysis_id))
        file = next((file for file in row.evidence if str(file.evidence) == evidence_id), None)
        if file is None:
            raise EvidenceNotFound
        ledger = call.services.ledger
        content = Content(evidence=file.evidence, size=file.size, sha256=file.sha256)
        await evidence.verify(ledger.pool, ledger.ledger_id, content)
        return Stream(
            evidence.chunks_of(ledger.pool, ledger.ledger_id, content),
            media_type=file.media_type,
            headers=_headers(file, await opened_text(call.services.identity, file.name)),
        )


async def _must_be_welcome(call: Call, wanted: DecisionId, label: _Label) -> None:
    """Refuse a file before it is read.

    Raises:
        LedgerError: it would not be attached.
    """
    try:
        await rehearse(call, wanted, label.wish(_content(0, NO_DIGEST)))
    except (RuleViolation, PreconditionFailed):
        if (
            not call.is_keyed
        ):  # what is sent again is answered as it was, though it be too late for another one
            raise


def _content(size: int, sha256: Digest) -> Content:
    return Content(evidence=EvidenceId(uuid4()), size=size, sha256=sha256)


async def _attach(call: Call, wanted: DecisionId, label: _Label, upload: Upload) -> Handled[DecisionEvent]:
    """Write the file and its event down in one transaction."""
    ledger, content = call.services.ledger, _content(upload.size, upload.sha256)
    stream = ledger.decision_stream(wanted)
    sealed_under: SubjectKeyId | None = None

    def wish(facts: Facts, by: Authority, state: DecisionState) -> DecisionCommand:
        nonlocal sealed_under
        sealed_under = case_of(state).sealed_under
        return label.wish(content)(facts, by, state)

    async def keep(conn: Connection) -> None:
        if sealed_under is not None and not await keys.hold(conn, ledger.ledger_id, sealed_under):
            raise SubjectErased(decision_id=wanted)
        await evidence.keep(
            conn,
            ledger.ledger_id,
            content,
            stream=stream,
            chunks=upload.chunks(),
            now=call.services.clock(),
        )

    said = f"{label.media_type} {upload.sha256}".encode()
    return await act(
        call,
        wanted,
        wish,
        alongside=keep,
        provenance=await call.provenance_of(said),
    )


async def _answered(call: Call, handled: Handled[DecisionEvent]) -> Response[bytes]:
    for recorded in handled.events:
        event = recorded.event
        if isinstance(event, EvidenceAttached):
            names = await named(call, [event.by])
            body = evidence_told(file_of(event), names)
            return await call.answer(body, handled=handled, feeds=FEEDS, is_tagged=True)
    raise DecisionNotFound


def _headers(file: File, name: str) -> dict[str, str]:
    """Let a browser save the file, and do nothing else with it."""
    plain = name.encode("ascii", "replace").decode().replace("?", "_").replace("\\", "_")
    digest = b64encode(bytes.fromhex(file.sha256)).decode()
    return {
        # RFC 6266, section 4.3: both forms, for those who know one of them alone.
        "Content-Disposition": f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}",
        "Content-Length": str(file.size),
        "Content-Security-Policy": SANDBOX,
        "Repr-Digest": f"sha-256=:{digest}:",  # RFC 9530, section 3
    }
