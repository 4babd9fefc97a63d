"""Who there is, in which groups, and who leads, over HTTP."""

from collections.abc import Sequence
from typing import Annotated, Final

import msgspec
from litestar import Controller, Response, get
from litestar.params import QueryParameter

from ledger.api.call import STALE, Call, staleness
from ledger.api.directory_wire import GroupShown, UserShown
from ledger.api.json_answer import json_response
from ledger.api.paging import next_page
from ledger.api.types import HttpRequest
from ledger.identity import user_list
from ledger.identity.user_list import ListedUser

FEEDS: Final = ("directory",)

Limit = Annotated[int, QueryParameter(ge=1, le=100)]
After = Annotated[str, QueryParameter(max_length=1_000)]


class DirectoryController(Controller):
    """Who there is, in which groups, and who leads."""

    path = "/api/auth"
    tags = ("Authentication",)

    @get("/users", opt={"answer": list[UserShown], "tells": ("Link", STALE)})
    async def users(self, request: HttpRequest, limit: Limit = 50, cursor: After = "") -> Response[bytes]:
        """List accounts by user name, deactivated ones too; the next page's address is in the Link header."""
        call = Call(request)
        page = await user_list.users(call.services.identity, after=cursor, limit=limit)
        shown = [_shown(one) for one in page.users]
        return _page(call, "users", shown, limit, page.more_after)

    @get("/groups", opt={"answer": list[GroupShown], "tells": ("Link", STALE)})
    async def groups(self, request: HttpRequest, limit: Limit = 50, cursor: After = "") -> Response[bytes]:
        """List groups by name with who is in them and active; the next page's address is in the Link header."""
        call = Call(request)
        page = await user_list.groups(call.services.identity, after=cursor, limit=limit)
        shown = [GroupShown(group=one.name, members=one.members) for one in page.groups]
        return _page(call, "groups", shown, limit, page.more_after)


def _page(
    call: Call, what: str, shown: Sequence[msgspec.Struct], limit: int, more_after: str | None
) -> Response[bytes]:
    """Answer with a page, the address of the next one, and whether the directory is late."""
    headers = staleness(call.services, *FEEDS)
    if more_after is not None:
        headers |= next_page(f"/api/auth/{what}", {"limit": limit, "cursor": more_after})
    return json_response(shown, headers=headers)


def _shown(one: ListedUser) -> UserShown:
    account = one.account
    return UserShown(
        username=one.username,
        role=account.role,
        groups=account.groups,
        is_lead=account.is_lead,
        is_active=account.is_active,
        is_2fa_enabled=account.second_factor,
        registered_at=account.registered_at,
    )
