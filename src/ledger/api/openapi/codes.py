"""With which codes a call may be refused, beside those that follow from what a call is: one line for each.

A test holds every refusal that any test sees against this; another one finds refusals that no call lists. There will
be more codes in time: clients take one that they do not know for what its status means (docs/api-changes.md).
"""

from collections.abc import Iterator, Mapping
from typing import Final

from litestar.handlers import HTTPRouteHandler

from ledger.api.permissions import PERMISSIONS, PUBLIC
from ledger.api.problems import status_at
from ledger.domain.errors import LedgerError

OF_ALL: Final = "invalid-request too-many-requests overloaded stopping unavailable database-unreachable"
OF_READERS: Final = (
    "unreadable impossible-time unreadable-event unknown-event-type unknown-schema-version view-row-missing"
)
OF_SESSIONS: Final = "not-authenticated invalid-token token-expired session-not-live"
OF_COMMANDS: Final = "request-timeout body-too-large too-many-bodies outcome-unknown rejected-by-database version-conflict read-conflict session-paused"
OPEN: Final = "decision-not-found decision-closed already-made deadline-passed"
HELD: Final = "lease-held lease-lost assigned-to-another"
PERSONAL: Final = "subject-erased another-subject data-subject-missing subject-key-unreadable"
MAY_VOTE: Final = "self-review not-in-group escalator-may-not-decide already-voted all-votes-are-in"
SHOWN: Final = "subject-changed subject-not-named"
PARAMETERS: Final = (
    "only-approvals-change parameter-not-editable unknown-parameter parameter-does-not-fit invalid-payload"
)
VERDICT: Final = (
    f"{OPEN} {HELD} {MAY_VOTE} {SHOWN} {PARAMETERS} {PERSONAL} action-not-allowed reason-required "
    "escalation-reason-required escalation-exhausted step-up-required"
)
ACCOUNT: Final = "account-not-found last-admin step-up-required reason-missing"
TERMS: Final = (
    "bad-group-name bad-pointer inconsistent-policy policy-allows-nothing policy-approves-by-default policy-can-tie "
    "policy-cannot-be-sealed policy-marks-hit-nothing policy-default-without-deadline policy-groups-need-too-many policy-ladder-incomplete "
    "policy-ladder-too-long policy-names-too-many policy-nothing-to-measure policy-nowhere-to-escalate "
    "policy-out-of-range policy-personal-is-editable policy-personal-overlaps policy-subject-of-nothing "
    "policy-target-after-deadline policy-too-few-voters policy-unknown-personal-text"
)
DRAFT: Final = (
    "policy-not-found kind-not-found not-a-draft policy-not-in-force step-up-required reason-missing"
)
HOOK: Final = "webhook-not-found step-up-required reason-missing webhook-state webhook-held webhook-not-held"
TARGET: Final = (
    "webhook-url webhook-address-refused unknown-topic account-not-found not-a-service-account webhook-exists"
)
ERASURE: Final = (
    "subject-not-found own-erasure legal-hold already-erased account-still-active no-erasure-requested last-admin "
    "step-up-required reason-missing"
)
BUILD: Final = "projection-not-found rebuild-under-way reason-missing projection-state"
FILES: Final = "too-many-files unreadable-payload"
EXPORT: Final = f"export-not-found export-over not-in-export {FILES}"
KIND: Final = "built-in-kind kind-not-found kind-retired reason-missing step-up-required"
SCHEMA: Final = "bad-kind-title invalid-schema schema-too-large"
NEW_SUBMISSION: Final = (
    f"already-exists unknown-kind kind-retired invalid-payload unreadable-schema {PERSONAL}"
)

