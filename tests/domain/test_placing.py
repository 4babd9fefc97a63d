"""In which groups somebody is, and whether they lead."""

import pytest

from ledger.domain.account.decide import ACCOUNT
from ledger.domain.account.placing import (
    MalformedGroupName,
    NotADecider,
    NotAnAnalyst,
    TooManyGroups,
)
from ledger.domain.account.state import keeps
from ledger.domain.authority import Role
from ledger.domain.errors import ReasonMissing
from tests.builders import (
    ADA,
    ANA,
    AUDREY,
    ENGINE,
    VIC,
    change_groups,
    deactivated,
    grant_lead,
    groups_changed,
    later,
    lead_granted,
    lead_revoked,
    reactivated,
    registered,
    revoke_lead,
    role_changed,
    session_of,
)
from tests.domain.given import Given

ANALYST = Given(ACCOUNT, registered(ANA))
ADMIN = Given(ACCOUNT, registered(ADA))
GONE = Given(ACCOUNT, registered(ANA), deactivated())
LEAD = Given(ACCOUNT, registered(ANA), groups_changed("malware", "tier-2"), lead_granted())
FIFTY = tuple(f"group-{number:02}" for number in range(50))


@pytest.mark.parametrize("by", [ADA, None])
def test_administrators_and_the_operator_put_people_into_groups(by):
    ANALYST.when(change_groups("tier-2", by=by, reason="new team", now=later(1))).then(
        groups_changed("tier-2", by=by, reason="new team", at=later(1))
    )


def test_groups_are_kept_sorted_and_once():
    ANALYST.when(change_groups("tier-2", "malware", "tier-2")).then(groups_changed("malware", "tier-2"))


def test_the_same_groups_in_another_order_are_no_change():
    LEAD.when(change_groups("tier-2", "malware")).then()


def test_who_is_in_no_group_leaves_none():
    ANALYST.when(change_groups()).then()


def test_a_change_of_groups_names_all_of_them_and_so_takes_out_of_the_others():
    LEAD.when(change_groups("malware")).then(groups_changed("malware"))
    LEAD.when(change_groups()).then(groups_changed())

    assert ACCOUNT.evolve(LEAD.state, groups_changed("malware")).groups == ("malware",)


def test_administrators_are_in_groups_too():
    ADMIN.when(change_groups("tier-2")).then(groups_changed("tier-2"))


def test_a_deactivated_analyst_changes_groups():
    GONE.when(change_groups("tier-2")).then(groups_changed("tier-2"))


@pytest.mark.parametrize("person", [VIC, AUDREY, ENGINE])
def test_who_never_votes_is_in_no_group(person):
    given = Given(ACCOUNT, registered(person))

    given.when(change_groups("tier-2")).then_refused(NotADecider, role=given.state.role.value)
    given.when(change_groups()).then()


@pytest.mark.parametrize("name", ["a", "a" * 50, "tier-2", "red_team", "x9"])
def test_a_group_is_called_by_small_letters_digits_hyphens_and_underscores(name):
    ANALYST.when(change_groups(name)).then(groups_changed(name))


@pytest.mark.parametrize("name", ["", "2nd", "-a", "_a", "Tier", "tier 2", "tier.2", "é", "a\n", "tier²"])
def test_a_group_is_called_nothing_else(name):
    ANALYST.when(change_groups("good", name)).then_refused(MalformedGroupName, group=name)


def test_a_group_name_that_is_too_long_is_told_by_its_beginning():
    ANALYST.when(change_groups("a" * 51)).then_refused(MalformedGroupName, group="a" * 51)
    ANALYST.when(change_groups("a" * 99)).then_refused(MalformedGroupName, group="a" * 60)


def test_nobody_is_in_more_than_fifty_groups():
    ANALYST.when(change_groups(*FIFTY, *FIFTY)).then(groups_changed(*FIFTY))
    ANALYST.when(change_groups(*FIFTY, "one-more")).then_refused(TooManyGroups, groups=51, most=50)


@pytest.mark.parametrize(
    "asking", [change_groups("a", reason=" "), grant_lead(reason=""), revoke_lead(reason="\n")]
)
def test_a_change_of_place_says_why(asking):
    LEAD.when(asking).then_refused(ReasonMissing)


@pytest.mark.parametrize("by", [ADA, None])
def test_an_analyst_is_made_a_lead_for_a_reason(by):
    ANALYST.when(grant_lead(by=by, reason="runs the shift", now=later(1))).then(
        lead_granted(by=by, reason="runs the shift", at=later(1))
    )

    assert ACCOUNT.evolve(ANALYST.state, lead_granted()).is_lead


@pytest.mark.parametrize("by", [ADA, None])
def test_a_lead_becomes_a_plain_analyst_for_a_reason(by):
    LEAD.when(revoke_lead(by=by, reason="left the shift", now=later(1))).then(
        lead_revoked(by=by, reason="left the shift", at=later(1))
    )

    assert not ACCOUNT.evolve(LEAD.state, lead_revoked()).is_lead


def test_a_lead_is_made_once_and_unmade_once():
    LEAD.when(grant_lead()).then()
    ANALYST.when(revoke_lead()).then()


@pytest.mark.parametrize("person", [ADA, VIC, AUDREY, ENGINE])
def test_only_analysts_lead(person):
    given = Given(ACCOUNT, registered(person))

    given.when(grant_lead()).then_refused(NotAnAnalyst, role=given.state.role.value)


def test_who_is_kept_out_is_made_no_lead():
    GONE.when(grant_lead()).then_refused(NotAnAnalyst, role="analyst")


@pytest.mark.parametrize(
    ("role", "groups"),
    [
        (Role.ADMIN, ("malware", "tier-2")),
        (Role.VIEWER, ()),
        (Role.AUDITOR, ()),
        (Role.SERVICE, ()),
    ],
)
def test_who_is_no_analyst_any_more_is_no_lead_and_keeps_groups_as_an_administrator_only(role, groups):
    state = ACCOUNT.evolve(LEAD.state, role_changed(role))

    assert (state.is_lead, state.groups) == (False, groups)


def test_who_comes_back_as_an_analyst_is_no_lead():
    state = Given(ACCOUNT, *LEAD.events, role_changed(Role.VIEWER), role_changed(Role.ANALYST)).state

    assert (state.is_lead, state.groups) == (False, ())


def test_who_was_kept_out_comes_back_to_the_same_place():
    state = Given(ACCOUNT, *LEAD.events, deactivated(), reactivated()).state

    assert (state.is_lead, state.groups) == (True, ("malware", "tier-2"))


def test_another_place_ends_no_session():
    for event in (groups_changed("tier-2"), lead_granted(), lead_revoked()):
        state = ACCOUNT.evolve(ANALYST.state, event)

        assert (state.epoch, keeps(state, session_of(ANA), 0)) == (0, True)
