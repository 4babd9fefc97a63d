"""Groups and the lead flag are an administrator's to give; they hold from the next command on, and end no session."""

import pytest

from ledger.command_handling.context import CommandContext
from ledger.command_handling.facts import Facts
from ledger.command_handling.handler import handle
from ledger.domain.account.decide import AccountNotFound
from ledger.domain.account.placing import NotADecider, NotAnAnalyst
from ledger.domain.authority import AdminRequired, Role
from ledger.domain.session.commands import PauseSession
from ledger.domain.session.decide import SESSION
from ledger.identity import administering, people
from ledger.identity.identity import Identity
from ledger.identity.me import me
from ledger.identity.sessions import Principal, authenticate, authority, own_session, reads_of
from ledger.identity.user_list import GroupPage, ListedGroup, groups, users
from ledger.projections.views.directory import DIRECTORY
from ledger.store.ledger import session_stream
from ledger.store.pool import Connection
from tests.identity.house import admitted, asked_by, asking, logged_in, operator, principal
from tests.projections.given import bring_level


async def put(identity: Identity, username: str, *names: str, by: Principal | None = None) -> bool:
    handled = await administering.change_groups(
        identity, username, operator() if by is None else asking(by), groups=names, reason="new team"
    )
    return bool(handled.events)


async def let_lead(
    identity: Identity, username: str, *, is_lead: bool = True, by: Principal | None = None
) -> bool:
    handled = await administering.change_lead(
        identity, username, operator() if by is None else asking(by), is_lead=is_lead, reason="shift"
    )
    return bool(handled.events)


@pytest.fixture
async def ada(identity: Identity) -> Principal:
    await admitted(identity, "ada", role=Role.ADMIN)
    return await principal(identity, "ada")


async def test_groups_and_lead_are_known_at_once_in_the_session_that_goes_on(
    identity: Identity, ada: Principal
) -> None:
    await admitted(identity, "sam")
    token = (await logged_in(identity, "sam")).access_token

    assert await put(identity, "SAM", "tier-2", "malware", by=ada)
    assert await let_lead(identity, "sam", by=ada)

    sam = await authenticate(identity, token)
    assert (sam.groups, sam.is_lead) == (("malware", "tier-2"), True)
    told = await me(identity, sam)
    assert (told.groups, told.is_lead) == (("malware", "tier-2"), True)


async def test_the_same_place_asked_for_again_is_no_event(identity: Identity, ada: Principal) -> None:
    await admitted(identity, "sam")

    assert [await put(identity, "sam", "tier-2", by=ada) for _ in range(2)] == [True, False]
    assert [await let_lead(identity, "sam", by=ada) for _ in range(2)] == [True, False]
    assert [await let_lead(identity, "sam", is_lead=False) for _ in range(2)] == [True, False]


async def test_a_command_that_relied_on_groups_of_before_is_decided_anew(
    identity: Identity, ada: Principal
) -> None:
    await admitted(identity, "sam")
    sam = await principal(identity, "sam")
    target = session_stream(own_session(sam))
    relied_on = []

    def build(facts: Facts) -> PauseSession:
        by = authority(facts, sam)
        relied_on.append((by.groups, by.is_lead))
        return PauseSession(now=facts.now, by=by)

    async def change_meanwhile(_: Connection) -> None:
        if len(relied_on) == 1:
            await put(identity, "sam", "tier-2", by=ada)
            await let_lead(identity, "sam", by=ada)

    await handle(
        identity.ledger,
        CommandContext(
            decider=SESSION,
            target=target,
            clock=identity.clock,
            provenance=asked_by(sam),
            reads=[name for name in reads_of(sam) if name != target],
        ),
        build,
        alongside=change_meanwhile,
    )

    assert relied_on == [((), False), (("tier-2",), True)]


async def test_only_administrators_place_people_and_learn_who_exists(
    identity: Identity, ada: Principal
) -> None:
    await admitted(identity, "sam")
    sam = await principal(identity, "sam")

    for username in ("ada", "nobody", "sam"):
        with pytest.raises(AdminRequired):
            await put(identity, username, "tier-2", by=sam)
        with pytest.raises(AdminRequired):
            await let_lead(identity, username, by=sam)
    for by in (ada, None):
        with pytest.raises(AccountNotFound):
            await put(identity, "nobody", "tier-2", by=by)
        with pytest.raises(AccountNotFound):
            await let_lead(identity, "nobody", by=by)


async def test_who_never_votes_is_placed_nowhere(identity: Identity) -> None:
    await admitted(identity, "vic", role=Role.VIEWER)

    with pytest.raises(NotADecider):
        await put(identity, "vic", "tier-2")
    with pytest.raises(NotAnAnalyst):
        await let_lead(identity, "vic")


async def test_users_are_listed_by_name_page_by_page_as_the_directory_has_them(
    identity: Identity, ada: Principal
) -> None:
    for username in ("Sam", "ben"):
        await admitted(identity, username)
    await put(identity, "sam", "tier-2")
    await let_lead(identity, "sam")
    await bring_level(identity.ledger, DIRECTORY)

    first = await users(identity, after="", limit=2)
    rest = await users(identity, after=first.more_after or "", limit=2)

    assert ([one.username for one in first.users], first.more_after) == (["ada", "ben"], "ben")
    assert ([one.username for one in rest.users], rest.more_after) == (["Sam"], None)
    assert (rest.users[0].account.groups, rest.users[0].account.is_lead) == (("tier-2",), True)


async def test_who_has_no_account_in_the_directory_is_passed_over(identity: Identity) -> None:
    await admitted(identity, "ada")
    await bring_level(identity.ledger, DIRECTORY)
    await admitted(identity, "ben")  # the directory does not know yet

    page = await users(identity, after="", limit=1)
    rest = await users(identity, after=page.more_after or "", limit=1)

    assert ([one.username for one in page.users], page.more_after) == (["ada"], "ada")
    assert (rest.users, rest.more_after) == ((), None)


async def test_groups_tell_their_members_by_user_name(identity: Identity) -> None:
    await admitted(identity, "sam")
    await admitted(identity, "ben")
    await put(identity, "sam", "tier-2", "malware")
    await put(identity, "ben", "tier-2")
    await bring_level(identity.ledger, DIRECTORY)

    malware, tier_2 = ListedGroup("malware", ("sam",)), ListedGroup("tier-2", ("ben", "sam"))
    assert await groups(identity, after="", limit=50) == GroupPage((malware, tier_2), None)
    assert await groups(identity, after="", limit=1) == GroupPage((malware,), "malware")
    assert await groups(identity, after="malware", limit=1) == GroupPage((tier_2,), None)


async def test_a_member_whose_name_was_erased_is_still_counted(identity: Identity) -> None:
    sam = await admitted(identity, "sam")
    await put(identity, "sam", "tier-2")
    await bring_level(identity.ledger, DIRECTORY)
    await identity.ledger.pool.execute("delete from work.people where person_id = $1", sam)

    page = await groups(identity, after="", limit=50)

    assert page.groups == (ListedGroup("tier-2", (people.ERASED,)),)
    assert (await users(identity, after="", limit=50)).users == ()