CODES: Final[Mapping[str, str]] = {
    "GET /api/docs/{asset}": "no-such-path",
    "GET /metrics": "no-such-path wrong-metrics-token",
    "POST /api/auth/register": "already-registered step-up-required too-many-failures unstorable-text",
    "POST /api/auth/login": "wrong-credentials inactive-user too-many-failures unreadable-credential credential-differs",
    "POST /api/auth/refresh": "invalid-refresh-token refresh-token-reused session-not-live",
    "POST /api/auth/2fa/setup": "second-factor-active",
    "POST /api/auth/2fa/verify": "invalid-2fa-code second-factor-not-set-up too-many-failures unreadable-second-factor",
    "POST /api/auth/2fa/backup-codes": "step-up-required second-factor-not-enabled",
    "POST /api/auth/2fa/disable": "step-up-required second-factor-not-enabled second-factor-needed",
    "POST /api/auth/2fa/required": "step-up-required reason-missing",
    "POST /api/auth/step-up": "invalid-2fa-code second-factor-not-set-up too-many-failures unreadable-second-factor",
    "POST /api/auth/users/{username}/2fa/disable": f"{ACCOUNT} second-factor-not-enabled",
    "POST /api/auth/users/{username}/deactivate": ACCOUNT,
    "POST /api/auth/users/{username}/reactivate": ACCOUNT,
    "POST /api/auth/users/{username}/role": ACCOUNT,
    "POST /api/auth/users/{username}/password": f"{ACCOUNT} own-account-only wrong-current-password too-many-failures credential-differs",
    "POST /api/auth/users/{username}/groups": f"{ACCOUNT} malformed-group-name too-many-groups not-a-decider",
    "POST /api/auth/users/{username}/lead": f"{ACCOUNT} not-an-analyst",
    "GET /api/sessions": "account-not-found",
    "POST /api/sessions/{session_id}/revoke": "session-not-found own-session-only reason-missing",
    "POST /api/keys": f"{ACCOUNT} not-a-service-account",
    "DELETE /api/keys/{key_id}": "key-not-found step-up-required reason-missing",
    "POST /api/decisions/submit": NEW_SUBMISSION,
    "GET /api/decisions/{analysis_id}": "decision-not-found subject-key-unreadable",
    "GET /api/decisions/{analysis_id}/response": "decision-not-found decision-pending too-many-waiters",
    "GET /api/stream": "too-many-streams",
    "POST /api/decisions/next": f"{HELD} too-many-claims",
    "POST /api/decisions/{analysis_id}/claim": f"{OPEN} {HELD} {MAY_VOTE} {PERSONAL} too-many-claims lead-required reason-missing",
    "POST /api/decisions/{analysis_id}/renew": f"{OPEN} {HELD}",
    "POST /api/decisions/{analysis_id}/release": f"{OPEN} {HELD}",
    "POST /api/decisions/{analysis_id}/hand-over": f"{OPEN} {HELD} {MAY_VOTE} handover-to-yourself colleague-cannot-review",
    "POST /api/decisions/{analysis_id}/accept": f"{OPEN} {HELD} {MAY_VOTE} nothing-offered too-many-claims",
    "POST /api/decisions/{analysis_id}/assign": f"{OPEN} {HELD} {MAY_VOTE} {PERSONAL} lead-required colleague-cannot-review reason-missing",
    "POST /api/decisions/{analysis_id}/reprioritise": f"{OPEN} {PERSONAL} lead-required reason-missing",
    "POST /api/decisions/{analysis_id}/decide": VERDICT,
    "POST /api/decisions/{analysis_id}/escalate": VERDICT,
    "POST /api/decisions/bulk/preview": "selection-mixed",
    "POST /api/decisions/bulk/decide": "selection-differs",
    "POST /api/decisions/bulk/assign": "selection-differs lead-required",
    "POST /api/decisions/{analysis_id}/withdraw": f"{OPEN} not-the-submitter reason-missing {PERSONAL}",
    "POST /api/decisions/{analysis_id}/supersede": f"{OPEN} not-the-submitter no-successor reason-missing {PERSONAL}",
    "POST /api/decisions/{analysis_id}/cancel": f"{OPEN} reason-missing step-up-required {PERSONAL}",
    "POST /api/decisions/{analysis_id}/override": (
        f"{OPEN} {SHOWN} ticket-required reason-missing step-up-required action-not-allowed {PERSONAL}"
    ),
    "POST /api/decisions/{analysis_id}/countersign": (
        f"{OPEN} nothing-to-countersign countersign-too-late own-override step-up-required {PERSONAL}"
    ),
    "POST /api/decisions/{analysis_id}/comment": f"{OPEN} nothing-said too-many-comments not-a-participant {PERSONAL}",
    "GET /api/decisions/{analysis_id}/comments": "decision-not-found subject-key-unreadable",
    "POST /api/decisions/{analysis_id}/evidence": (
        f"{OPEN} evidence-empty evidence-too-large evidence-type-differs too-much-evidence not-a-participant "
        f"another-kind too-many-uploads too-many-own-uploads no-room-for-uploads {PERSONAL}"
    ),
    "GET /api/decisions/{analysis_id}/evidence": "decision-not-found",
    "GET /api/decisions/{analysis_id}/evidence/{evidence_id}": (
        "decision-not-found evidence-not-found evidence-damaged evidence-erased subject-key-unreadable too-many-files"
    ),
    "POST /api/decisions/{analysis_id}/request-information": f"{OPEN} {HELD} nothing-said question-open too-many-questions {PERSONAL}",
    "POST /api/decisions/{analysis_id}/provide-information": (
        f"{OPEN} not-the-submitter nothing-said nothing-was-asked invalid-payload another-kind {PERSONAL}"
    ),
    "POST /api/decisions/{analysis_id}/redeem": (
        f"{OPEN} not-the-submitter not-approved digest-differs already-redeemed approval-expired "
        "override-not-countersigned"
    ),
    "POST /api/decisions/{analysis_id}/outcome": (
        f"{OPEN} not-the-submitter not-approved outcome-already-reported {PERSONAL}"
    ),
    "POST /api/kinds": f"built-in-kind bad-kind-name {SCHEMA} kind-exists reason-missing step-up-required",
    "GET /api/kinds/{name}": "kind-not-found",
    "POST /api/kinds/{name}/revise": f"{KIND} {SCHEMA} too-many-versions",
    "POST /api/kinds/{name}/retire": KIND,
    "POST /api/policies": f"{TERMS} kind-not-found kind-retired too-many-drafts reason-missing",
    "GET /api/policies/{kind}": "kind-not-found policy-not-found",
    "POST /api/policies/simulate": f"{TERMS} unknown-kind unreadable-schema invalid-payload",
    "POST /api/policies/{kind}/{version}/publish": f"{DRAFT} published-by-its-drafter {TERMS} kind-retired",
    "POST /api/policies/{kind}/{version}/withdraw": DRAFT,
    "POST /api/policies/{kind}/{version}/retire": DRAFT,
    "GET /tlog/checkpoint": "nothing-sealed",
    "GET /tlog/tile/{path}": "no-such-tile nothing-sealed no-such-path",
    "GET /tlog/tile/entries/{path}": "no-such-tile nothing-sealed no-such-path",
    "GET /tlog/proof/{leaf_index}": "no-such-tile not-sealed nothing-sealed",
    "GET /api/audit/events/{event_id}/proof": "no-such-event not-sealed",
    "POST /admin/projections/{name}/reset": BUILD,
    "POST /admin/projections/{name}/rebuild": BUILD,
    "GET /admin/projections/{name}/rebuild": "projection-not-found never-rebuilt",
    "POST /admin/projections/{name}/rebuild/cancel": f"{BUILD} no-rebuild-under-way",
    "POST /admin/projections/{name}/rebuild/rollback": f"{BUILD} nothing-to-roll-back kept-rows-lack-events",
    "GET /admin/projections/{name}/verify": "projection-not-found projection-never-run no-temporary-tables no-key",
    "POST /admin/projections/{name}/pause": "projection-not-found already-paused reason-missing",
    "POST /admin/projections/{name}/resume": "projection-not-found not-paused reason-missing",
    "POST /admin/projections/{name}/replay": "projection-not-found bad-range use-rebuild reason-missing payload-changed",
    "POST /admin/projections/failures/{failure_id}/resolve": "failure-not-found failure-resolved reason-missing payload-changed parked-event-gone",
    "POST /api/webhooks": f"{TARGET} step-up-required reason-missing",
    "GET /api/webhooks/{webhook_id}": "webhook-not-found",
    "POST /api/webhooks/{webhook_id}/change": f"{HOOK} {TARGET}",
    "POST /api/webhooks/{webhook_id}/pause": HOOK,
    "POST /api/webhooks/{webhook_id}/resume": HOOK,
    "POST /api/webhooks/{webhook_id}/rotate-secret": HOOK,
    "POST /api/webhooks/{webhook_id}/ping": f"{HOOK} unreadable-webhook-secret",
    "DELETE /api/webhooks/{webhook_id}": HOOK,
    "GET /api/webhooks/{webhook_id}/deliveries": "webhook-not-found",
    "GET /api/webhooks/{webhook_id}/dead-letters": "webhook-not-found",
    "POST /api/webhooks/{webhook_id}/replay": f"{HOOK} no-dead-letters",
    "POST /api/audit/exports": f"bad-export-range already-exported {FILES}",
    "GET /api/audit/exports/{export_id}/payloads": EXPORT,
    "GET /api/audit/exports/{export_id}/people": EXPORT,
    "GET /api/audit/exports/{export_id}/keys": f"{EXPORT} subject-keys-unreadable",
    "GET /api/audit/events": FILES,
    "GET /api/audit/decisions/{analysis_id}/timeline": "decision-not-found",
    "GET /api/audit/decisions/{analysis_id}/state": (
        "decision-not-found moment-not-reached no-such-version not-yet-submitted"
    ),
    "GET /api/audit/decisions/{analysis_id}/chain": "decision-not-found",
    "GET /api/audit/correlations/{trace_id}": "trace-not-found",
    "GET /api/audit/queue": "moment-not-reached",
    "GET /api/subjects/{kind}/{subject}": "subject-not-found",
    "POST /api/subjects/{kind}/{subject}/erasure": f"{ERASURE} erasure-already-requested",
    "POST /api/subjects/{kind}/{subject}/erasure/approve": f"{ERASURE} approved-by-its-requester",
    "POST /api/subjects/{kind}/{subject}/erasure/withdraw": f"{ERASURE} not-its-requester",
    "POST /api/subjects/{kind}/{subject}/erasure/refuse": f"{ERASURE} refused-by-its-requester",
    "POST /api/subjects/{kind}/{subject}/holds": f"{ERASURE} hold-exists too-many-holds",
    "POST /api/subjects/{kind}/{subject}/holds/{hold_id}/lift": f"{ERASURE} hold-not-found",
    "GET /health/projections/{name}": "projection-not-found",
    "GET /health/projections/{name}/checkpoint": "projection-not-found",
    "GET /health/projections/{name}/failures": "projection-not-found",
}


