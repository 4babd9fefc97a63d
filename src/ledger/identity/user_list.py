"""Who there is, and who is in which group: people joined with their accounts as the directory has them."""

import msgspec

from ledger.domain.account.state import Registered
from ledger.identity import people
from ledger.identity.identity import Identity
from ledger.identity.people import ERASED, names_of
from ledger.projections.views import directory
from ledger.store.pool import reading


class ListedUser(msgspec.Struct, frozen=True):
    """Somebody with an account."""

    username: str
    account: Registered


class UserPage(msgspec.Struct, frozen=True):
    """Some users by user name; ``more_after`` is the name after which there are more (``None``: no more)."""

    users: tuple[ListedUser, ...]
    more_after: str | None


class ListedGroup(msgspec.Struct, frozen=True):
    """A group, and the user names of its active members, sorted."""

    name: str
    members: tuple[str, ...]


class GroupPage(msgspec.Struct, frozen=True):
    """Some groups by name; ``more_after`` is the name after which there are more (``None``: no more)."""

    groups: tuple[ListedGroup, ...]
    more_after: str | None


async def users(identity: Identity, *, after: str, limit: int) -> UserPage:
    """List up to ``limit`` users after a user name; who is known by name only, or was erased, is not in it."""
    ledger = identity.ledger
    found = await people.list_people(ledger.pool, ledger.ledger_id, after=after, limit=limit + 1)
    page = found[:limit]
    async with reading(ledger.pool) as conn:
        accounts = await directory.accounts_of(conn, ledger.ledger_id, [one.person for one in page])
    listed = tuple(
        ListedUser(one.record.username, accounts[one.person]) for one in page if one.person in accounts
    )
    return UserPage(listed, page[-1].record.username if len(found) > limit else None)


async def groups(identity: Identity, *, after: str, limit: int) -> GroupPage:
    """List up to ``limit`` groups after a name; a group is there while somebody active is in it."""
    ledger = identity.ledger
    async with reading(ledger.pool) as conn:
        found = await directory.groups(conn, ledger.ledger_id, after=after, limit=limit + 1)
    page = found[:limit]
    members = sorted({member for group in page for member in group.members})
    names = await names_of(ledger.pool, ledger.ledger_id, members)
    listed = tuple(
        ListedGroup(group.name, tuple(sorted(names.get(member, ERASED) for member in group.members)))
        for group in page
    )
    return GroupPage(listed, page[-1].name if len(found) > limit else None)
