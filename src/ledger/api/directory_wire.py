"""The bodies of the calls on who there is, in which groups, and who leads; all of them ours."""

from typing import Annotated

import msgspec

from ledger.api.account_wire import Reason
from ledger.domain.account.placing import MOST_GROUPS
from ledger.domain.authority import Role
from ledger.domain.event import Utc

GroupName = Annotated[str, msgspec.Meta(min_length=1, max_length=50, pattern="^[a-z][a-z0-9_-]*$")]


class NewGroups(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All groups that somebody is in from now on, and why."""

    groups: Annotated[tuple[GroupName, ...], msgspec.Meta(max_length=MOST_GROUPS)]
    reason: Annotated[Reason, msgspec.Meta(min_length=1)]


class NewLead(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whether an analyst leads from now on, and why."""

    lead: bool
    reason: Annotated[Reason, msgspec.Meta(min_length=1)]


class UserShown(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody with an account."""

    username: str
    role: Role
    groups: tuple[str, ...]
    is_lead: bool
    is_active: bool
    is_2fa_enabled: bool
    registered_at: Utc


class GroupShown(msgspec.Struct, frozen=True, kw_only=True):
    """A group and the user names of its active members."""

    group: str
    members: tuple[str, ...]