def codes_of(handler: HTTPRouteHandler, method: str, path: str) -> Mapping[int, list[str]]:
    """List the codes of a call by the status that each is told with."""
    call = f"{method.upper()} {path}"
    known = {kind.code: kind for kind in _kinds(LedgerError)}
    told: dict[int, list[str]] = {}
    for code in sorted({code for group in _groups(handler, call) for code in group.split()}):
        told.setdefault(status_at(known[code], path), []).append(code)
    return told


def _groups(handler: HTTPRouteHandler, call: str) -> Iterator[str]:
    yield from (OF_ALL, CODES.get(call, ""))
    roles = PERMISSIONS.get(call)
    if roles is not PUBLIC or handler.opt.get("bearer"):
        yield from (OF_SESSIONS, OF_READERS)
    if roles is not PUBLIC:
        yield "admin-required insufficient-permissions key-not-for-this"
    if not call.startswith("GET "):
        yield OF_COMMANDS
    if {"body", "form", "file"} & handler.opt.keys():
        yield "wrong-content-type"
    if handler.opt.get("keyed"):
        yield "idempotency-key-reused"
    if handler.opt.get("tagged"):
        yield "precondition-failed"


def _kinds(family: type[LedgerError]) -> Iterator[type[LedgerError]]:
    """List the refusals that can be told here: those of the command line have codes of their own."""
    for kind in family.__subclasses__():
        if not kind.__module__.startswith("ledger.cli"):
            yield kind
        yield from _kinds(kind)
