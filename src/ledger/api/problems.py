"""Refusals as RFC 9457 problem documents; the one table of statuses (ADR 0007)."""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Final

import msgspec
import structlog
from litestar import Response
from litestar.exceptions import (
    HTTPException,
    MethodNotAllowedException,
    NotFoundException,
)
from litestar.status_codes import HTTP_413_REQUEST_ENTITY_TOO_LARGE

from ledger.api.refusals import OUR_RULES, is_conflict
from ledger.api.request_id import request_id_of
from ledger.api.types import HttpRequest
from ledger.domain.account.decide import NotAServiceAccount, SecondFactorNeeded, SecondFactorNotEnabled
from ledger.domain.account.placing import NotADecider, NotAnAnalyst
from ledger.domain.authority import InsufficientPermissions, SessionIsPaused, StepUpRequired
from ledger.domain.errors import (
    Corrupt,
    Invalid,
    KeyReused,
    LedgerError,
    NotFound,
    Overloaded,
    PreconditionFailed,
    Refused,
    RuleViolation,
    Unauthenticated,
    Unavailable,
    VersionConflict,
)
from ledger.domain.export.decide import ExportRule
from ledger.domain.kind.state import KindRule
from ledger.domain.operations.decide import ProjectionState
from ledger.domain.policy.decide import PolicyRule
from ledger.domain.subject.decide import SubjectRule
from ledger.domain.webhook.decide import WebhookRule
from ledger.limiting.rates import TooManyRequests
from ledger.payloads.faults import Faulty
from ledger.store.evidence import EvidenceErased

log = structlog.get_logger()

RETRY_AFTER_SECONDS: Final = "2"
UNTOLD: Final = frozenset({"person", "session", "stream"})
MISSING: Final = re.compile(r"Missing required \w+ parameter '([^']+)'")

STATUSES: Final[tuple[tuple[type[LedgerError], int], ...]] = (
    *((rule, 409) for rule in OUR_RULES),
    (ProjectionState, 409),
    (WebhookRule, 409),
    (KindRule, 409),
    (PolicyRule, 409),
    (SubjectRule, 409),
    (EvidenceErased, 410),
    (ExportRule, 409),
    (SessionIsPaused, 409),
    (NotAServiceAccount, 409),
    (NotADecider, 409),
    (NotAnAnalyst, 409),
    (SecondFactorNeeded, 409),
    (SecondFactorNotEnabled, 409),
    (RuleViolation, 400),  # on the calls of the service this one replaces; 409 on calls of our own
    (Unauthenticated, 401),
    (Refused, 403),
    (NotFound, 404),
    (VersionConflict, 409),
    (PreconditionFailed, 412),
    (TooManyRequests, 429),
    (KeyReused, 422),
    (Invalid, 422),
    (Overloaded, 503),
    (Unavailable, 503),
    (Corrupt, 503),
)
"""The first line that fits decides."""


class FieldError(msgspec.Struct, frozen=True):
    """What is wrong with one field of a request."""

    field: str
    message: str


