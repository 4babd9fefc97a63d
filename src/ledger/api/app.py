"""The application: its routes, its error handlers and its door."""

from collections.abc import Sequence
from functools import cache
from importlib.metadata import version
from typing import Final

from litestar import Litestar
from litestar.config.cors import CORSConfig
from litestar.datastructures import State
from litestar.exceptions import HTTPException
from litestar.types import ControllerRouterHandler

from ledger.api.accounts import AccountController
from ledger.api.admitting import admit, check_admission
from ledger.api.alerts import alerts, stats
from ledger.api.bulk import BulkController
from ledger.api.claims import ClaimController
from ledger.api.decisions import DecisionController
from ledger.api.directory import DirectoryController
from ledger.api.door import Door
from ledger.api.erasing import ErasureController
from ledger.api.evidence import EvidenceController
from ledger.api.exporting import ExportController
from ledger.api.factors import FactorController
from ledger.api.health import HealthController, status
from ledger.api.history.routes import HistoryController
from ledger.api.history.then import PastController
from ledger.api.keys import KeyController
from ledger.api.kinds import KindController
from ledger.api.logging_in import LoginController
from ledger.api.metrics import metrics_text
from ledger.api.notary import notary_status
from ledger.api.openapi.description import describe
from ledger.api.openapi.page import docs_asset, docs_page, openapi_document
from ledger.api.permissions import PERMISSIONS, check_permissions
from ledger.api.policies import PolicyController
from ledger.api.problems import on_framework_error, on_ledger_error, on_unforeseen
from ledger.api.projections import ProjectionAdminController, ProjectionHealthController
from ledger.api.queue import QueueController
from ledger.api.rebuilding import RebuildController
from ledger.api.services import Services
from ledger.api.sessions import SessionController
from ledger.api.statistics import StatisticsController
from ledger.api.stream import stream
from ledger.api.talk import TalkController
from ledger.api.timestamps import TimestampController
from ledger.api.tlog import TlogController, event_proof
from ledger.api.verdicts import VerdictController
from ledger.api.webhooks import WebhookController
from ledger.api.workflow import WorkflowController
from ledger.domain.errors import LedgerError

ROUTES: Final[Sequence[ControllerRouterHandler]] = (
    LoginController,
    AccountController,
    DirectoryController,
    FactorController,
    SessionController,
    StatisticsController,
    KeyController,
    DecisionController,
    ClaimController,
    QueueController,
    VerdictController,
    WorkflowController,
    TalkController,
    EvidenceController,
    BulkController,
    KindController,
    PolicyController,
    HealthController,
    notary_status,
    ProjectionAdminController,
    ProjectionHealthController,
    RebuildController,
    WebhookController,
    ErasureController,
    TlogController,
    TimestampController,
    event_proof,
    ExportController,
    HistoryController,
    PastController,
    stream,
    alerts,
    stats,
    status,
    metrics_text,
    openapi_document,
    docs_page,
    docs_asset,
)


METRICS: Final = frozenset({"GET /metrics"})
"""What may be served on a port of its own."""


@cache
def openapi() -> bytes:
    """Write the API's description, without a running service."""
    return describe(ROUTES, title="Decision ledger", version=version("decision-ledger"))


def create_app(services: Services) -> Door:
    """Make the ASGI application that serves ``services``.

    Raises:
        RoutesAndPermissionsDiffer: a route has no line in the table of permissions.
        RoutesWithoutAdmission: at a route nobody would be asked.
    """
    return Door(
        routed(services),
        max_in_flight=services.max_in_flight,
        most_body_bytes=services.most_body_bytes,
        tracing=services.ledger.tracing,
    )


def create_metrics_app(services: Services) -> Door:
    """Make the ASGI application that gives the metrics of ``services`` and nothing else."""
    app = _litestar(services, [metrics_text])
    check_permissions(app, elsewhere=frozenset(PERMISSIONS) - METRICS)
    return Door(app, max_in_flight=services.max_in_flight, tracing=services.ledger.tracing)


def routed(services: Services) -> Litestar:
    """Make what is behind the door.

    Raises:
        RoutesAndPermissionsDiffer: a route has no line in the table of permissions.
        RoutesWithoutAdmission: at a route nobody would be asked.
    """
    if services.metrics_apart:
        app = _litestar(services, [route for route in ROUTES if route is not metrics_text])
        check_permissions(app, elsewhere=METRICS)
    else:
        app = _litestar(services, ROUTES)
        check_permissions(app)
    return app


def _litestar(services: Services, routes: Sequence[ControllerRouterHandler]) -> Litestar:
    app = Litestar(
        list(routes),
        openapi_config=None,
        before_request=admit,
        request_max_body_size=services.max_body_bytes,
        cors_config=_cors(services.cors_origins),
        exception_handlers={
            LedgerError: on_ledger_error,
            HTTPException: on_framework_error,
            Exception: on_unforeseen,
        },
        state=State({"services": services, "openapi": openapi()}),
        logging_config=None,
    )
    check_admission(app)
    return app


def _cors(origins: Sequence[str]) -> CORSConfig | None:
    """Allow exact origins only; bearer tokens need no credentials mode."""
    if not origins:
        return None
    return CORSConfig(
        allow_origins=list(origins),
        allow_methods=["GET", "POST", "DELETE"],
        allow_headers=["Authorization", "Content-Type", "Idempotency-Key", "If-Match", "X-Request-ID"],
        expose_headers=[
            "ETag",
            "Ledger-Position",
            "Ledger-Leaf-Hash",
            "Ledger-View-Stale",
            "Ledger-Sealed",
            "Ledger-Proof",
            "Link",
            "RateLimit",
            "RateLimit-Policy",
            "Deprecation",
            "Retry-After",
            "Sunset",
            "X-Request-ID",
        ],
        allow_credentials=False,
        max_age=600,
    )
