"""The table of permissions, walked: every route, by every role, over HTTP."""

import re
from collections.abc import AsyncIterator
from typing import Final

import pytest
import pytest_asyncio
from litestar import Litestar, WebSocket, asgi, get, websocket
from litestar.types import Receive, Scope, Send

from ledger.api.admitting import RoutesWithoutAdmission, admit, check_admission
from ledger.api.app import ROUTES
from ledger.api.health import status
from ledger.api.permissions import (
    PERMISSIONS,
    RoutesAndPermissionsDiffer,
    calls_of,
    check_permissions,
)
from ledger.domain.authority import Role
from tests.api.answers import assert_refused, together
from tests.support.http import Api

GUARDED: Final = sorted(call for call, roles in PERMISSIONS.items() if roles is not None)
ENDS_THE_SESSION: Final = "POST /api/auth/logout"
READ_THEIR_OWN_TOKENS: Final = {
    "POST /api/auth/2fa/setup",
    "POST /api/auth/2fa/verify",
    "WS /ws/{username}",
}
WOULD_NEVER_END: Final = {"GET /api/stream": "?after=999999999999"}
"""What to ask of calls that last, so that their answer is a refusal."""


@get("/api/forgotten", sync_to_thread=False)
def forgotten() -> None:
    """Answer anybody."""


async def whoever(socket: WebSocket) -> None:
    """Take anybody."""


async def whatever(scope: Scope, receive: Receive, send: Send) -> None:
    """Do anything."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def people(shared: Api) -> AsyncIterator[dict[Role, dict[str, str]]]:
    """One person of each role."""
    yield {role: await shared.newcomer(f"the-{role.value}", role) for role in Role}


def test_every_route_has_a_line_and_every_line_a_route() -> None:
    app = Litestar(list(ROUTES), openapi_config=None, logging_config=None)

    assert sorted(calls_of(app)) == sorted(PERMISSIONS)
    check_permissions(app)


def test_a_route_without_a_line_is_not_served() -> None:
    app = Litestar([*ROUTES, forgotten], openapi_config=None, logging_config=None)

    with pytest.raises(RoutesAndPermissionsDiffer, match="GET /api/forgotten"):
        check_permissions(app)


def test_a_route_at_which_nobody_is_asked_is_not_served() -> None:
    async def ask_nobody(_: object) -> None: ...

    careless = [route for route in ROUTES if route is not status]
    app = Litestar(
        [*careless, get("/api/status", before_request=ask_nobody)(status.fn)],
        openapi_config=None,
        logging_config=None,
        before_request=admit,
    )

    with pytest.raises(RoutesWithoutAdmission, match="=GET /api/status"):
        check_admission(app)


def test_a_web_socket_without_a_guard_is_not_served() -> None:
    app = Litestar(
        [*ROUTES, websocket("/ws")(whoever)], openapi_config=None, logging_config=None, before_request=admit
    )

    with pytest.raises(RoutesWithoutAdmission, match="=WS /ws"):
        check_admission(app)


def test_an_application_among_the_routes_is_not_served() -> None:
    app = Litestar(
        [*ROUTES, asgi("/mounted", copy_scope=True)(whatever)],
        openapi_config=None,
        logging_config=None,
        before_request=admit,
    )

    with pytest.raises(RoutesWithoutAdmission, match="ASGI /mounted"):
        check_admission(app)


def test_a_line_without_a_route_is_not_kept() -> None:
    app = Litestar(list(ROUTES)[1:], openapi_config=None, logging_config=None)

    with pytest.raises(RoutesAndPermissionsDiffer, match="POST /api/auth/login"):
        check_permissions(app)


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("call", GUARDED)
@together
async def test_a_role_may_call_what_the_table_says_and_nothing_else(
    shared: Api, people: dict[Role, dict[str, str]], call: str, role: Role
) -> None:
    method, path = call.split(" ")
    roles = PERMISSIONS[call]
    assert roles is not None
    headers = people[role] if call != ENDS_THE_SESSION else await shared.login(f"the-{role.value}")

    path = re.sub(r"{\w+}", "nothing", path) + WOULD_NEVER_END.get(call, "")
    answer = await shared.client.request(method, path, headers=headers)

    if role in roles:
        assert answer.status_code not in (401, 403), answer.text
    else:
        assert_refused(answer, 403, "Admin access required" if roles == {Role.ADMIN} else "permissions")


@pytest.mark.parametrize("call", sorted(set(PERMISSIONS) - set(GUARDED) - READ_THEIR_OWN_TOKENS))
@together
async def test_what_is_public_asks_for_no_session(shared: Api, call: str) -> None:
    method, path = call.split(" ")

    answer = await shared.client.request(method, re.sub(r"{\w+}", "nothing", path))

    assert answer.status_code not in (401, 403)