class Problem(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A problem document (RFC 9457, section 3.1), with our stable ``code``."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    code: str
    request_id: str
    context: dict[str, str] | None = None
    errors: tuple[FieldError, ...] | None = None


class InvalidRequest(Invalid):
    """The request is not well-formed."""

    code = "invalid-request"
    advice = "Mend the fields named in 'errors' and send it again; nothing was written."

    def __init__(self, *errors: FieldError) -> None:
        """Name every field that is wrong, and how."""
        super().__init__()
        self.errors = errors


class WrongContentType(LedgerError):
    """The body is of another content type than this call takes."""

    code = "wrong-content-type"


class BodyTooLarge(LedgerError):
    """The body is larger than this service takes."""

    code = "body-too-large"
    advice = "Nothing was written; send less, or have LEDGER_MAX_BODY_BYTES raised."


class EvidenceTooLarge(LedgerError):
    """The file is larger than this service takes.

    Context: ``most`` bytes.
    """

    code = "evidence-too-large"
    advice = "Nothing was written; send less, or have LEDGER_MAX_EVIDENCE_BYTES raised."


class NoSuchPath(NotFound):
    """There is no such path: not found."""

    code = "no-such-path"
    advice = "GET /openapi.json lists what there is."


class MethodNotAllowed(LedgerError):
    """This path does not take that method."""

    code = "method-not-allowed"


class RequestTimeout(LedgerError):
    """The request did not arrive in time."""

    code = "request-timeout"
    advice = "Nothing was written; send it again, all of it at once."


class ClientLeft(LedgerError):
    """The client hung up before its request was complete."""

    code = "client-left"


class HeadTooLarge(LedgerError):
    """The request line and the headers are larger than this service takes."""

    code = "head-too-large"


class MalformedHttp(LedgerError):
    """This is not HTTP/1.1 as this service reads it."""

    code = "malformed-http"


class NoHandshake(LedgerError):
    """This is no handshake of a WebSocket."""

    code = "no-handshake"
    advice = "Send it as RFC 6455, section 4.1, has it, or leave out the Upgrade header."


class NoWebSocketHere(LedgerError):
    """No WebSocket is opened here, or not at this moment."""

    code = "no-web-socket-here"
    advice = "Alerts are at GET /ws/USERNAME; whoever has asked too often comes again in a minute."


class UnknownTransferCoding(LedgerError):
    """The body is in a transfer coding that this service does not undo."""

    code = "unknown-transfer-coding"
    advice = "Send it with a Content-Length, or chunked and nothing else."


class Stopping(Unavailable):
    """The service stopped before it could answer; what was asked may have happened."""

    code = "stopping"
    advice = "Send it again, with the same Idempotency-Key, when the service is back."


class Unforeseen(LedgerError):
    """Something went wrong inside."""

    code = "internal-error"
    advice = "It is in the service's log under this request_id; nothing is known to have been written."


FRAMEWORK_STATUSES: Final[Mapping[type[LedgerError], int]] = {
    WrongContentType: 415,
    BodyTooLarge: 413,
    EvidenceTooLarge: 413,
    MethodNotAllowed: 405,
    RequestTimeout: 408,
    HeadTooLarge: 431,
    MalformedHttp: 400,
    NoHandshake: 400,
    NoWebSocketHere: 403,
    ClientLeft: 499,  # nobody reads it: it stands in the log and in the metrics alone
    UnknownTransferCoding: 501,  # RFC 9112, section 6.1
    Unforeseen: 500,
}
HANGS_UP: Final = frozenset({RequestTimeout, HeadTooLarge, MalformedHttp, UnknownTransferCoding, Stopping})
"""Where the rest of the request is not read, so that nothing else can follow on its connection."""


def status_of(error: LedgerError) -> int:
    """Look an error up in the table of statuses."""
    return _status_of(type(error))


def status_at(kind: type[LedgerError], template: str) -> int:
    """Say with which status a refusal is told by the call whose path is ``template``."""
    return 409 if is_conflict(kind, template) else _status_of(kind)


def _status_of(kind: type[LedgerError]) -> int:
    for family, status in STATUSES:
        if issubclass(kind, family):
            return status
    return FRAMEWORK_STATUSES.get(kind, 500)


def problem_of(error: LedgerError, *, path: str, request_id: str, template: str = "") -> Problem:
    """Write an error as a problem document; ``template`` is the path of the call as its route has it."""
    return Problem(
        type=f"urn:ledger:problem:{error.code}",
        title=error.title(),
        status=status_at(type(error), template),
        detail=" ".join(part for part in (error.title(), error.advice) if part),
        instance=path,
        code=error.code,
        request_id=request_id,
        context=_told(error.context),
        errors=_fields(error),
    )


def _fields(error: LedgerError) -> tuple[FieldError, ...] | None:
    """Name what is wrong with fields of the body, or with places in a document that is one of them."""
    if isinstance(error, InvalidRequest):
        return error.errors
    if isinstance(error, Faulty):
        return tuple(FieldError(f"/{error.place}{fault.pointer}", fault.message) for fault in error.faults)
    return None


def _told(context: Mapping[str, object]) -> dict[str, str] | None:
    """Leave out what is not there, and opaque ids of people, sessions and streams: they belong in the history."""
    facts = {name: fact for name, fact in context.items() if name not in UNTOLD and fact is not None}
    return {name: _written(fact) for name, fact in facts.items()} or None


def _written(fact: object) -> str:
    if isinstance(fact, tuple | list):
        return ", ".join(_written(one) for one in fact)
    return str(msgspec.to_builtins(fact)) if isinstance(fact, datetime) else str(fact)


def on_ledger_error(request: HttpRequest, error: LedgerError) -> Response[bytes]:
    """Answer a refusal."""
    problem = problem_of(
        error,
        path=request.url.path,
        request_id=request_id_of(request.scope),
        template=str(request.scope.get("path_template", "")),
    )
    return Response(
        msgspec.json.encode(problem),
        status_code=problem.status,
        media_type="application/problem+json",
        headers=headers_of(error),
    )


def headers_of(error: LedgerError) -> dict[str, str]:
    """Give the headers that a refusal is answered with, beside those of every answer."""
    if type(error) in HANGS_UP:
        return {"Connection": "close", **_headers(error, status_of(error))}
    return _headers(error, status_of(error))


def _headers(error: LedgerError, status: int) -> dict[str, str]:
    if status == 503:  # noqa: PLR2004 - Service Unavailable
        return {"Retry-After": RETRY_AFTER_SECONDS}
    if "retry_after" in error.context:
        return {"Retry-After": str(error.context["retry_after"])}
    if isinstance(error, InsufficientPermissions):
        return {"WWW-Authenticate": 'Bearer error="insufficient_scope"'}  # RFC 6750, section 3.1
    if isinstance(error, StepUpRequired):  # RFC 9470, section 3
        max_age = error.context["within_seconds"]
        challenge = f'Bearer error="insufficient_user_authentication", max_age="{max_age}"'
        return {"WWW-Authenticate": challenge}
    if isinstance(error, Unauthenticated):
        return {"WWW-Authenticate": "Bearer"}  # RFC 9110, section 11.6.1
    return {}


def on_framework_error(request: HttpRequest, error: HTTPException) -> Response[bytes]:
    """Answer what the framework refused before any of our code ran."""
    if isinstance(error, NotFoundException):
        return on_ledger_error(request, NoSuchPath())
    if isinstance(error, MethodNotAllowedException):
        refused = on_ledger_error(request, MethodNotAllowed(method=request.method))
        refused.headers.update(error.headers or {})
        return refused
    if error.status_code == HTTP_413_REQUEST_ENTITY_TOO_LARGE:
        return on_ledger_error(request, BodyTooLarge())
    if error.status_code < 500:  # noqa: PLR2004 - the client's fault: a parameter that does not fit
        return on_ledger_error(request, InvalidRequest(*_parameters(error)))
    return on_unforeseen(request, error)


def _parameters(error: HTTPException) -> tuple[FieldError, ...]:
    extra = error.extra if isinstance(error.extra, list) else []
    named = tuple(
        FieldError(str(item.get("key", "request")), str(item.get("message", "")))
        for item in extra
        if isinstance(item, dict)
    )
    missing = MISSING.search(error.detail)
    return named or (
        FieldError(missing[1], "is required") if missing else FieldError("request", error.detail),
    )


def on_unforeseen(request: HttpRequest, error: Exception) -> Response[bytes]:
    """Answer a fault of ours: logged with its traceback, told without."""
    log.error("request.failed", path=request.url.path, exc_info=error)
    return on_ledger_error(request, Unforeseen())
